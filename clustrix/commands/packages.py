"""Commands for packages on this computer: looked into, cleaned up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from clustrix.commands.output import print_json, size
from clustrix.commands.parameters import as_json, profile

__all__ = ["clean", "inspect"]


@click.command()
@click.argument("package", metavar="PACKAGE.zip", type=click.Path(exists=True, dir_okay=False))
@as_json
def inspect(package: str, as_json: bool) -> None:
    """Show what a package holds: the function, what it needs, and the files that come along."""
    import zipfile

    try:
        with zipfile.ZipFile(package) as archive:
            metadata = json.loads(archive.read("metadata.json"))
            files = {item.filename: item.file_size for item in archive.infolist()}
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise click.ClickException(f"{package} is no package of clustrix: {error}") from error
    if as_json:
        print_json({**metadata, "files": files})
        return
    for line in _described(metadata, files):
        click.echo(line)


@click.command()
@profile
@click.option(
    "--all", "everything", is_flag=True, help="All packages, locks and wheels: they are made or fetched again."
)
@as_json
def clean(everything: bool, as_json: bool) -> None:
    """Remove packages from this computer that were not used for 30 days, and the least used beyond 1 GiB.

    Jobs and their results stay.
    """
    from clustrix.config import get_config
    from clustrix.package_store import package_path, prune

    cache = Path(get_config().local_cache_dir).expanduser()
    directory = package_path("", str(cache)).parent
    there = {path: path.stat().st_size for path in _files(directory.glob("clustrix_package_*.zip"))}
    if everything:
        there.update(
            (path, path.stat().st_size) for name in ("locks", "wheels") for path in _files((cache / name).rglob("*"))
        )
        for path in there:
            path.unlink(missing_ok=True)
        removed = list(there)
    else:
        removed = prune(directory)
    total = sum(there.get(path, 0) for path in removed)
    if as_json:
        print_json({"removed": [str(path) for path in removed], "bytes": total})
    else:
        click.echo(f"{len(removed)} files removed, {size(total)}")


def _files(paths: Any) -> list[Path]:
    return [path for path in paths if path.is_file()]


def _described(metadata: dict[str, Any], files: dict[str, int]) -> list[str]:
    function, needs = metadata["function_info"], metadata["dependencies"]
    lines = [
        f"package      {metadata['package_id']}",
        f"function     {function['qualname']} of {function['module']}",
        f"installs     {', '.join(needs['external_dependencies']) or 'nothing'}",
        f"cluster's    {'files are used' if needs['requires_cluster_filesystem'] else 'files are not used'}",
        "",
    ]
    lines += [f"{size(length):>10}  {name}" for name, length in sorted(files.items())]
    return [*lines, "", *function["source"].rstrip().splitlines()]
