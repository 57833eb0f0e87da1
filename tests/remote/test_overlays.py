"""Overlays: what this Python does not take as it is, the client rewrites once; the rest is refused before the job is queued."""

import json
import os
import sys

import pytest
from clustrix_remote import compiling, interpreters, overlays, packages
from clustrix_remote.original_lines import show_original_lines
from clustrix_remote.paths import open_state_dir

# No Python takes it, so that one test is for all of them.
REFUSED = "def f(x):\n    return x ~ 1  # the user's own\n"
REWRITTEN = "def f(x):\n    return x / 0\n"


@pytest.fixture
def state(tmp_path):
    return open_state_dir(str(tmp_path / "state"))


@pytest.fixture
def interpreter():
    return interpreters.Interpreter(sys.executable, tuple(sys.version_info[:3]), "linux-x86_64")


def packed(state, **files):
    for name, text in {"data__a.csv": "1", **files}.items():
        path = os.path.join(state.package("p1"), *name.split("__"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)


def text_of(path):
    with open(path, encoding="utf-8") as stream:
        return stream.read()


class Client:
    """Answers with these files and notes."""

    def __init__(self, files=(), notes=(), unsupported=()):
        self.answer = {"files": dict(files), "notes": list(notes), "unsupported": list(unsupported)}
        self.asked = []

    def __call__(self, piece, **about):
        self.asked.append((piece, about))
        return json.dumps(self.answer).encode()


@pytest.fixture
def runnable(state, interpreter):
    said = []

    def call(client, rewriter="r1"):
        spec = {"package": "p1", "rewriter": rewriter}
        directory = overlays.runnable(state, spec, [sys.executable], interpreter, report=said.append, ask=client)
        return os.path.relpath(directory, state.root)

    call.said = said
    return call


def overlay_name(rewriter="r1"):
    return os.path.join("overlays", "p1-%d.%d.%d-%s" % (*sys.version_info[:3], rewriter))


def test_what_this_python_takes_is_asked_once_and_nobody_else(state, runnable):
    packed(state, **{"main.py": "x = 1\n"})
    client = Client()
    assert runnable(client) == os.path.join("packages", "p1")
    packed(state, **{"main.py": REFUSED})
    assert runnable(client) == os.path.join("packages", "p1")
    assert (client.asked, runnable.said) == ([], [])


def test_what_it_refuses_is_rewritten_once_and_said_once(state, runnable):
    packed(state, **{"main.py": REFUSED, "modules__kept__a.py": "a = 1\n", "modules__kept__a.txt": "text"})
    client = Client({"main.py": REWRITTEN}, [["main.py", 2, "tilde"], ["main.py", 3, "tilde"], ["main.py", 3, "other"]])
    for _ in range(2):
        assert runnable(client) == overlay_name()
    version = list(sys.version_info[:3])
    assert client.asked == [("overlay", {"version": version, "files": ["main.py"]})]
    assert [line.partition(": ")[2] for line in runnable.said] == [
        "tilde (main.py, lines 2, 3), other (main.py, line 3)"
    ]
    root = os.path.join(state.root, overlay_name())
    found = sorted(os.path.relpath(os.path.join(d, n), root) for d, _, names in os.walk(root) for n in names)
    assert found == ["main.py", "modules/kept/a.py", "modules/kept/a.txt", "overlay.json"]
    assert text_of(os.path.join(root, "main.py")) == REWRITTEN


def test_what_another_rewriter_wrote_is_not_taken(state, runnable):
    packed(state, **{"main.py": REFUSED})
    client = Client({"main.py": REWRITTEN})
    assert runnable(client) != runnable(client, "r2")
    assert len(client.asked) == 2


def leftovers(state):
    return os.listdir(os.path.join(state.root, "overlays"))


def test_what_can_not_be_rewritten_is_refused_with_line_feature_and_the_python_that_has_it(state, runnable):
    packed(state, modules__m__py="", **{"main.py": REFUSED})
    client = Client({}, [], [["main.py", 2, "match statement", [3, 99]], ["modules/m.py", 7, "except*", [3, 11]]])
    with pytest.raises(overlays.SyntaxRefusedError) as refused:
        runnable(client)
    words = str(refused.value)
    assert "main.py, line 2: match statement; modules/m.py, line 7: except*. It takes Python 3.99." in words
    assert "there are only" in words
    assert leftovers(state) == []


def test_a_file_that_is_refused_even_as_rewritten_is_no_overlay(state, runnable):
    packed(state, **{"main.py": REFUSED})
    with pytest.raises(overlays.SyntaxRefusedError, match="line 2: invalid syntax"):
        runnable(Client({"main.py": REFUSED}))
    assert leftovers(state) == []


@pytest.mark.parametrize("name", ["../x", "modules/other.py", "/tmp/x"])
def test_a_file_that_nobody_asked_for_is_not_written(state, runnable, name):
    packed(state, **{"main.py": REFUSED})
    with pytest.raises(packages.PackageError, match="nobody asked for"):
        runnable(Client({name: "x = 1\n"}))
    assert leftovers(state) == []


@pytest.mark.skipif(sys.version_info >= (3, 10), reason="this Python can evaluate them")
def test_annotations_that_this_python_compiles_and_can_not_evaluate_are_found(state):
    texts = {
        "a": "def f():\n    x: int | None = 1\n",
        "b": "x: int = 1\n\nclass C:\n    y: int | None\n",
        "c": "from __future__ import division\ndef f(x, *y: 'int | None') -> str: pass\n",
    }
    packed(state, **{"modules__%s.py" % name: text for name, text in texts.items()})
    found = compiling.refusals([sys.executable], state.package("p1"))
    assert found == [("modules/b.py", 4, "annotation", "", False)]


def test_a_python_that_can_not_be_asked_is_no_verdict(state):
    packed(state, **{"main.py": "x = 1\n"})
    with pytest.raises(compiling.CompileError, match="exit status 1"):
        compiling.refusals(["/bin/false"], state.package("p1"))


def test_tracebacks_show_the_lines_of_the_package(state, runnable):
    import linecache
    import traceback

    packed(state, **{"main.py": REFUSED})
    root = os.path.join(state.root, runnable(Client({"main.py": REWRITTEN})))
    show_original_lines(root, state.package("p1"))
    path = os.path.join(root, "main.py")
    module = {}
    exec(compile(text_of(path), path, "exec"), module)
    with pytest.raises(ZeroDivisionError) as raised:
        module["f"](1)
    linecache.checkcache()
    assert "return x ~ 1  # the user's own" in "".join(traceback.format_tb(raised.value.__traceback__))
