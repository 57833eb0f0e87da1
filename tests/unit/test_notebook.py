"""What a notebook's cells define is packed from them: a real kernel runs the cells."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import nbclient
import nbformat
import pytest
from packed_script import PACK, ROOT, Packed

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    # The kernel's client makes its event loop, and temporary files, as it likes.
    pytest.mark.filterwarnings("ignore"),
]


def run(directory: Path, cells: list[str], entry: str = "f", *, edited: dict[int, str] | None = None) -> Packed:
    """Run the cells in a kernel, then those in ``edited`` once more with another text, and pack ``entry`` there."""
    ran = [*cells, *(edited or {}).values(), PACK.replace("ENTRY", entry)]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in ran])
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "CLUSTRIX_PACKAGE_DIR": str(directory / "packages"),
        "IPYTHONDIR": str(directory / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(directory / "runtime"),
    }
    from jupyter_client.manager import KernelManager

    manager = KernelManager()
    manager.kernel_cmd = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    manager._kernel_spec = None
    client = nbclient.NotebookClient(notebook, km=manager, timeout=60, resources={"metadata": {"path": str(directory)}})
    client.execute(env=environment, cleanup_kc=True)
    shown = "".join(item.get("text", "") for item in notebook.cells[-1].outputs)
    return Packed(json.loads(shown.splitlines()[-1]))


CELLS: dict[str, tuple[list[str], Any]] = {
    "functions over cells": (["import math", "K = 2\ndef g(x): return math.floor(x) * K", "def f(x): return g(x) + 1"], 9),
    "an imported module's function in the same cell": (["import math\ndef f(x): return math.floor(x) + 1"], 5),
    "open, which IPython wraps": (["def f(x):\n    with open('/dev/null') as stream: return len(stream.read()) + x"], 4),
    "a class": (["class C:\n    k = 2\n    def grown(self, x): return self.k * x", "def f(x): return C().grown(x)"], 8),
    "a dataclass": (
        ["from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int = 1", "def f(x): return P(x).x + P().x"], 5,
    ),
    "a class with another's object": (["class C:\n    def __init__(self, n): self.n = n", "c = C(3)\ndef f(x): return c.n + x"], 7),
    "a timed cell": (["%%time\ndef g(x): return x + 1\nclass C:\n    def m(self, x): return g(x)", "def f(x): return C().m(x)"], 5),
    "magics in a cell": (["%load_ext autoreload\ndef g(x): return x + 1\nfiles = !ls", "def f(x): return g(x)"], 5),
    "a lambda": (["g = lambda x: x + 1; h = lambda x: x - 1", "def f(x): return h(x)"], 3),
    "a cell that awaits": (["import asyncio\nawait asyncio.sleep(0)\ndef f(x): return x + 1"], 5),
}  # fmt: skip


@pytest.mark.parametrize("name", CELLS)
def test_what_cells_define(tmp_path: Path, name: str) -> None:
    cells, expected = CELLS[name]
    packed = run(tmp_path, cells)
    assert not packed.error
    assert not packed.metadata["dependencies"]["external_dependencies"]
    assert packed.run(4) == expected


def test_an_edited_cell_is_its_newest_text_and_what_was_not_run_again_is_as_it_was(tmp_path: Path) -> None:
    cells = [
        "class C:\n    k = 1\n    def m(self): return self.k",
        "def g(): return 10",
        "first = g\ndef f(x): return C().m() + g() + first() + x",
    ]
    packed = run(
        tmp_path, cells, edited={0: "class C:\n    k = 2\n    def m(self): return self.k", 1: "def g(): return 20"}
    )
    assert not packed.error
    assert packed.run(4) == 2 + 20 + 10 + 4


WAITING = """
import threading, time
from clustrix import progress
track = progress.Track("analyse", is_shown=True)
over = threading.Event()

def end_when_drawn():
    while progress._board._drawing is None:
        time.sleep(0.02)
    over.set()

threading.Thread(target=end_when_drawn).start()
with progress.watching(track):
    over.wait()
print("end")
"""


def test_what_is_under_way_is_drawn_once_in_the_output_of_the_cell_that_waits(tmp_path: Path) -> None:
    from jupyter_client.manager import KernelManager

    manager = KernelManager()
    manager.kernel_cmd = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    manager._kernel_spec = None
    manager.start_kernel(env={**os.environ, "IPYTHONDIR": str(tmp_path), "JUPYTER_RUNTIME_DIR": str(tmp_path)})
    client = manager.client()
    client.start_channels()
    shown: list[dict[str, Any]] = []
    try:
        client.wait_for_ready(timeout=60)
        client.execute_interactive(WAITING, timeout=60, output_hook=shown.append)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    first, *others, last = [message for message in shown if message["msg_type"] not in ("status", "execute_input")]
    assert first["msg_type"] == "display_data"
    assert "sending" in first["content"]["data"]["text/html"]
    assert {message["msg_type"] for message in others} == {"update_display_data"}
    assert {message["content"]["transient"]["display_id"] for message in others} == {
        first["content"]["transient"]["display_id"]
    }
    assert others[-1]["content"]["data"] == {"text/plain": "", "text/html": ""}
    assert last["content"] == {"name": "stdout", "text": "end\n"}
