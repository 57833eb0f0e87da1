"""Builds the images: of public images where a registry can be reached, of this machine's own means elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import docker
import docker.errors
from filelock import FileLock
from platformdirs import user_cache_path

from simcluster.docker.engine import proxies
from simcluster.docker.local_images import find_interpreters, make_base, make_interpreter
from simcluster.errors import ImageBuildError
from simcluster.spec import PYTHONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from docker.models.images import Image

    from simcluster.docker.recipe import ImageRecipe

__all__ = ["build_image", "ensure_image", "pythons_in"]

_FAMILY = "simcluster.family"
_PYTHONS = "simcluster.pythons"

_BUILD_ARGUMENTS = {version: f"PYTHON{version.replace('.', '')}" for version in PYTHONS}


def ensure_image(client: docker.DockerClient, recipe: ImageRecipe, pythons: tuple[str, ...] | None) -> Image:
    """An image made of the recipe, with at least `pythons` (None: with what the recipe has); built now if need be."""
    images = client.images.list(filters={"label": f"{_FAMILY}={recipe.family}"})
    for image in sorted(images, key=lambda image: len(pythons_in(image)), reverse=True):
        if recipe.tag in image.tags or set(pythons or recipe.pythons) <= set(pythons_in(image)):
            return image
    return build_image(client, recipe, _tell_stderr)


def pythons_in(image: Image) -> tuple[str, ...]:
    """The Python versions that an image has, the oldest first."""
    return tuple(image.labels[_PYTHONS].split())


def build_image(
    client: docker.DockerClient,
    recipe: ImageRecipe,
    say: Callable[[str], None],
    log: Callable[[str], None] | None = None,
    again: bool = False,
) -> Image:
    """Build the image of `recipe` unless it is there, or in any case with `again`.

    `say` gets a line for each larger step, `log` each line of the builder's output.
    """
    with FileLock(user_cache_path("simcluster", ensure_exists=True) / "build.lock"):
        return _built(client, recipe, say, log, again)


def _built(
    client: docker.DockerClient,
    recipe: ImageRecipe,
    say: Callable[[str], None],
    log: Callable[[str], None] | None,
    again: bool,
) -> Image:
    if not again and client.images.list(recipe.tag):
        return client.images.get(recipe.tag)
    host = _built(client, recipe.host, say, log, again) if recipe.host else None
    say(f"building {recipe.tag} (once; it takes a minute or two)")
    if host:
        arguments, pythons = {"HOST": str(host.id), "PBS_BASE": recipe.pbs_base}, pythons_in(host)
    else:
        arguments, pythons = _parts(client, recipe, say)
    arguments |= proxies() | {"MIRROR": recipe.mirror}
    labels = {_FAMILY: recipe.family, _PYTHONS: " ".join(pythons)}
    _run_build(client, recipe, arguments, labels, log)
    return client.images.get(recipe.tag)


def _parts(
    client: docker.DockerClient, recipe: ImageRecipe, say: Callable[[str], None]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The build arguments that name the base and the interpreters, and which versions those are."""
    if _registry_has(client, recipe.base):
        left_out = {_BUILD_ARGUMENTS[version]: recipe.base for version in PYTHONS if version not in recipe.pythons}
        return {"BASE": recipe.base, **left_out}, recipe.pythons

    say(f"no registry of images offers {recipe.base}: using Debian's packages and this machine's interpreters")
    base = make_base(client, recipe.base, say)
    found = find_interpreters()
    pythons = tuple(version for version in recipe.pythons if version in found)
    if not pythons:
        raise ImageBuildError(
            f"no registry of images can be reached, and pyenv has none of Python {', '.join(recipe.pythons)} here;"
            f" install some, for example: pyenv install {recipe.pythons[-1]}"
        )
    arguments = dict.fromkeys(_BUILD_ARGUMENTS.values(), base)
    arguments |= {_BUILD_ARGUMENTS[version]: make_interpreter(client, found[version], say) for version in pythons}
    return {"BASE": base, **arguments}, pythons


def _registry_has(client: docker.DockerClient, image: str) -> bool:
    try:
        client.images.get_registry_data(image)
    except docker.errors.APIError:
        return False
    return True


def _run_build(
    client: docker.DockerClient,
    recipe: ImageRecipe,
    arguments: dict[str, str],
    labels: dict[str, str],
    log: Callable[[str], None] | None,
) -> None:
    lines: list[str] = []
    events = client.api.build(
        fileobj=recipe.context(),
        custom_context=True,
        tag=recipe.tag,
        target=recipe.target,
        buildargs=arguments,
        labels=labels,
        rm=True,
        forcerm=True,
        decode=True,
    )
    for event in events:
        for line in str(event.get("stream") or event.get("error") or "").splitlines():
            lines.append(line)
            if log:
                log(line)
        if "error" in event:
            raise ImageBuildError(f"{recipe.tag} could not be built:\n" + "\n".join(lines[-25:]))


def _tell_stderr(line: str) -> None:
    print(f"simcluster: {line}", file=sys.stderr, flush=True)  # noqa: T201
