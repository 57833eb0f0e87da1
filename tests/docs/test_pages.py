"""What stands in the pages works: their Python runs as a notebook's cells, their shell lines in a shell, on an emulated cluster.

A page's blocks are run in order, in one directory and one kernel. What a block needs that would only distract
is in an invisible block, a comment, before it. What can't be run here has `<!-- skip: next "why" -->` before it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from unittest import SkipTest

import click
import pytest
from nbclient.exceptions import CellExecutionError
from page_kernel import running_kernel
from sybil import Sybil
from sybil.parsers.myst import CodeBlockParser, SkipParser

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
WRITTEN_BY_CODE = ("conformance.md", "conformance-native.md")  # a transcript, not something to do


class Reader:
    """Who does what a page says; in the pages she is called ada, and here as the cluster's user is."""

    def __init__(self, directory, environment, kernel, name):
        self.directory, self.environment, self.kernel, self.name = directory, environment, kernel, name

    def run_python(self, example):
        if "import pytest" in example.parsed:
            self._run_tests(example)
        else:
            self.kernel.run(example.parsed.replace('"ada"', repr(self.name)))

    def run_shell(self, example):
        self._run(["bash", "-euo", "pipefail", "-c", example.parsed])

    def _run_tests(self, example):
        (self.directory / "test_of_the_page.py").write_text(example.parsed)
        self._run([sys.executable, "-m", "pytest", "-q", "--timeout=120", "test_of_the_page.py"])

    def _run(self, command):
        done = subprocess.run(
            command, cwd=self.directory, env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def blocks_of(page, reader):
    runners = {"python": reader.run_python, "ipython": reader.run_python, "bash": reader.run_shell}
    parsers = [SkipParser(), *(CodeBlockParser(language, run) for language, run in runners.items())]
    return Sybil(parsers).parse(page).examples()


def has_blocks(page):
    text = page.read_text(encoding="utf-8")
    return page.name not in WRITTEN_BY_CODE and ("```python" in text or "```bash" in text)


@pytest.mark.filterwarnings("ignore")  # the kernel's client makes its event loop, and temporary files, as it likes
@pytest.mark.parametrize(
    "page", [page for page in PAGES if has_blocks(page)], ids=lambda page: page.relative_to(ROOT).as_posix()
)
def test_what_a_page_says_works(page, tmp_path, environment, site):
    with running_kernel(tmp_path, environment) as kernel:
        for block in blocks_of(page, Reader(tmp_path, environment, kernel, site.ssh.username)):
            do(block, page)


def do(block, page):
    try:
        block.evaluate()
    except SkipTest as reason:
        print(f"{page}:{block.line} is left out: {reason}")
    except (AssertionError, CellExecutionError, subprocess.TimeoutExpired) as error:
        pytest.fail(f"{page}:{block.line}: {click.unstyle(str(error))}", pytrace=False)
