"""A Jupyter kernel, as a notebook has one: it runs the blocks of a page one after the other."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import nbclient
import nbformat
from jupyter_client.manager import KernelManager

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["Kernel", "running_kernel"]

_LONGEST_CELL = 120  # seconds


class Kernel:
    """What was run in it so far is its notebook."""

    def __init__(self, client: nbclient.NotebookClient) -> None:
        self._client = client

    def run(self, text: str) -> None:
        """Run a block as the next cell. What it raises is raised, with its traceback as text."""
        cells = self._client.nb.cells
        cells.append(nbformat.v4.new_code_cell(text))
        self._client.execute_cell(cells[-1], len(cells) - 1)


@contextmanager
def running_kernel(directory: Path, environment: Mapping[str, str]) -> Iterator[Kernel]:
    """A kernel of this Python in that directory."""
    client = client_of(nbformat.v4.new_notebook(), directory)
    with client.setup_kernel(env=dict(environment), cleanup_kc=True):
        yield Kernel(client)


def client_of(notebook: nbformat.NotebookNode, directory: Path) -> nbclient.NotebookClient:
    """Who runs that notebook: by this Python, whichever kernels are installed."""
    manager = KernelManager()
    manager.kernel_cmd = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    manager._kernel_spec = None
    resources = {"metadata": {"path": str(directory)}}
    client = nbclient.NotebookClient(notebook, km=manager, timeout=_LONGEST_CELL, resources=resources)
    client.reset_execution_trackers()
    return client
