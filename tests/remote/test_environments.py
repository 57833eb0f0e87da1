"""Environments that are really built, by real installers, from wheels made here."""

import os
import shutil
import stat
import subprocess
import time

import pytest
from clustrix_remote import environments, installers, wheels
from clustrix_remote.environments import INDEX_TRIED_AGAIN_AFTER, EnvironmentBuildError, Recipe, ensure_environment
from clustrix_remote.notes import Notes
from clustrix_remote.wheels import Wheel, WheelError, fetch_wheels, prune_wheels

from environment_fixtures import ALPHA, BETA, NO_INDEX, UV, contents, settings
from made_wheels import Sender, lock_of, make_wheel, sha256

BOUNDS = Recipe(requirements=("alpha",))
LOCK = Recipe(lock=lock_of(ALPHA, BETA))
needs_uv = pytest.mark.skipif(UV is None, reason="no uv here")
with_each = pytest.mark.parametrize("manager", ["pip", pytest.param("uv", marks=needs_uv)])


@pytest.fixture
def ensure(state, interpreter):
    def ensured(recipe, **options):
        options.setdefault("settings", settings())
        options.setdefault("report", [].append)
        return ensure_environment(state, options.pop("interpreter", interpreter), recipe, **options)

    return ensured


def imports(python, *modules):
    command = [python, "-I", "-c", "import " + ", ".join(modules)]
    return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0


@with_each
@pytest.mark.parametrize("recipe", [BOUNDS, LOCK], ids=["bounds", "lock"])
def test_an_environment_holds_what_its_recipe_says_and_no_installer(ensure, index, manager, recipe):
    python = ensure(recipe, settings=settings(manager))
    assert imports(python, "alpha", "beta")
    assert not imports(python, "pip")


def test_an_empty_recipe_needs_no_installer_and_no_index(ensure, settings_of_nobody):
    assert imports(ensure(Recipe()), "json")


def test_warm_is_one_files_existence(ensure, state, interpreter):
    key = environments.environment_key(interpreter, LOCK)
    python = environments.environment_python(state, key)
    os.makedirs(os.path.dirname(python))
    open(python, "w").close()
    said = []
    assert ensure(LOCK, report=said.append) == python
    assert said == []
    assert os.listdir(state.environment(key)) == ["current"]


def test_other_content_is_another_environment(interpreter):
    recipes = [Recipe(), BOUNDS, LOCK, Recipe(tools=(Wheel(ALPHA[0], sha256(ALPHA[1])),))]
    keys = [environments.environment_key(interpreter, recipe) for recipe in recipes]
    keys.append(environments.environment_key(interpreter._replace(platform="linux-s390x"), LOCK))
    assert len(set(keys)) == 5


@with_each
@pytest.mark.parametrize("kind", ["nothing answers", "a proxy answers in HTML", "the index has got nothing"])
def test_where_the_index_does_not_serve_the_clients_wheels_are_installed(ensure, index, monkeypatch, manager, kind):
    if kind == "nothing answers":
        monkeypatch.setenv("PIP_INDEX_URL", NO_INDEX)
    elif kind == "a proxy answers in HTML":
        index.html = b"<html><body>Please <a href='/login'>log in</a></body></html>"
    else:
        index.wheels.clear()
    sender, said = Sender(ALPHA, BETA), []
    python = ensure(LOCK, settings=settings(manager, has_wheels=True), fetch=sender, report=said.append)
    assert imports(python, "alpha", "beta")
    assert sender.asked[0] == "wheels"
    assert len(sender.asked) == 3
    assert any("does not serve" in line for line in said)


