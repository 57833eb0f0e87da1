"""Functions that are in no file: given to ``python -c``, redirected to stdin, or typed in at a terminal."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from packed_script import PACK, ROOT, Packed

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """\
from dataclasses import dataclass

@dataclass
class Point:
    x: int = 2
    def grown(self, k):
        return Point(self.x * k)

SCALE = 3
shift = lambda y: y + SCALE

def helper(x):
    return Point().grown(x).x

def f(x):
    return shift(helper(x))
"""


def environment(directory: Path, **more: str) -> dict[str, str]:
    # A history of its own: the terminal's user has one, too.
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "CLUSTRIX_PACKAGE_DIR": str(directory / "packages"),
        "PYTHON_HISTORY": str(directory / "history"),
        "HOME": str(directory),
        **more,
    }


def answer_of(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def run(arguments: list[str], directory: Path, **more: Any) -> Any:
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env=environment(directory),
        timeout=60,
        check=False,
        **more,
    )
    return answer_of(done)


@pytest.mark.parametrize("options", [["-c"], ["-W", "ignore", "-Bc"]])
def test_a_program_given_with_c(tmp_path: Path, options: list[str]) -> None:
    answer = run([*options, PROGRAM + PACK.replace("ENTRY", "f")], tmp_path)
    assert "error" not in answer
    assert Packed(answer).run(2) == 7


@pytest.mark.parametrize("options", [[], ["-"]])
def test_a_program_redirected_to_stdin(tmp_path: Path, options: list[str]) -> None:
    script = tmp_path / "script"
    script.write_text(PROGRAM + PACK.replace("ENTRY", "f"))
    with script.open() as stream:
        answer = run(options, tmp_path, stdin=stream)
    assert "error" not in answer
    assert Packed(answer).run(2) == 7


def test_a_program_from_a_pipe_is_refused_with_a_way_out(tmp_path: Path) -> None:
    answer = run([], tmp_path, input=PROGRAM + PACK.replace("ENTRY", "f"))
    assert "write it to a file" in answer["error"]


class Terminal:
    """An interactive interpreter at a terminal of its own."""

    def __init__(self, directory: Path, term: str) -> None:
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-q"],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment(directory, TERM=term, COLUMNS="200", LINES="50", PYTHON_COLORS="0"),
            start_new_session=True,
        )
        os.close(slave)
        self.shown = ""
        self.wait_for(">>> ")

    def wait_for(self, text: str) -> str:
        """What is shown up to ``text`` and with it; it is then forgotten."""
        deadline = time.monotonic() + 60
        while text not in self.shown:
            ready, _, _ = select.select([self.master], [], [], deadline - time.monotonic())
            assert ready, self.shown
            self.shown += os.read(self.master, 1 << 16).decode(errors="replace")
        before, _, self.shown = self.shown.partition(text)
        return before + text

    def type(self, line: str, prompt: str) -> None:
        os.write(self.master, line.encode() + b"\r")
        self.wait_for(prompt)

    def close(self) -> None:
        os.close(self.master)
        self.process.kill()
        self.process.wait()


@pytest.mark.parametrize("term", ["xterm", "dumb"])
def test_what_was_typed_in_at_a_terminal(tmp_path: Path, term: str) -> None:
    """From 3.13 on, a capable terminal gets another read-eval-print loop than a dumb one."""
    result = tmp_path / "answer"
    script = tmp_path / "packing.py"
    script.write_text(
        "def pack(function):\n    import contextlib, io\n    text = io.StringIO()\n"
        "    namespace = {'__name__': '__main__', 'function': function}\n"
        f"    with contextlib.redirect_stdout(text):\n        exec({PACK.replace('ENTRY', 'function')!r}, namespace)\n"
        f"    open({str(result)!r}, 'w').write(text.getvalue().splitlines()[-1])\n"
    )
    terminal = Terminal(tmp_path, term)
    try:
        terminal.type(f"import sys; sys.path.insert(0, {str(tmp_path)!r})", ">>> ")
        lines = PROGRAM.splitlines()
        for line, following in zip(lines, [*lines[1:], ""], strict=True):
            if line:
                # The new loop indents by itself: what it offers is taken back first.
                text = "\x15" + line if term == "xterm" and sys.version_info >= (3, 13) else line
                is_within = line.startswith((" ", "@")) or line.endswith(":")
                terminal.type(text, "... " if is_within else ">>> ")
                if is_within and not following:
                    terminal.type("\x15" if term == "xterm" and sys.version_info >= (3, 13) else "", ">>> ")
        terminal.type("from packing import pack; pack(f)", ">>> ")
        packed = Packed(json.loads(result.read_text()))
    finally:
        terminal.close()
    assert not packed.error
    assert packed.run(2) == 7
