import importlib.util
import os
import pickle
import sys

import pytest
from clustrix_remote.bytecode import MAGIC, BytecodeError, check_magic, load_function


def test_bytecode_of_another_python_is_never_read():
    with pytest.raises(BytecodeError, match="f is bytecode with the magic number 00000d0a, and Python 3"):
        load_function("/nowhere", pickle.dumps(os.getcwd), {"name": "f", "magic": "00000d0a"})


def test_the_magic_number_is_this_pythons():
    assert bytes.fromhex(MAGIC) == importlib.util.MAGIC_NUMBER
    check_magic({"name": "f", "magic": MAGIC})


def test_what_came_with_the_package_is_found_before_what_is_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "tools" / "cloudpickle_of_the_client").mkdir(parents=True)
    (tmp_path / "tools" / "cloudpickle_of_the_client" / "__init__.py").write_text("def made(): return len\n")
    data = b"ccloudpickle_of_the_client\nmade\n(tR."
    assert load_function(str(tmp_path), data, {"name": "f", "magic": MAGIC}) is len
