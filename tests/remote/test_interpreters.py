import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import sysconfig

import pytest
from clustrix_remote import environment_modules, interpreters, login_shell
from clustrix_remote.environment_modules import UnknownModuleError, refuse_unknown_modules
from clustrix_remote.interpreters import Interpreter, InterpreterNotFoundError
from clustrix_remote.notes import Notes
from hypothesis import given
from hypothesis import strategies as st

from environment_fixtures import is_running, wait_for

OWN = os.path.realpath(sys.executable)
NAME = "python%d.%d" % sys.version_info[:2]
OWN_VERSION = "%d.%d.%d" % sys.version_info[:3]
CLIENT = tuple(sys.version_info[:3])
# What a site's start-up file makes of `module`, as Environment Modules and Lmod do: a function that changes its shell.
MODULES = """
export MODULEPATH={modules}
module() {{
  case "$1 $2" in
  "-t avail") echo "$MODULEPATH:" >&2; (cd "$MODULEPATH" && ls -d */*) | sed 's/$/(default)/' >&2 ;;
  load*) . "$MODULEPATH/$2" && LOADEDMODULES=$LOADEDMODULES:$2 ;;
  esac
}}
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A login node's account: a home with nothing in it, and a PATH that has nothing but the shell's programs."""
    for name in list(os.environ):
        if name.startswith(("PYENV", "CONDA", "MAMBA", "UV_", "XDG_", "MODULE", "LOADEDMODULES", "BASH_ENV")):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    (home / "bin").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", "%s:/usr/bin:/bin" % (home / "bin"))
    login_shell._PATH.clear()
    interpreters.keep_notes(Notes(str(tmp_path / "notes.json")))
    yield home
    login_shell._PATH.clear()
    interpreters.keep_notes(Notes())


def another_agent(site):
    interpreters.keep_notes(Notes(str(site.parent / "notes.json")))


def copied(directory, name=NAME):
    """An interpreter of its own: without its library beside it, a Python looks where it was built for."""
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copy(OWN, str(directory / name))
    return str(directory / name)


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def found_in(directory):
    return [item for item in interpreters.survey() if item.path.startswith(str(directory) + os.sep)]


def of(version, **more):
    return Interpreter("/opt/%s/bin/python" % version, tuple(map(int, version.split("."))), "linux-x86_64", **more)


def test_an_interpreter_is_described_as_it_would_describe_itself(site):
    described = interpreters.inspect_interpreter(OWN)
    assert described.path == OWN
    assert described.version == tuple(sys.version_info[:3])
    assert described.platform == sysconfig.get_platform()
    assert described.implementation == platform.python_implementation()
    assert described.machine == platform.machine()
    assert described.libc == os.confstr("CS_GNU_LIBC_VERSION").replace(" ", "-")
    assert described.has_venv
    assert described.magic == importlib.util.MAGIC_NUMBER.hex()
    assert not described.is_virtual


def test_pythons_are_found_on_the_path_of_pyenv_uv_and_conda(site):
    expected = {
        copied(site / "bin"): "PATH",
        copied(site / ".pyenv" / "versions" / OWN_VERSION / "bin"): "pyenv",
        copied(site / ".local" / "share" / "uv" / "python" / "cpython" / "bin"): "uv",
        copied(site / "miniforge3" / "bin"): "conda environment base",
        copied(site / "miniforge3" / "envs" / "x" / "bin"): "conda environment x",
        copied(site / "elsewhere" / "y" / "bin"): "conda environment y",
    }
    for directory in ("miniforge3", "miniforge3/condabin", "miniforge3/envs/x", "elsewhere/y"):
        (site / directory / "conda-meta").mkdir(parents=True)
    (site / ".conda").mkdir()
    (site / ".conda" / "environments.txt").write_text("%s\n/gone\n" % (site / "elsewhere" / "y"))
    assert {item.path: item.source for item in found_in(site)} == expected


def test_what_only_a_login_shell_has_on_its_path_is_found(site):
    path = copied(site / "site" / "python" / "bin")
    (site / ".bash_profile").write_text("echo Welcome; export PATH=%s:$PATH\n" % os.path.dirname(path))
    assert [item.path for item in found_in(site)] == [path]


def test_several_names_of_one_interpreter_are_one(site):
    path = copied(site / ".pyenv" / "versions" / OWN_VERSION / "bin")
    script(site / "bin" / "python3", '#!/bin/sh\nexec %s "$@"\n' % path)
    (site / "bin" / "python").symlink_to(path)
    assert [item.path for item in found_in(site)] == [path]


