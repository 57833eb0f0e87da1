"""Locks for Pythons of other machines, made by uv from a real index, and their wheels, installed offline."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.tags import parse_tag

from clustrix.errors import EnvironmentSetupError
from clustrix.lock import Lock, NoSolutionError, Target, differences, find_uv, make_lock, was_shown
from clustrix.platforms import uv_platform, wheel_platforms
from clustrix.wheels import fetch_tools, fetch_wheels

OLD = Target("3.6.15", libc="glibc-2.17")
NEW = Target("3.12.1", libc="glibc-2.36")
NOWHERE = {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0"}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def numpy_for_old(cache: Path) -> Lock:
    return make_lock(["numpy<=2.4.6", "six"], OLD, cache_dir=cache)


@pytest.fixture
def without_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    for name, value in NOWHERE.items():
        monkeypatch.setenv(name, value)


def pythons(version: str) -> Path | None:
    """An interpreter of this machine, by the PATH or pyenv."""
    found = shutil.which(f"python{version}")
    if found and subprocess.run([found, "--version"], capture_output=True, check=False).returncode == 0:
        return Path(found)
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    return next(iter(sorted(root.glob(f"versions/{version}.*/bin/python"))), None)


def own_wheel(directory: Path, name: str = "of_mine", version: str = "1.2") -> Path:
    """A wheel that no index has."""
    path = directory / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": "answer = 42\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = []
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in files.items():
            archive.writestr(member, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            lines.append(f"{member},sha256={digest},{len(text)}\n")
        archive.writestr(f"{info}/RECORD", "".join([*lines, f"{info}/RECORD,,\n"]))
    return path


def test_a_lock_has_the_newest_not_above_the_bound_that_the_target_can_have(numpy_for_old: Lock, cache: Path) -> None:
    assert "numpy==1.19.5" in numpy_for_old.pins
    new = make_lock(["numpy<=2.2.0"], NEW, cache_dir=cache)
    assert new.pins == ("numpy==2.2.0",)
    assert new.lock_id != numpy_for_old.lock_id
    assert len(new.lock_id) == 16


def test_every_pin_has_hashes(numpy_for_old: Lock) -> None:
    blocks = numpy_for_old.text.replace("\\\n", " ").splitlines()
    assert [block.split()[0] for block in blocks] == list(numpy_for_old.pins)
    assert all("--hash=sha256:" in block for block in blocks)


def test_what_is_needed_behind_a_marker_is_decided_by_the_targets_python(cache: Path) -> None:
    old = make_lock(["attrs==22.2.0", "importlib-metadata==4.8.3"], OLD, cache_dir=cache)
    new = make_lock(["attrs==22.2.0", "importlib-metadata==4.8.3"], NEW, cache_dir=cache)
    assert {pin.split("==")[0] for pin in old.pins} == {"attrs", "importlib-metadata", "typing-extensions", "zipp"}
    assert {pin.split("==")[0] for pin in new.pins} == {"attrs", "importlib-metadata", "zipp"}


@pytest.mark.parametrize(("here", "is_met"), [("0.4.3", True), ("0.0.1", False)])
def test_what_is_needed_in_turn_is_not_newer_than_here_where_that_can_be_met(
    here: str, is_met: bool, cache: Path, tmp_path: Path
) -> None:
    installed = {
        "typing-inspect": ("0.9.0", ["mypy-extensions >=0.3.0", "typing-extensions >=3.7.4"]),
        "mypy-extensions": (here, []),
        "typing-extensions": ("4.5.0", []),
    }
    for name, (version, needs) in installed.items():
        info = tmp_path / "site-packages" / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        needed = "".join(f"Requires-Dist: {line}\n" for line in needs)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needed}\n")
        (info / "RECORD").write_text(f"{name.replace('-', '_')}.py,,\n")
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from clustrix.lock import Target, make_lock\n"
        "print(*make_lock(['typing-inspect<=0.9.0'], Target('3.8.18'), cache_dir=sys.argv[2]).pins)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "site-packages"), str(cache)]
    pins = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "typing-inspect==0.9.0" in pins
    assert ("mypy-extensions==0.4.3" in pins) == is_met
    assert any(pin.startswith("mypy-extensions==") for pin in pins)
    assert "typing-extensions==4.5.0" in pins  # what can't be met of one is no reason to let go of another


def test_the_users_constraints_hold(cache: Path) -> None:
    lock = make_lock(["importlib-metadata==4.8.3"], OLD, cache_dir=cache, constraints=["zipp==3.4.0"])
    assert "zipp==3.4.0" in lock.pins
    with pytest.raises(NoSolutionError, match=r"zipp"):
        make_lock(["importlib-metadata==4.8.3"], OLD, cache_dir=cache, constraints=["zipp<0.1"])


def test_a_conflict_is_told_with_the_python_and_the_way_out(cache: Path) -> None:
    with pytest.raises(NoSolutionError) as caught:
        make_lock(["numpy==2.0.0", "six"], OLD, cache_dir=cache)
    message = str(caught.value)
    assert (
        "can't be met for Python 3.6.15 on linux x86_64 (glibc-2.17): Because numpy==2.0.0 has no usable wheels"
        in message
    )
    assert "Loosen numpy==2.0.0, give others with requirements=[...], or choose another Python" in message
    assert "hint" not in message
    assert "--no-build" not in message


def test_two_requirements_that_exclude_each_other_are_both_named(cache: Path) -> None:
    with pytest.raises(NoSolutionError, match=r"Loosen importlib-metadata==4\.8\.3, zipp<0\.5,"):
        make_lock(["importlib-metadata==4.8.3", "zipp<0.5", "six"], OLD, cache_dir=cache)


def test_an_unknown_distribution_is_named(cache: Path) -> None:
    with pytest.raises(
        NoSolutionError, match="no index has a distribution 'not-there-at-all-c7', which the function imports"
    ):
        make_lock(["not-there-at-all-c7", "six"], OLD, cache_dir=cache)


@pytest.mark.parametrize("url", ["git+https://host/six.git@main", "https://host/six-1.17.0.tar.gz"])
def test_what_has_to_be_built_is_refused(cache: Path, url: str) -> None:
    with pytest.raises(EnvironmentSetupError, match="that has to be built, and only wheels are installed"):
        make_lock([f"six @ {url}"], OLD, cache_dir=cache)


def test_a_local_version_is_taken_at_its_word(cache: Path) -> None:
    with pytest.raises(NoSolutionError, match=r"Loosen six==1\.17\.0\+mine"):
        make_lock(["six==1.17.0+mine"], OLD, cache_dir=cache)


@pytest.mark.usefixtures("without_index")
def test_an_index_that_is_out_of_reach_is_named_as_that(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentSetupError, match="the package index can't be reached to lock six") as caught:
        make_lock(["six"], OLD, cache_dir=tmp_path)
    assert not isinstance(caught.value, NoSolutionError)
    assert "UV_DEFAULT_INDEX" in str(caught.value)


def test_a_kept_lock_needs_no_uv_until_it_is_old_and_no_index_even_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = make_lock(["six"], OLD, cache_dir=tmp_path)
    assert lock.pins[0].startswith("six==")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "made by uv"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    assert make_lock(["six"], OLD, cache_dir=tmp_path) == lock
    assert not (tmp_path / "made by uv").exists()
    (kept,) = (tmp_path / "locks").glob("*.json")
    long_ago = time.time() - 30 * 86400
    os.utime(kept, (long_ago, long_ago))
    assert make_lock(["six"], OLD, cache_dir=tmp_path) == lock
    assert (tmp_path / "made by uv").exists()
    monkeypatch.delenv("UV_OFFLINE")
    make_lock(["six"], OLD, cache_dir=tmp_path)
    assert kept.stat().st_mtime > long_ago


def test_of_many_first_calls_at_once_one_asks_uv(tmp_path: Path) -> None:
    barrier = threading.Barrier(8)

    def lock(_: int) -> Lock:
        barrier.wait(60)
        return make_lock(["six"], OLD, cache_dir=tmp_path)

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lock, range(8)))
    assert len(set(map(id, made))) < len(made)


def test_of_many_first_calls_at_once_all_have_the_error(tmp_path: Path) -> None:
    def lock(_: int) -> Lock:
        return make_lock(["six<0.1", "six>1"], OLD, cache_dir=tmp_path)

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(lock, number) for number in range(8)]:
            assert isinstance(future.exception(60), NoSolutionError)


def test_another_index_is_another_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_lock(["six"], OLD, cache_dir=tmp_path)
    for name, value in NOWHERE.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(EnvironmentSetupError, match="the package index can't be reached"):
        make_lock(["six"], OLD, cache_dir=tmp_path)


def test_without_uv_the_error_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uv", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_uv() is None
    with pytest.raises(EnvironmentSetupError, match=r"pip install 'clustrix\[uv\]'"):
        make_lock(["six"], OLD, cache_dir=tmp_path)


def test_nothing_required_is_an_empty_lock(tmp_path: Path) -> None:
    lock = make_lock([], OLD, cache_dir=tmp_path)
    assert (lock.pins, lock.text, fetch_wheels(lock, tmp_path)) == ((), "", [])


@pytest.mark.parametrize(
    ("target", "platform"),
    [
        (Target("3.6.15", libc=""), "x86_64-manylinux_2_17"),
        (Target("3.6.15", libc="glibc-2.36"), "x86_64-manylinux_2_36"),
        (Target("3.6.15", libc="glibc-2.30"), "x86_64-manylinux_2_28"),
        (Target("3.6.15", libc="glibc-2.99"), "x86_64-manylinux_2_40"),
        (Target("3.6.15", libc="glibc-2.12"), None),
        (Target("3.12.1", machine="arm64", libc="glibc-2.34"), "aarch64-manylinux_2_34"),
        (Target("3.12.1", machine="aarch64", libc="musl-1.2"), "aarch64-unknown-linux-musl"),
        (Target("3.12.1", libc="musl-1.1"), None),
        (Target("3.12.1", machine="riscv64", libc="glibc-2.39"), "riscv64-unknown-linux"),
        (Target("3.12.1", machine="ppc64le", libc="glibc-2.28"), None),
        (Target("3.9.1", implementation="pypy"), None),
        (Target("3.12.1", system="darwin"), None),
    ],
)
def test_the_platform_is_the_newest_not_above_the_targets_libc(target: Target, platform: str | None) -> None:
    assert uv_platform(target) == platform


def test_uv_knows_every_platform_that_is_asked_for() -> None:
    said = subprocess.run(
        [str(find_uv()), "pip", "compile", "--help"], capture_output=True, text=True, check=True
    ).stdout
    targets = [
        Target("3.12.1", machine=machine, libc=f"glibc-2.{minor}")
        for machine in ("x86_64", "aarch64", "riscv64")
        for minor in range(17, 45)
    ]
    targets += [Target("3.12.1", machine=machine, libc="musl-1.2") for machine in ("x86_64", "aarch64")]
    known = "".join(said.split())
    assert all(platform in known for platform in map(uv_platform, targets) if platform)


@given(st.integers(5, 60), st.sampled_from(["x86_64", "aarch64"]))
def test_wheels_are_for_glibcs_not_above_the_targets_best_first(minor: int, machine: str) -> None:
    names = list(wheel_platforms(Target("3.12.1", machine=machine, libc=f"glibc-2.{minor}")))
    minors = [int(name.split("_")[2]) for name in names if name.startswith("manylinux_")]
    assert minors == sorted(minors, reverse=True)
    assert all(number <= minor for number in minors)
    assert names[-1] == f"linux_{machine}"
    assert (f"manylinux2014_{machine}" in names) == (minor >= 17)


def test_a_target_without_locks_says_what_else_there_is(tmp_path: Path) -> None:
    with pytest.raises(
        EnvironmentSetupError,
        match=r"uv makes no locks for cpython Python 3\.6\.15 on linux ppc64le.*python=.*environment=",
    ):
        make_lock(["six"], Target("3.6.15", machine="ppc64le"), cache_dir=tmp_path)


def test_differences_are_told_in_words_and_once(numpy_for_old: Lock, tmp_path: Path) -> None:
    six = next(pin for pin in numpy_for_old.pins if pin.startswith("six=="))
    assert differences(numpy_for_old, {"numpy": "2.5.5", "six": six.partition("==")[2], "other": "1"}) == [
        "numpy 2.5.5 here, 1.19.5 there"
    ]
    assert differences(numpy_for_old, {"six": six.partition("==")[2]}) == ["numpy not here, 1.19.5 there"]
    assert [was_shown(numpy_for_old, tmp_path) for _ in range(3)] == [False, True, True]


def test_the_wheels_are_those_of_the_lock_and_fetched_once(
    numpy_for_old: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels = fetch_wheels(numpy_for_old, tmp_path)
    assert [path.name.split("-")[0] for path in wheels] == ["numpy", "six"]
    assert wheels[0].name.startswith("numpy-1.19.5-cp36-cp36m-manylinux")
    for path in wheels:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.parent.name
        assert f"--hash=sha256:{path.parent.name}" in numpy_for_old.text
    monkeypatch.setenv("PIP_INDEX_URL", NOWHERE["UV_DEFAULT_INDEX"])
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert fetch_wheels(numpy_for_old, tmp_path) == wheels
    wheels[1].unlink()
    with pytest.raises(
        EnvironmentSetupError, match=r"the wheels for Python 3\.6\.15 on linux x86_64 \(glibc-2\.17\) can't be fetched"
    ):
        fetch_wheels(numpy_for_old, tmp_path)


def test_of_many_first_calls_at_once_one_fetches_the_wheels(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = make_lock(["six"], OLD, cache_dir=cache)
    monkeypatch.setenv("PIP_LOG", str(tmp_path / "log"))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: fetch_wheels(lock, tmp_path / "wheels"), range(4)))
    assert found == [found[0]] * 4
    assert (tmp_path / "log").read_text().count("Saved ") == 1


def test_wheels_for_several_pythons_and_for_all_are_found(cache: Path, tmp_path: Path) -> None:
    lock = make_lock(["bcrypt==4.0.1", "six", "zstandard==0.23.0"], NEW, cache_dir=cache)
    names = [path.name for path in fetch_wheels(lock, tmp_path)]
    tags = [
        {(tag.interpreter, tag.abi) for tag in parse_tag(name.removesuffix(".whl").split("-", 2)[2])} for name in names
    ]
    assert ("cp36", "abi3") in tags[0]
    assert ("py3", "none") in tags[1]
    assert ("cp312", "cp312") in tags[2]


def test_wheels_are_also_fetched_where_pip_is_not_installed(
    numpy_for_old: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pip", None)
    assert len(fetch_wheels(numpy_for_old, tmp_path)) == 2


def test_a_wheel_whose_hash_is_wrong_is_refused_and_leaves_nothing(numpy_for_old: Lock, tmp_path: Path) -> None:
    text = re.sub(r"sha256:(\w+)", lambda found: "sha256:" + found[1][::-1], numpy_for_old.text)
    with pytest.raises(EnvironmentSetupError, match=r"can't be fetched: .*DO NOT MATCH THE HASHES.*numpy==1"):
        fetch_wheels(Lock(OLD, numpy_for_old.pins, text), tmp_path)
    assert not list(tmp_path.rglob("*.whl"))


def test_a_wheel_of_the_client_is_pinned_by_its_hash_and_sent(tmp_path: Path) -> None:
    wheel = own_wheel(tmp_path)
    lock = make_lock([f"of-mine @ {wheel.as_uri()}"], OLD, cache_dir=tmp_path)
    assert lock.pins == ("of-mine==1.2",)
    assert [name for name, _ in lock.direct] == ["of-mine"]
    assert Requirement(lock.text.split()[0]).url is None
    assert "file:" not in lock.text
    (sent,) = fetch_wheels(lock, tmp_path / "wheels")
    assert sent.read_bytes() == wheel.read_bytes()


def test_the_tools_are_a_uv_for_the_platform_and_the_newest_pip_for_the_python(tmp_path: Path) -> None:
    version = subprocess.run([str(find_uv()), "--version"], capture_output=True, text=True, check=True).stdout.split()[
        1
    ]
    tools = fetch_tools(OLD, tmp_path)
    assert tools.uv is not None
    assert tools.pip is not None
    assert tools.uv.name.startswith(f"uv-{version}-py3-none-manylinux_2_17_x86_64")
    assert tools.pip.name == "pip-21.3.1-py3-none-any.whl"
    other = fetch_tools(Target("3.6.15", machine="ppc64le"), tmp_path)
    assert other == (None, tools.pip)


@pytest.mark.parametrize("version", ["3.6", "3.12"])
def test_the_wheels_install_without_an_index_by_uv_and_by_pip(version: str, cache: Path, tmp_path: Path) -> None:
    python = pythons(version)
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    question = (
        "import sys, os; print('%d.%d.%d' % sys.version_info[:3], os.confstr('CS_GNU_LIBC_VERSION').replace(' ', '-'))"
    )
    full, libc = subprocess.run(
        [str(python), "-c", question], capture_output=True, text=True, check=True
    ).stdout.split()
    target = Target(full, libc=libc)
    wheel = own_wheel(tmp_path)
    lock = make_lock(["numpy<=2.2.0", f"of-mine @ {wheel.as_uri()}"], target, cache_dir=cache)
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in fetch_wheels(lock, cache):
        (flat / path.name).symlink_to(path)
    file = tmp_path / "requirements.txt"
    file.write_text(lock.text)
    wheel.unlink()
    options = ["--no-index", "--find-links", str(flat), "--require-hashes", "-r", str(file)]
    check = "import numpy, of_mine; print(numpy.__version__, of_mine.answer, numpy.arange(4).sum())"
    numpy = next(pin.partition("==")[2] for pin in lock.pins if pin.startswith("numpy"))
    uv = str(find_uv())
    pip = fetch_tools(target, cache).pip
    for name in ("by-uv", "by-pip"):
        there = tmp_path / name / "bin" / "python"
        subprocess.run([uv, "venv", "--quiet", "--python", str(python), str(tmp_path / name)], check=True)
        if name == "by-uv":
            install = [uv, "pip", "install", "--quiet", "--offline", "--python", str(there), *options]
        else:
            install = [str(there), f"{pip}/pip", "install", "--quiet", "--disable-pip-version-check", *options]
        subprocess.run(install, check=True, env={**os.environ, "PIP_CONFIG_FILE": os.devnull})
        said = subprocess.run([str(there), "-c", check], capture_output=True, text=True, check=True).stdout
        assert said == f"{numpy} 42 6\n"
