"""Commands that look at the cluster's files, as ``cluster_ls`` and its kin do."""

from __future__ import annotations

from typing import Any

import click

from clustrix.commands.output import moment, print_json, print_name, print_table, size
from clustrix.commands.parameters import as_json, profile, tell_if_here

__all__ = ["du", "find", "ls", "stat"]

_WHOSE = "these are files of this computer"
_path = click.argument("path", default=".")


@click.command()
@_path
@profile
@click.option("-l", "--long", "is_long", is_flag=True, help="With permissions, size and time.")
@as_json
def ls(path: str, is_long: bool, as_json: bool) -> None:
    """List a directory of the cluster. Relative paths begin at remote_work_dir."""
    from clustrix.filesystem import cluster_ls, cluster_stat

    tell_if_here(_WHOSE)
    names = cluster_ls(path)
    if not is_long:
        _print_names(names, is_json=as_json)
        return
    found = [(name, cluster_stat(f"{path}/{name}")) for name in names]
    if as_json:
        print_json([{**_facts(info), "name": name} for name, info in found])
        return
    rows = [_row(name, info) for name, info in found]
    print_table(("permissions", "size", "modified", "name"), rows)


@click.command()
@_path
@profile
@click.option("-n", "--name", default="*", show_default=True, help="A pattern of names, such as '*.csv'.")
@as_json
def find(path: str, name: str, as_json: bool) -> None:
    """Find files below a directory of the cluster."""
    from clustrix.filesystem import cluster_find

    tell_if_here(_WHOSE)
    _print_names(cluster_find(name, path), is_json=as_json)


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@profile
@as_json
def stat(paths: tuple[str, ...], as_json: bool) -> None:
    """Show permissions, size and time of files on the cluster."""
    from clustrix.filesystem import cluster_stat

    tell_if_here(_WHOSE)
    found = [(path, cluster_stat(path)) for path in paths]
    if as_json:
        print_json([{**_facts(info), "name": path} for path, info in found])
    else:
        print_table(("permissions", "size", "modified", "name"), [_row(path, info) for path, info in found])


@click.command()
@_path
@profile
@as_json
def du(path: str, as_json: bool) -> None:
    """Sum up the sizes of the files below a directory of the cluster."""
    from clustrix.filesystem import cluster_du

    tell_if_here(_WHOSE)
    usage = cluster_du(path)
    if as_json:
        print_json({"path": path, "total_bytes": usage.total_bytes, "file_count": usage.file_count})
    else:
        click.echo(f"{size(usage.total_bytes)} in {usage.file_count} files")


def _print_names(names: list[str], *, is_json: bool) -> None:
    if is_json:
        print_json(names)
        return
    for name in names:
        print_name(name)


def _facts(info: Any) -> dict[str, Any]:
    facts = {"size": info.size, "modified": info.modified, "is_dir": info.is_dir, "permissions": info.permissions}
    return {**facts, "name": info.name}


def _row(name: str, info: Any) -> tuple[str, ...]:
    return info.permissions, size(info.size), moment(info.modified), name + ("/" if info.is_dir else "")