def test_a_directory_of_shims_stands_for_what_is_behind_it_and_no_shim_is_run(site, monkeypatch):
    path = copied(site / "pyenv" / "versions" / OWN_VERSION / "bin")
    script(site / "pyenv" / "shims" / "python3", "#!/bin/sh\necho >> %s\n" % (site / "shim-ran"))
    monkeypatch.setenv("PATH", "%s:%s" % (site / "pyenv" / "shims", os.environ["PATH"]))
    assert [(item.path, item.source) for item in found_in(site)] == [(path, "pyenv")]
    assert not (site / "shim-ran").exists()


def test_a_second_agent_asks_only_what_changed(site):
    asked = site / "asked"
    wrapper = '#!/bin/sh\necho >> %s\nexec %s "$@"\n' % (asked, copied(site / "real"))
    script(site / "bin" / "python3", wrapper)
    assert found_in(site)
    another_agent(site)
    assert found_in(site)
    assert asked.read_text() == "\n"
    script(site / "bin" / "python3", wrapper + "# newer\n")
    another_agent(site)
    assert found_in(site)
    assert asked.read_text() == "\n\n"


def test_notes_that_are_damaged_are_as_none(site):
    (site.parent / "notes.json").write_text('{"interpreters": [')
    another_agent(site)
    path = copied(site / "bin")
    assert [item.path for item in found_in(site)] == [path]


def test_a_virtual_environment_is_offered_only_by_name(site):
    subprocess.run([OWN, "-m", "venv", "--without-pip", str(site / "venv")], check=True)
    (site / "bin" / "python3").symlink_to(site / "venv" / "bin" / "python")
    python = str(site / "venv" / "bin" / "python")
    assert found_in(site) == []
    chosen = interpreters.choose_interpreter(None, python, CLIENT)
    assert (chosen.path, chosen.is_virtual) == (python, True)


def test_programs_that_are_no_python_are_not_found(site):
    script(site / "bin" / "python3", "#!/bin/sh\nexit 1\n")
    script(site / "bin" / "python", "#!/bin/sh\necho 3.12.0\n")
    (site / "bin" / "python3.9").write_bytes(b"\x7fELF")
    (site / "bin" / "python3.9").chmod(0o755)
    assert found_in(site) == []


def modules_of(site, **bodies):
    root = site / "modulefiles"
    for name, body in bodies.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body)
    (site / ".bash_profile").write_text("yes | head -100\n" + MODULES.format(modules=root))
    return root


def test_the_python_of_a_module_that_also_runs_without_it_needs_no_module(site):
    path = copied(site / "apps" / "bin")
    modules_of(site, python__1="PATH=%s:$PATH\n" % os.path.dirname(path), gcc__12="touch %s\n" % (site / "gcc-loaded"))
    os.rename(path, os.path.join(os.path.dirname(path), "python3"))
    (item,) = found_in(site)
    assert (item.source, item.modules) == ("module python/1", ())
    assert not (site / "gcc-loaded").exists()


def test_the_python_of_a_module_that_does_not_run_without_it_is_run_with_it(site):
    text = '#!/bin/bash\n[ "$SITE_LICENCE" ] || exit 1\nexec -a "$0" %s "$@"\n' % OWN
    path = script(site / "apps" / "bin" / "python3", text)
    modules_of(site, Python__1="PATH=%s:$PATH; export SITE_LICENCE=1\n" % os.path.dirname(path))
    (item,) = found_in(site)
    assert (item.path, item.modules) == (path, ("Python/1",))


def test_modules_are_asked_for_again_when_a_directory_of_them_changes(site):
    path = copied(site / "apps" / "bin", "python3")
    root = modules_of(site, python__1="true\n")
    assert found_in(site) == []
    (root / "python" / "2").write_text("PATH=%s:$PATH\n" % os.path.dirname(path))
    another_agent(site)
    assert [item.source for item in found_in(site)] == ["module python/2"]
    (site / ".bash_profile").write_text("touch %s\n" % (site / "asked"))
    another_agent(site)
    assert [item.source for item in found_in(site)] == ["module python/2"]
    assert not (site / "asked").exists()


