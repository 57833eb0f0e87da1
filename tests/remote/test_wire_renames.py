"""A name that another version wrote is found where it is here."""

import asyncio
import os
import pathlib
import queue
import re
import sys

import pytest
from clustrix_remote.wire import loads


def written(module, name):
    """The pickle that refers to `name` in `module`, whether they exist or not."""
    return b"\x80\x04c" + module.encode() + b"\n" + name.encode() + b"\n."


def called(module, name, argument):
    """The pickle that calls it with a list of texts."""
    texts = b"".join(b"\x8c" + bytes([len(text.encode())]) + text.encode() for text in argument)
    return written(module, name)[:-1] + b"(" + texts + b"tR."


@pytest.mark.parametrize("module", ["pathlib", "pathlib._local"])
@pytest.mark.parametrize("name", ["Path", "PosixPath", "PurePath", "PurePosixPath", "PureWindowsPath"])
def test_paths_are_found_in_either_module(module, name):
    assert loads(written(module, name)) is getattr(pathlib, name)


@pytest.mark.parametrize("module", ["asyncio.exceptions", "asyncio.futures", "asyncio.base_futures", "asyncio.streams"])
@pytest.mark.parametrize(
    "name", ["CancelledError", "TimeoutError", "InvalidStateError", "IncompleteReadError", "LimitOverrunError"]
)
def test_errors_of_asyncio_are_found_wherever_they_were_defined(module, name):
    assert loads(written(module, name)) is getattr(asyncio, name)


def test_the_empty_queue_is_found_in_either_module():
    assert loads(written("_queue", "Empty")) is loads(written("queue", "Empty")) is queue.Empty


@pytest.mark.parametrize(
    ("module", "name"),
    [("sre_constants", "error"), ("re", "error"), ("re._constants", "PatternError"), ("re", "PatternError")],
)
def test_the_error_of_regular_expressions_is_found_under_all_of_its_names(module, name):
    assert loads(written(module, name)) is re.error


def test_the_main_module_of_a_spawned_child_is_the_main_module():
    assert loads(written("__mp_main__", "__name__")) == sys.modules["__main__"].__name__


@pytest.mark.skipif(os.name == "nt", reason="the other way around there")
def test_a_windows_path_becomes_a_path_of_this_system_if_it_is_relative():
    assert loads(called("pathlib", "WindowsPath", ["data", "run 1.csv"])) == pathlib.Path("data/run 1.csv")
    assert loads(called("pathlib._local", "WindowsPath", [])) == pathlib.Path()


@pytest.mark.skipif(os.name == "nt", reason="the other way around there")
def test_an_absolute_windows_path_stays_what_it_is():
    path = loads(called("pathlib", "WindowsPath", ["C:\\", "data"]))
    assert path == pathlib.PureWindowsPath("C:\\data")


@pytest.mark.parametrize("core", ["core", "_core"])
def test_the_core_of_numpy_is_found_under_both_names(core):
    numpy = pytest.importorskip("numpy")
    scalar = loads(written("numpy.{}.multiarray".format(core), "scalar"))
    assert scalar is numpy.float64(1).__reduce__()[0]
    loads(written("numpy.{}.numeric".format(core), "array_equal"))


@pytest.mark.parametrize("name", ["bool", "bool_"])
def test_numpys_boolean_is_never_mistaken_for_the_builtin(name):
    numpy = pytest.importorskip("numpy")
    assert loads(written("numpy", name)) is numpy.bool_


@pytest.mark.parametrize("module", ["numpy", "numpy.rec"])
def test_numpys_records_are_found_in_either_module(module):
    numpy = pytest.importorskip("numpy")
    assert loads(written(module, "recarray")) is numpy.recarray
    assert loads(written(module, "record")) is numpy.record


def test_what_is_not_here_is_an_import_error():
    with pytest.raises(ImportError, match="no_such_module"):
        loads(written("no_such_module", "Thing"))
    with pytest.raises(AttributeError, match="no_such_name"):
        loads(written("collections", "no_such_name"))
