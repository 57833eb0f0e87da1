import importlib
import json
import os
import platform
import shutil
import sys
import sysconfig
import tarfile

import pytest
from clustrix_remote import interpreters, login_shell, provisioning
from clustrix_remote.interpreters import InterpreterNotFoundError
from clustrix_remote.notes import Notes

UV = shutil.which("uv", path=os.path.dirname(sys.executable))
needs_uv = pytest.mark.skipif(sys.version_info < (3, 8), reason="uv is for Python 3.8 and newer")
# No machine has it.
WANTED = "3.8.3"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith(("PYENV", "CONDA", "MAMBA", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "pythons"))
    # Nobody listens there.
    monkeypatch.setenv("UV_PYTHON_INSTALL_MIRROR", "http://127.0.0.1:9")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    login_shell._PATH.clear()
    interpreters.keep_notes(Notes())
    yield tmp_path
    login_shell._PATH.clear()
    interpreters.keep_notes(Notes())


def ask(python, is_allowed=True, uv=None, executable=None):
    lines = []
    found = provisioning.choose_or_provision(
        python, executable, sys.version_info[:3], is_allowed=is_allowed, seconds=60.0, report=lines.append, uv=uv
    )
    return found, lines


def test_where_one_fits_nothing_is_fetched():
    assert ask(None, executable=sys.executable)[1] == []


def test_without_permission_the_error_says_that_the_setting_would_do_it():
    with pytest.raises(InterpreterNotFoundError, match=r"no Python 3\.8\.3 .*found: .*With provision_python=True uv"):
        ask(WANTED, is_allowed=False)


def test_without_a_uv_the_error_says_where_one_is_looked_for():
    with pytest.raises(InterpreterNotFoundError, match=r"no Python 3\.8\.3 .*needs a uv on the login node"):
        ask(WANTED)


def test_a_version_that_uv_has_not_is_not_asked_of_it():
    with pytest.raises(InterpreterNotFoundError, match=r"no Python 3\.6\.3 .*uv has none before 3\.8"):
        ask("3.6.3")


def test_a_named_interpreter_that_is_none_is_not_replaced_by_another_one():
    with pytest.raises(InterpreterNotFoundError, match="does not exist"):
        ask(None, executable="/nosuch/python")


@needs_uv
def test_a_uv_that_fails_is_quoted_and_leaves_nothing_that_looks_like_a_python(home):
    with pytest.raises(
        InterpreterNotFoundError, match=r"(?s)no Python 3\.8\.3 .*Fetching one with .*failed: .*127\.0\.0\.1"
    ):
        ask(WANTED, uv=UV)
    assert [item for item in interpreters.survey(is_fresh=True) if item.path.startswith(str(home))] == []
    assert not (home / ".local").exists()


def offered(directory):
    """What uv can fetch, as its own list of downloads says it: this Python alone, which finds its library where it was built for."""
    version, machine = "%d.%d.%d" % sys.version_info[:3], platform.machine()
    library = "python/lib/python%d.%d/" % sys.version_info[:2]
    data = importlib.import_module(sysconfig._get_sysconfigdata_name()).__file__
    with tarfile.open(str(directory / "python.tar.gz"), "w:gz") as archive:
        archive.add(os.path.realpath(sys.executable), "python/bin/python%d.%d" % sys.version_info[:2])
        archive.add(data, library + os.path.basename(data))
    download = {
        "name": "cpython",
        "arch": {"family": machine, "variant": None},
        "os": "linux",
        "libc": "gnu",
        "prerelease": "",
        "url": (directory / "python.tar.gz").as_uri(),
        "sha256": None,
        "variant": None,
        "build": None,
    }
    download.update(zip(("major", "minor", "patch"), sys.version_info[:3]))
    (directory / "downloads.json").write_text(json.dumps({"cpython-%s-linux-%s-gnu" % (version, machine): download}))
    return version, str(directory / "downloads.json")


@needs_uv
def test_with_permission_uv_fetches_the_one_that_was_asked_for(home, monkeypatch):
    version, downloads = offered(home)
    if any(item.version_text == version for item in interpreters.survey()):
        pytest.skip("this machine's own Python is of this very version")
    monkeypatch.delenv("UV_PYTHON_INSTALL_MIRROR")
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS_JSON_URL", downloads)
    found, lines = ask(version, uv=UV)
    assert (found.version_text, found.source) == (version, "uv")
    assert found.path.startswith(str(home / "pythons"))
    assert lines == ["fetching Python %s with %s" % (version, UV)]
    assert not (home / ".local").exists()


@needs_uv
@pytest.mark.parametrize("directory", [".local/bin", ".cargo/bin", "site/bin"])
def test_a_uv_is_found_where_installers_and_login_shells_have_it(home, directory):
    (home / directory).mkdir(parents=True)
    (home / directory / "uv").symlink_to(UV)
    (home / ".bash_profile").write_text("PATH=$HOME/site/bin:$PATH\n")
    assert provisioning.find_uv() == str(home / directory / "uv")