@pytest.mark.parametrize("body", ["sleep 600 & wait", "yes", "exit 1", "kill -9 $$"])
def test_a_module_command_that_hangs_or_babbles_or_dies_does_no_harm(site, monkeypatch, body):
    monkeypatch.setattr(environment_modules, "ANSWER_WITHIN", 0.5)
    path = copied(site / "bin")
    (site / ".bash_profile").write_text("module() { %s; }\n" % body)
    assert [item.path for item in found_in(site)] == [path]


def test_a_login_shell_that_does_not_answer_is_ended_with_all_that_it_started(site):
    text = "sleep 600 & echo $! > %s; wait" % (site / "child")
    assert login_shell.ask_login_shell(text, seconds=3.0) is None
    child = int((site / "child").read_text())
    wait_for(lambda: not is_running(child))


def test_what_a_login_shell_leaves_running_does_not_hold_the_answer_up(site):
    said = login_shell.ask_login_shell('sleep 600 & printf "%s" "$1 $2"; false', ["a b", "'c'"])
    assert said == login_shell.Said(1, "a b 'c'")


def test_a_module_that_is_not_there_is_refused_by_name(site):
    modules_of(site, gcc__12="true\n")
    refuse_unknown_modules(Notes(), ["gcc/12"], {})
    for name in ("nosuch/1", "gcc/1", "cc/12"):
        with pytest.raises(UnknownModuleError, match=r"no module %s: .*module avail" % name):
            refuse_unknown_modules(Notes(), ["gcc/12", name], {})


def test_a_module_that_fails_to_load_here_but_is_there_is_left_to_the_job(site):
    modules_of(site, cuda__12="echo no GPU here >&2; false\n")
    refuse_unknown_modules(Notes(), ["cuda/12"], {})


def test_a_module_that_another_one_makes_visible_is_known(site):
    root = modules_of(site, gcc__12="MODULEPATH=%s/more\n" % site)
    (site / "more" / "openmpi").mkdir(parents=True)
    (site / "more" / "openmpi" / "4").write_text("true\n")
    refuse_unknown_modules(Notes(), ["gcc/12", "openmpi/4"], {})
    refuse_unknown_modules(Notes(), ["openmpi/4"], {"MODULEPATH": str(site / "more")})
    with pytest.raises(UnknownModuleError, match="openmpi/4"):
        refuse_unknown_modules(Notes(), ["openmpi/4"], {"MODULEPATH": str(root)})


def test_without_a_module_command_modules_are_refused(site):
    with pytest.raises(UnknownModuleError, match="no command `module`"):
        refuse_unknown_modules(Notes(), ["gcc"], {})


def test_an_error_lists_what_was_found_and_where(site):
    path = copied(site / "bin")
    with pytest.raises(InterpreterNotFoundError) as caught:
        interpreters.choose_interpreter("3.99", None, CLIENT)
    assert str(caught.value).startswith("no Python 3.99 on the cluster; found: ")
    assert "%s (%s, on the PATH)" % (OWN_VERSION, path) in str(caught.value)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "does not exist on the cluster"),
        (lambda path: path.write_text(""), "is not a program"),
        (lambda path: script(path, "#!/bin/sh\nexit 3\n"), "does not run as a Python 3.6 or newer"),
    ],
)
def test_a_named_interpreter_that_is_none_is_an_error_that_says_why(site, make, words):
    make(site / "mine")
    with pytest.raises(InterpreterNotFoundError, match=r"python_executable ~/mine %s; found: " % words):
        interpreters.choose_interpreter(None, "~/mine", CLIENT)


def test_an_interpreter_can_be_named_as_login_shells_find_it(site):
    path = copied(site / "apps", "python-of-ours")
    (site / ".bash_profile").write_text("PATH=$PATH:%s\n" % (site / "apps"))
    assert interpreters.choose_interpreter(None, "python-of-ours", CLIENT).path == path


def test_a_named_interpreter_of_another_version_than_the_one_asked_for_is_an_error(site):
    with pytest.raises(InterpreterNotFoundError, match=r"is Python %s, and python='3\.99'" % OWN_VERSION):
        interpreters.choose_interpreter("3.99", OWN, CLIENT)


def test_one_that_came_since_the_last_look_is_chosen(site):
    path = copied(site / "bin")
    interpreters._known.survey = []  # whatever else of this version there may be on this machine
    assert interpreters.choose_interpreter(OWN_VERSION, None, CLIENT).path == path


