"""Imports become requirements at the client's versions."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from clustrix.errors import PackagingError
from clustrix.requirements import explicit_requirements, requirements_for

if TYPE_CHECKING:
    from pathlib import Path


def test_a_module_is_bounded_by_the_version_installed_here() -> None:
    version = importlib.metadata.version("numpy")
    assert requirements_for(["numpy.linalg", "numpy"]) == (f"numpy<={version}",)


def test_a_modules_distribution_may_have_another_name() -> None:
    assert requirements_for(["yaml"]) == (f"pyyaml<={importlib.metadata.version('PyYAML')}",)


def test_the_standard_library_of_any_python_and_clustrix_need_nothing() -> None:
    names = [
        "os.path",
        "sys",
        "asyncore",
        "imp",
        "zoneinfo",
        "tomllib",
        "distutils.core",
        "clustrix",
        "simcluster.spec",
    ]
    assert requirements_for(names) == ()


def test_dataclasses_need_a_distribution_under_python_36_alone() -> None:
    (line,) = requirements_for(["dataclasses", "sys"])
    needed = Requirement(line)
    assert needed.name == "dataclasses"
    assert [needed.marker.evaluate({"python_version": version}) for version in ("3.6", "3.7", "3.10")] == [
        True,
        False,
        False,
    ]
    assert requirements_for([], ["dataclasses"]) == ()


def test_what_is_not_installed_here_is_required_by_its_name() -> None:
    assert requirements_for(["Not_There.inner"]) == ("not-there",)


def test_an_optional_import_is_required_only_where_it_is_installed_here() -> None:
    assert requirements_for([], optional=["not_there"]) == ()
    assert requirements_for([], optional=["numpy"]) == requirements_for(["numpy"])


def install(
    site: Path, name: str, files: dict[str, str], *requires: str, version: str = "1.5", **origin: object
) -> None:
    """Put files and metadata where an installer would."""
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    headers = "".join(f"Requires-Dist: {line}\n" for line in requires)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{headers}\ntext\n")
    (info / "RECORD").write_text("".join(f"{path},,\n" for path in [*files, f"{info.name}/METADATA"]))
    if origin:
        (info / "direct_url.json").write_text(json.dumps(origin))
    for path, text in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text)


def reached(site: Path, *imports: tuple[str, str], beside: Path | None = None) -> tuple[set[str], tuple[str, ...]]:
    """The modules that another process ships, and what it requires, when it imports these with ``site`` on its path."""
    program = (
        "import json, sys; *paths, imports = sys.argv[1:]; sys.path[:0] = paths\n"
        "from clustrix.local_modules import Import, modules_reached\n"
        "from clustrix.requirements import requirements_for\n"
        "found = modules_reached([Import(*item) for item in json.loads(imports)])\n"
        "print(json.dumps([sorted(found.local), requirements_for(found.external)]))"
    )
    import clustrix

    paths = [str(site), str(beside or site), clustrix.__path__[0] + "/.."]
    done = subprocess.run(
        [sys.executable, "-c", program, *paths, json.dumps(imports)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    local, requirements = json.loads(done.stdout)
    return set(local), tuple(requirements)


def test_a_name_that_several_distributions_share_is_the_one_with_the_module(tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    install(site, "shared-a", {"shared/a/__init__.py": ""}, version="1.5+cpu")
    install(site, "shared-b", {"shared/b/__init__.py": ""}, version="1.5+cpu")
    assert reached(site, ("shared.a", ""))[1] == ("shared-a<=1.5",)
    assert reached(site, ("shared.b.c", ""))[1] == ("shared-b<=1.5",)
    assert reached(site, ("shared", ""))[1] == ("shared-a<=1.5", "shared-b<=1.5")
    assert reached(site, ("shared", "b"))[1] == ("shared-b<=1.5",)


def test_a_namespace_may_hold_local_modules_and_distributions(tmp_path: Path) -> None:
    site, source = tmp_path / "site-packages", tmp_path / "src"
    install(site, "space-of-others", {"space/theirs/__init__.py": ""})
    install(site, "space-of-more", {"space/deep/more.py": ""})
    (source / "space" / "mine").mkdir(parents=True)
    (source / "space" / "mine" / "part.py").write_text("from space import theirs\nfrom space.deep import more\n")
    wanted = ({"space.mine.part"}, ("space-of-more<=1.5", "space-of-others<=1.5"))
    assert reached(site, ("space.mine", "part"), beside=source) == wanted


def test_what_was_installed_from_a_directory_here_is_shipped_and_never_required(tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    here = {"url": tmp_path.as_uri(), "dir_info": {}}
    install(site, "of-mine", {"of_mine/__init__.py": "import of_git\nimport from_index\n"}, **here)
    install(site, "of-git", {"of_git.py": ""}, url="https://host/x", vcs_info={"vcs": "git", "commit_id": "1"})
    install(site, "from-index", {"from_index.py": ""})
    assert reached(site, ("of_mine", "")) == ({"of_mine", "of_git"}, ("from-index<=1.5",))


def test_what_conda_built_elsewhere_is_required(tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    install(site, "of-conda", {"of_conda.py": ""}, url="file:///croot/of-conda_1/work", dir_info={})
    assert reached(site, ("of_conda", "")) == (set(), ("of-conda<=1.5",))


def test_a_compiled_distribution_of_a_repository_is_required_at_its_version(tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    files = {"compiled/__init__.py": "", "compiled/fast.abi3.so": ""}
    install(site, "compiled", files, url="https://host/x", vcs_info={"vcs": "git", "commit_id": "1"})
    assert reached(site, ("compiled", "")) == (set(), ("compiled<=1.5",))


def test_extras_are_those_that_a_shipped_distribution_asks_for(tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    asked = ("needed[fast,odd] >=1", "needed[never] ; sys_platform == 'nowhere'", "needed[tests] ; extra == 'tests'")
    install(site, "of-mine", {"of_mine.py": "import needed\n"}, *asked, url=tmp_path.as_uri(), dir_info={})
    install(site, "another", {"another.py": ""}, "needed[other]")
    install(site, "needed", {"needed.py": ""})
    assert reached(site, ("of_mine", "")) == ({"of_mine"}, ("needed[fast,odd]<=1.5",))


def test_a_module_that_is_not_here_is_required_by_its_distributions_name() -> None:
    assert requirements_for(["sklearn.svm", "cv2"]) == ("opencv-python-headless", "scikit-learn")


def test_an_explicit_list_is_kept_and_sorted() -> None:
    assert explicit_requirements(["pandas<2", "numpy >= 1.19 ; python_version<'3.8'"]) == (
        'numpy>=1.19; python_version < "3.8"',
        "pandas<2",
    )


def test_a_requirements_file_may_have_comments(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("# what we need\nnumpy==1.19.5  # the last for 3.6\n\nx @ https://host/x.whl#sha256=0\n")
    numpy, x = explicit_requirements(path)
    assert numpy == "numpy==1.19.5"
    assert Requirement(x).url == "https://host/x.whl#sha256=0"
    assert explicit_requirements(str(path)) == explicit_requirements(path)


def test_a_bad_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("numpy\n-r more.txt\n")
    with pytest.raises(PackagingError, match=r"requirements\.txt, line 2: '-r more\.txt'"):
        explicit_requirements(path)
    with pytest.raises(PackagingError, match="line 1: 'not a name'"):
        explicit_requirements(["not a name"])


def test_a_missing_file_is_named() -> None:
    with pytest.raises(PackagingError, match=r"nowhere\.txt"):
        explicit_requirements("nowhere.txt")


@given(st.sets(st.sampled_from(["numpy", "yaml", "pytest", "os", "absent_one", "clustrix"])))
def test_requirements_are_valid_sorted_and_independent_of_order(names: set[str]) -> None:
    found = requirements_for(sorted(names))
    assert found == requirements_for(sorted(names, reverse=True)) == tuple(sorted(found))
    for text in found:
        Requirement(text)
