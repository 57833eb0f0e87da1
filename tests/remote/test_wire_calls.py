"""A function with its arguments, as one pickle."""

import io
import pickle
import sys
import zipfile

import pytest
from clustrix_remote import wire
from clustrix_remote.wire.calls import LOAD_BINDINGS, Call


def package(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def call(files, args=(), entry=None, bindings=None, package_id="p1"):
    written = Call(
        package=package(**files),
        entry=entry or {"kind": "main", "name": "f"},
        package_id=package_id,
        arguments=wire.dumps((args, {})),
        bindings=wire.dumps(bindings) if bindings else b"",
    )
    return wire.dumps(written)


def test_the_function_comes_with_its_captured_values_and_arguments():
    function, args, kwargs = wire.loads(
        call({"main.py": "def f(x): return x + y\n" + LOAD_BINDINGS}, (1,), bindings={"y": 2}, package_id="p2")
    )
    assert function(*args, **kwargs) == 3


def test_what_the_main_file_defines_has_a_module_of_its_own():
    function, _, _ = wire.loads(call({"main.py": "class C: pass\ndef f(): return C()\n"}, package_id="p3"))
    assert function().__class__.__module__ == function.__module__
    assert function.__module__.startswith("clustrix_function_p3")


def test_a_member_that_would_be_written_elsewhere_is_refused(tmp_path):
    with pytest.raises(wire.WireError, match="outside itself"):
        wire.loads(call({"../escaped.py": ""}, package_id="p4"))


def test_a_main_file_that_raises_is_a_reason_and_leaves_no_module():
    before = set(sys.modules)
    with pytest.raises(wire.WireError, match=r"the function f: .*ZeroDivisionError"):
        wire.loads(call({"main.py": "1 / 0\n"}, package_id="p5"))
    assert not [name for name in set(sys.modules) - before if name.startswith("clustrix_function")]


def test_what_a_newer_clustrix_wrote_is_refused(monkeypatch):
    monkeypatch.setattr("clustrix_remote.wire.calls.FORMAT", 2)
    data = call({"main.py": "def f(): pass\n"}, package_id="p6")
    monkeypatch.undo()
    with pytest.raises(wire.WireError, match="a newer clustrix wrote it"):
        wire.loads(data)


def test_a_plain_pickle_reader_is_told_what_to_read_it_with():
    with pytest.raises(pickle.UnpicklingError, match=r"clustrix\.remote\.wire\.loads"):
        pickle.loads(call({"main.py": "def f(): pass\n"}, package_id="p7"))