@pytest.mark.parametrize(
    ("found", "python", "client", "order"),
    [
        ("3.6.15 3.12.1 3.9.1", None, "3.12.4", "3.12.1 3.9.1 3.6.15"),
        ("3.6.15 3.13.0 3.9.1", None, "3.12.4", "3.9.1 3.6.15 3.13.0"),
        ("3.12.1 3.12.9 3.13.0 3.14.2", None, "3.11.0", "3.12.9 3.12.1 3.13.0 3.14.2"),
        ("3.12.9 3.12.10", None, "3.12.0", "3.12.10 3.12.9"),
        ("3.6.8 3.6.15 3.12.1", "3.6", "3.12.1", "3.6.15 3.6.8"),
        ("3.6.8 3.6.15 3.12.1", "3.6.8", "3.12.1", "3.6.8"),
        ("3.1.8 3.12.1", "3.1", "3.12.1", "3.1.8"),
    ],
)
def test_the_order_of_preference(found, python, client, order):
    items = [of(version) for version in found.split()]
    ordered = interpreters.in_order_of_preference(items, python, tuple(map(int, client.split("."))))
    assert [item.version_text for item in ordered] == order.split()


def test_of_one_minor_version_those_that_make_environments_by_themselves_come_first():
    bare, loaded, whole = of("3.12.9", has_ensurepip=False), of("3.12.8", modules=("python",)), of("3.12.1")
    assert interpreters.in_order_of_preference([bare, loaded, whole], None, (3, 12)) == [whole, loaded, bare]


def test_other_implementations_are_no_candidates():
    assert interpreters.in_order_of_preference([of("3.10.0", implementation="PyPy")], None, (3, 10)) == []


VERSIONS = st.lists(st.tuples(st.just(3), st.integers(6, 15), st.integers(0, 20)), min_size=1, max_size=8)


@given(VERSIONS, st.integers(6, 15))
def test_a_newer_one_is_taken_only_if_no_other_is_there(versions, minor):
    items = [Interpreter("/p", version, "linux-x86_64") for version in versions]
    best = interpreters.in_order_of_preference(items, None, (3, minor, 0))[0].version
    not_newer = [version for version in versions if version[1] <= minor]
    assert best[:2] == (max(not_newer)[:2] if not_newer else min(versions)[:2])


@pytest.mark.parametrize(
    ("version", "source", "wish", "sentence"),
    [
        (
            "3.9.18",
            "module python/3.9",
            {},
            "Python 3.9.18 of module python/3.9: the newest that is not newer than the client's 3.12",
        ),
        ("3.12.1", "PATH", {}, "Python 3.12.1 on the PATH: the client's own version"),
        ("3.13.0", "uv", {}, "Python 3.13.0 of uv: the oldest there is, and newer than the client's 3.12"),
        ("3.6.15", "pyenv", {"python": "3.6"}, "Python 3.6.15 of pyenv: asked for by python='3.6'"),
        ("3.6.15", "/opt/bin", {"python_executable": "/p"}, "Python 3.6.15 of /opt/bin: named by python_executable"),
    ],
)
def test_a_choice_is_explained_in_one_sentence(version, source, wish, sentence):
    wish = dict({"python": None, "python_executable": None}, **wish)
    assert interpreters.explain_choice(of(version, source=source), client=(3, 12, 4), **wish) == sentence


def test_of_agents_that_start_at_once_one_asks_each_program(site, tmp_path):
    asked = tmp_path / "asked"
    counting = script(site / "bin" / "python3", '#!/bin/sh\necho >> %s\nexec %s "$@"\n' % (asked, OWN))
    program = (
        "import sys; sys.path.insert(0, %r); from clustrix_remote import interpreters; "
        "from clustrix_remote.notes import Notes; interpreters.keep_notes(Notes(sys.argv[1])); "
        "print(any(item.path == sys.argv[2] for item in interpreters.survey()))"
    ) % os.path.dirname(os.path.dirname(interpreters.__file__))
    command = [OWN, "-c", program, str(tmp_path / "notes.json"), OWN]
    agents = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(4)]
    assert [agent.communicate()[0].split() for agent in agents] == [[b"True"]] * 4
    assert os.path.exists(counting)
    assert asked.read_text().count("\n") == 1


def test_an_agent_that_was_killed_while_it_looked_holds_nobody_up_for_long(site, tmp_path):
    (tmp_path / "looking" / "claim-1").mkdir(parents=True)
    copied(site / ".pyenv" / "versions" / "own" / "bin")
    assert interpreters.survey()
    assert os.listdir(str(tmp_path / "looking")) == []
