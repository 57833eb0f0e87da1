"""What was found out about the cluster, kept between agents: a cache, which may be lost, damaged or written by two at once."""

import json
import threading
from typing import Any, Dict, Optional

from .paths import write_aside

__all__ = ["Notes"]


class Notes:
    """Plain data by section and key, in the JSON file ``path``; in this process alone when that is None."""

    def __init__(self, path: Optional[str] = None) -> None:
        self._path = path
        self._guard = threading.Lock()
        self._sections = self._read()

    def get(self, section: str, key: str) -> Any:
        with self._guard:
            return self._sections.get(section, {}).get(key)

    def put(self, section: str, values: Dict[str, Any]) -> None:
        """Keep ``values`` beside what the section has; what other agents wrote meanwhile stays."""
        with self._guard:
            for name, known in self._read().items():
                self._sections[name] = dict(known, **self._sections.get(name, {}))
            self._sections[section] = dict(self._sections.get(section, {}), **values)
            if self._path is not None:
                try:
                    write_aside(self._path, json.dumps(self._sections).encode("utf-8"))
                except OSError:  # a full disk: the next agent asks again
                    return

    def _read(self) -> Dict[str, Dict[str, Any]]:
        if self._path is None:
            return {}
        try:
            with open(self._path, encoding="utf-8") as stream:
                content = json.load(stream)
        except (OSError, ValueError):
            return {}
        if not isinstance(content, dict):
            return {}
        return {name: section for name, section in content.items() if isinstance(section, dict)}
