"""Builds the images: of public images where a registry can be reached, of this machine's own means elsewhere."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import docker
import docker.errors
from filelock import FileLock
from platformdirs import user_cache_path

from simcluster.docker.local_images import find_interpreters, make_base, make_interpreter
from simcluster.errors import ImageBuildError

if TYPE_CHECKING:
    from collections.abc import Callable

    from docker.models.images import Image

    from simcluster.docker.recipe import ImageRecipe

__all__ = ["PYTHONS_LABEL", "build_image", "ensure_image", "pythons_in"]

PYTHONS_LABEL = "simcluster.pythons"

_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY")


def ensure_image(client: docker.DockerClient, recipe: ImageRecipe) -> Image:
    """The image of `recipe`, built now if this machine does not have it."""
    try:
        return client.images.get(recipe.tag)
    except docker.errors.ImageNotFound:
        return build_image(client, recipe, _tell_stderr)


def build_image(
    client: docker.DockerClient,
    recipe: ImageRecipe,
    say: Callable[[str], None],
    log: Callable[[str], None] = lambda _line: None,
) -> Image:
    """Build the image of `recipe`. `say` gets a line for each larger step, `log` each line of the builder's output."""
    lock = user_cache_path("simcluster", ensure_exists=True) / "build.lock"
    with FileLock(lock):
        try:
            return client.images.get(recipe.tag)  # another process built it meanwhile
        except docker.errors.ImageNotFound:
            pass
        say(f"building {recipe.tag} (once; about two minutes)")
        arguments, pythons = _parts(client, recipe, say)
        arguments |= {name: os.environ[name] for name in _PROXIES if name in os.environ}
        arguments["MIRROR"] = recipe.mirror
        _run_build(client, recipe, arguments, pythons, log)
        say(f"built {recipe.tag}")
        return client.images.get(recipe.tag)


def pythons_in(image: Image) -> tuple[str, ...]:
    """The Python versions that an image has, the oldest first."""
    return tuple(image.labels[PYTHONS_LABEL].split())


def _parts(
    client: docker.DockerClient, recipe: ImageRecipe, say: Callable[[str], None]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The build arguments that name the base and the interpreters, and which versions those are."""
    left_out = [version for version in _build_arguments() if version not in recipe.pythons]
    if _registry_has(client, recipe.base):
        arguments = {_build_arguments()[version]: recipe.base for version in left_out}
        return {"BASE": recipe.base, **arguments}, recipe.pythons

    say(f"no registry of images has {recipe.base} for us: using this machine's Debian mirror and pyenv's interpreters")
    base = make_base(client, recipe.base, say)
    found = find_interpreters()
    pythons = tuple(version for version in recipe.pythons if version in found)
    if not pythons:
        raise ImageBuildError(
            "no interpreters: a registry of images can't be reached, and pyenv has none of Python "
            f"{', '.join(recipe.pythons)} here; install some, for example: pyenv install {recipe.pythons[-1]}"
        )
    arguments = dict.fromkeys(_build_arguments().values(), base)
    arguments |= {_build_arguments()[v]: make_interpreter(client, found[v], say) for v in pythons}
    return {"BASE": base, **arguments}, pythons


def _build_arguments() -> dict[str, str]:
    from simcluster.docker.recipe import ALL_PYTHONS

    return {version: f"PYTHON{version.replace('.', '')}" for version in ALL_PYTHONS}


def _registry_has(client: docker.DockerClient, image: str) -> bool:
    try:
        client.api.inspect_distribution(image)
    except docker.errors.APIError:
        return False
    return True


def _run_build(
    client: docker.DockerClient,
    recipe: ImageRecipe,
    arguments: dict[str, str],
    pythons: tuple[str, ...],
    log: Callable[[str], None],
) -> None:
    lines: list[str] = []
    events = client.api.build(
        fileobj=recipe.context(),
        custom_context=True,
        tag=recipe.tag,
        target=recipe.target,
        buildargs=arguments,
        labels={PYTHONS_LABEL: " ".join(pythons)},
        rm=True,
        forcerm=True,
        decode=True,
    )
    for event in events:
        for line in str(event.get("stream") or event.get("error") or "").splitlines():
            lines.append(line)
            log(line)
        if "error" in event:
            raise ImageBuildError(f"{recipe.tag} could not be built:\n" + "\n".join(lines[-25:]))


def _tell_stderr(line: str) -> None:
    print(f"simcluster: {line}", file=sys.stderr, flush=True)  # noqa: T201
