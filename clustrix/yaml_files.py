"""YAML files of settings: every scalar is read as text, and each key remembers its line."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clustrix.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Lines", "parse_yaml", "write_yaml"]


class Lines(dict[str, Any]):
    """A mapping of a file that knows on which line each of its keys stands."""

    line_of: dict[str, int]

    def __init__(self) -> None:
        super().__init__()
        self.line_of = {}


def parse_yaml(text: str, origin: str) -> Any:
    import yaml  # noqa: PLC0415 - 15 ms that only a file or a list in the environment costs

    try:
        return yaml.load(text, Loader=_text_loader())  # noqa: S506 - it is a SafeLoader
    except yaml.YAMLError as error:
        # The error's own text quotes the file's lines, which may hold what nobody should see in a log.
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise ConfigurationError(
            f"{origin}{line}: this is not YAML: {getattr(error, 'problem', None) or 'unreadable'}"
        ) from None


@functools.cache
def _text_loader() -> type[Any]:
    """YAML's safe loader, for which every scalar is text but ``null``: a field's kind decides what the text means."""
    import yaml  # noqa: PLC0415

    class TextLoader(yaml.SafeLoader):
        pass

    TextLoader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in known if tag.endswith((":null", ":merge"))]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def mapping(loader: Any, node: Any) -> Lines:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.value in seen:
                problem = "a name is there twice" if isinstance(key_node, yaml.ScalarNode) else "a name has to be text"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key_node.value)
        loader.flatten_mapping(node)
        result = Lines()
        for key_node, value_node in node.value:
            result[key_node.value] = loader.construct_object(value_node, deep=True)
            result.line_of[key_node.value] = key_node.start_mark.line + 1
        return result

    TextLoader.add_constructor("tag:yaml.org,2002:map", mapping)
    return TextLoader


def write_yaml(path: Path, content: Mapping[str, Any]) -> None:
    """Written aside and renamed, so that nobody reads half a file; 0600 from its first byte."""
    import tempfile  # noqa: PLC0415 - with shutil and all its compressors it takes longer than this module

    import yaml  # noqa: PLC0415

    target = Path(os.path.realpath(path.expanduser()))  # a link to a file elsewhere stays a link
    try:
        # ~/.clustrix is also the state directory where client and cluster share a home: 0700 or refused.
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, aside = tempfile.mkstemp(dir=target.parent, prefix=target.name)
        try:
            with open(descriptor, "w", encoding="utf-8") as stream:  # noqa: PTH123 - a descriptor
                yaml.safe_dump(dict(content), stream, sort_keys=False)
                stream.flush()
                os.fsync(stream.fileno())
            Path(aside).replace(target)
        except BaseException:
            Path(aside).unlink()
            raise
    except OSError as error:
        raise ConfigurationError(f"{path} can't be written: {error}") from error