def test_pip_no_index_of_the_site_is_an_index_that_does_not_serve(ensure, settings_of_nobody, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    sender = Sender(ALPHA, BETA)
    assert imports(ensure(LOCK, settings=settings(has_wheels=True), fetch=sender), "alpha")


def test_bounds_too_can_be_met_by_the_clients_wheels(ensure, settings_of_nobody):
    assert imports(ensure(BOUNDS, settings=settings(has_wheels=True), fetch=Sender(ALPHA, BETA)), "alpha", "beta")


def test_a_wheel_is_sent_once_for_all_environments(ensure, settings_of_nobody):
    first, second = Sender(ALPHA, BETA), Sender(BETA)
    ensure(LOCK, settings=settings(has_wheels=True), fetch=first)
    ensure(Recipe(lock=lock_of(BETA)), settings=settings(has_wheels=True), fetch=second)
    assert second.asked == ["wheels"]


def test_an_index_that_did_not_serve_is_left_alone_for_a_while_and_tried_again_then(ensure, index, state):
    there = dict(index.wheels)
    index.wheels.clear()
    ensure(LOCK, settings=settings(has_wheels=True), fetch=Sender(ALPHA, BETA))
    index.wheels.update(there)
    index.requests.clear()
    ensure(Recipe(lock=lock_of(BETA)), settings=settings(has_wheels=True), fetch=Sender(BETA))
    assert index.requests == []
    Notes(state.notes).put("index", {"the login node": time.time() - INDEX_TRIED_AGAIN_AFTER})
    ensure(Recipe(lock=lock_of(ALPHA)), settings=settings(has_wheels=True), fetch=Sender(ALPHA))
    assert index.requests != []


def test_sent_wheels_go_when_they_were_not_used_for_long(state):
    def used(wheel, days):
        place = state.wheel(sha256(wheel[1]))
        os.utime(place, (time.time() - days * 86400,) * 2)

    offered = [Wheel(name, sha256(content)) for name, content in (ALPHA, BETA)]
    fetch_wheels(state, offered, Sender(ALPHA, BETA), [].append)
    used(ALPHA, 31)
    used(BETA, 29)
    prune_wheels(state)
    assert os.listdir(os.path.join(state.root, "wheels")) == [sha256(BETA[1])]
    fetch_wheels(state, offered[1:], Sender(), [].append)
    prune_wheels(state, kept_for=0)
    assert os.listdir(os.path.join(state.root, "wheels")) == [sha256(BETA[1])]  # a build may need it
    used(BETA, 2)
    prune_wheels(state, kept_for=0)
    assert os.listdir(os.path.join(state.root, "wheels")) == []


def test_of_too_many_sent_wheels_the_longest_unused_go(state, monkeypatch):
    fetch_wheels(state, [Wheel(ALPHA[0], sha256(ALPHA[1]))], Sender(ALPHA), [].append)
    os.utime(state.wheel(sha256(ALPHA[1])), (time.time() - 2 * 86400,) * 2)
    monkeypatch.setattr(wheels, "MOST_KEPT", len(ALPHA[1]) + len(BETA[1]) - 1)
    fetch_wheels(state, [Wheel(BETA[0], sha256(BETA[1]))], Sender(BETA), [].append)
    prune_wheels(state)
    assert os.listdir(os.path.join(state.root, "wheels")) == [sha256(BETA[1])]


@with_each
def test_without_index_and_wheels_the_error_holds_the_logs_end_and_what_to_do(
    ensure, settings_of_nobody, state, interpreter, manager
):
    with pytest.raises(EnvironmentBuildError, match=r"(?s)pip config list.*build\.log on the cluster.*127\.0\.0\.1:9"):
        ensure(LOCK, settings=settings(manager))
    assert contents(state, interpreter, LOCK) == ["build.log", "failed.json"]


@with_each
def test_after_a_failure_the_next_call_starts_clean(ensure, index, state, interpreter, manager):
    there = dict(index.wheels)
    index.wheels.clear()
    with pytest.raises(EnvironmentBuildError):
        ensure(BOUNDS, settings=settings(manager))
    index.wheels.update(there)
    assert imports(ensure(BOUNDS, settings=settings(manager)), "alpha")
    assert len(contents(state, interpreter, BOUNDS)) == 3  # built-, current, build.log


@with_each
def test_a_conflict_is_no_reason_to_ask_the_client_for_wheels(ensure, index, manager):
    sender = Sender(ALPHA, BETA)
    recipe = Recipe(requirements=("alpha", "beta>=2"))
    with pytest.raises(EnvironmentBuildError, match="loosen requirements="):
        ensure(recipe, settings=settings(manager, has_wheels=True), fetch=sender)
    assert sender.asked == []


@with_each
def test_a_file_of_the_index_that_is_not_the_locked_one_is_an_error_that_names_it(ensure, index, manager):
    index.wheels[BETA[0]] = make_wheel("beta", evil="")[1]
    sender = Sender(ALPHA, BETA)
    with pytest.raises(EnvironmentBuildError, match=r"(?s)it was replaced.*beta"):
        ensure(LOCK, settings=settings(manager, has_wheels=True), fetch=sender)
    assert sender.asked == []


def test_a_sent_wheel_with_another_hash_is_an_error_that_names_it_and_nothing_of_it_is_kept(
    ensure, settings_of_nobody, state, interpreter
):
    sender = Sender(ALPHA, BETA)
    sender.wheels[sha256(BETA[1])] = BETA[0], b"something else"
    with pytest.raises(WheelError, match=r"beta-1\.0-py3-none-any\.whl"):
        ensure(LOCK, settings=settings(has_wheels=True), fetch=sender)
    assert sha256(BETA[1]) not in os.listdir(os.path.join(state.root, "wheels"))
    # and the next call starts clean
    assert imports(ensure(LOCK, settings=settings(has_wheels=True), fetch=Sender(ALPHA, BETA)), "beta")


def test_a_wheel_that_the_lock_does_not_name_is_refused(ensure, settings_of_nobody):
    sender = Sender(ALPHA, make_wheel("beta", evil=""))
    with pytest.raises(WheelError, match="the lock does not name"):
        ensure(LOCK, settings=settings(has_wheels=True), fetch=sender)
    assert sender.asked == ["wheels"]


def test_wheels_that_are_not_enough_are_an_error_that_names_what_is_missing(ensure, settings_of_nobody):
    with pytest.raises(EnvironmentBuildError, match=r"(?s)wheels that the client sent are not all.*beta"):
        ensure(LOCK, settings=settings(has_wheels=True), fetch=Sender(ALPHA))


def test_a_build_ends_by_its_deadline_and_leaves_its_log_only(ensure, index, state, interpreter):
    index.gate.clear()
    with pytest.raises(EnvironmentBuildError, match="venv_setup_timeout"):
        ensure(BOUNDS, settings=settings(seconds=4))
    assert contents(state, interpreter, BOUNDS) == ["build.log", "failed.json"]


@with_each
def test_a_source_distribution_is_not_compiled(ensure, index, manager):
    index.offer(("gamma-1.0.tar.gz", b"whatever"))
    with pytest.raises(EnvironmentBuildError):
        ensure(Recipe(requirements=("gamma",)), settings=settings(manager))
    assert not any(path.startswith("/files") for path in index.requests)


class TestTools:
    @pytest.fixture
    def pickler(self):
        return make_wheel("cloudpickle", "3.1.1")

    def recipe(self, *wheels):
        return Recipe(tools=tuple(Wheel(name, sha256(content)) for name, content in wheels))

    def test_what_the_client_sent_is_unpacked_without_index_or_installer(self, ensure, settings_of_nobody, pickler):
        assert imports(ensure(self.recipe(pickler), fetch=Sender(pickler)), "cloudpickle")

    def test_a_uv_that_does_not_run_here_is_left_out(self, ensure, settings_of_nobody, pickler):
        alien = make_wheel("uv", "0.1", **{"uv-0.1.data/scripts/uv": b"\x7fELF of another machine"})
        python = ensure(self.recipe(pickler, alien), fetch=Sender(pickler, alien))
        assert imports(python, "cloudpickle")
        assert "uv" not in os.listdir(os.path.dirname(python))

    @needs_uv
    def test_its_uv_fills_execution_environments(self, ensure, index, monkeypatch, state, interpreter):
        with open(UV, "rb") as stream:
            sent = make_wheel("uv", "0.1", **{"uv-0.1.data/scripts/uv": stream.read()})
        monkeypatch.setenv("PATH", "/usr/bin:/bin")
        tools = ensure(self.recipe(sent), fetch=Sender(sent))
        assert os.stat(os.path.join(os.path.dirname(tools), "uv")).st_mode & stat.S_IXUSR
        assert imports(ensure(LOCK, settings=settings("uv", tools=tools)), "alpha")

    def test_a_wheel_that_names_files_outside_is_refused(self, ensure, settings_of_nobody, tmp_path):
        wicked = make_wheel("wicked", **{"../../../../outside": "x"})
        with pytest.raises(EnvironmentBuildError, match="outside itself"):
            ensure(self.recipe(wicked), fetch=Sender(wicked))


class TestInstallers:
    @pytest.fixture
    def bare(self, interpreter, tmp_path):
        """This Python as a Debian without python3-venv has it: its library lacks ensurepip."""
        version = "python%d.%d" % interpreter.version[:2]
        library = os.path.join(os.path.dirname(os.path.dirname(interpreter.path)), "lib", version)
        bare = tmp_path / "bare"
        (bare / "bin").mkdir(parents=True)
        (bare / "lib" / version).mkdir(parents=True)
        shutil.copy2(interpreter.path, str(bare / "bin" / version))
        for name in set(os.listdir(library)) - {"ensurepip", "site-packages"}:
            os.symlink(os.path.join(library, name), str(bare / "lib" / version / name))
        return interpreter._replace(path=str(bare / "bin" / version))

    def test_a_python_without_pip_is_an_error_that_says_what_to_do(self, ensure, index, bare):
        with pytest.raises(EnvironmentBuildError, match="came without pip"):
            ensure(LOCK, interpreter=bare, settings=settings("pip"))

    def test_the_clients_pip_does_for_a_python_without_one(self, ensure, index, bare, interpreter):
        _, path = installers.bundled_pip(interpreter)
        with open(path, "rb") as stream:
            pip = os.path.basename(path), stream.read()
        sender = Sender(pip)
        chosen = settings("pip", pip=Wheel(pip[0], sha256(pip[1])))
        assert imports(ensure(LOCK, interpreter=bare, settings=chosen, fetch=sender), "alpha")
        assert sender.asked == ["wheel " + sha256(pip[1])]

    @needs_uv
    def test_uv_fills_an_environment_of_a_python_without_pip(self, ensure, index, bare):
        assert imports(ensure(LOCK, interpreter=bare, settings=settings("auto")), "alpha")

    def test_a_uv_that_is_asked_for_and_not_there_is_an_error(self, ensure, index, monkeypatch):
        monkeypatch.setenv("PATH", "/usr/bin:/bin")
        with pytest.raises(EnvironmentBuildError, match="no uv runs on the login node"):
            ensure(LOCK, settings=settings("uv"))
