import os

import pytest
from clustrix_remote import installers
from clustrix_remote.installers import Installer, complaint, install_command

UV = Installer("uv", "/opt/uv")

# The words of pip 18.1 and 23.0, and of uv 0.13.
SAID = {
    "pip can't connect": (
        "Retrying after connection broken by 'NewConnectionError('...')': /simple/a/\nNo a==1.0 (from versions: )",
        "index",
    ),
    "uv can't connect": ("error: Request failed after 1 retry in 1.4s\n  cause: Failed to fetch: http://x/a/", "index"),
    "pip finds nothing": ("ERROR: No matching distribution found for a (from versions: none)", "index"),
    "pip finds others": ("ERROR: Could not find a version that satisfies a>2 (from versions: 1.0, 2.0)", "conflict"),
    "pip conflict": ("ERROR: ResolutionImpossible: for help visit", "conflict"),
    "uv conflict": ("  x No solution found when resolving dependencies:", "conflict"),
    "pip hash": ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "hash"),
    "uv hash": ("error: Failed to fetch a\n  cause: Hash mismatch for `a==1.0`", "hash"),
    "pip disk": ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk"),
    "quota": ("OSError: [Errno 122] Disk quota exceeded", "disk"),
    "uv disk": ("error: failed to write: No space left on device (os error 28)", "disk"),
    "another errno": ("OSError: [Errno 281] of something", "index"),
}


@pytest.mark.parametrize("case", sorted(SAID))
def test_what_an_installer_complains_of(case):
    said, kind = SAID[case]
    assert complaint(said, is_locked=False) == kind


def test_an_index_without_what_a_lock_names_does_not_serve():
    assert complaint(SAID["uv conflict"][0], is_locked=True) == "index"
    assert complaint(SAID["pip finds others"][0], is_locked=True) == "index"


def options_of_uv():
    return install_command(UV, "", "/env", "r.txt", is_locked=False, wheels=None)


def test_uv_gets_the_index_that_pips_settings_name(settings_of_nobody, monkeypatch, tmp_path):
    monkeypatch.delenv("PIP_INDEX_URL")
    settings = tmp_path / "pip.conf"
    settings.write_text(
        "[global]\nindex-url = https://mirror/simple\nextra-index-url =\n  https://a/s\n  https://b/s\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    words = " ".join(options_of_uv())
    assert "--index-url https://mirror/simple" in words
    assert "--extra-index-url https://a/s --extra-index-url https://b/s" in words
    monkeypatch.setenv("PIP_INDEX_URL", "https://mine/simple")
    assert "--index-url https://mine/simple" in " ".join(options_of_uv())


def test_the_users_own_pip_settings_are_found_in_his_home(settings_of_nobody, monkeypatch, tmp_path):
    monkeypatch.delenv("PIP_INDEX_URL")
    monkeypatch.delenv("PIP_CONFIG_FILE")
    directory = tmp_path / ".config" / "pip"
    directory.mkdir(parents=True)
    (directory / "pip.conf").write_text("[install]\nindex-url = https://mirror/simple\n")
    assert "--index-url https://mirror/simple" in " ".join(options_of_uv())


def test_uvs_own_settings_come_first(settings_of_nobody, monkeypatch):
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://uvs/simple")
    assert "--index-url" not in options_of_uv()


def test_what_would_lead_packages_elsewhere_is_not_handed_on(settings_of_nobody, monkeypatch):
    monkeypatch.setenv("PIP_TARGET", "/elsewhere")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("PIP_PROXY", "http://proxy")
    environment = installers.installer_environment("/tmp/of/the/build")
    assert "/elsewhere" not in environment.values()
    assert environment["PIP_PROXY"] == "http://proxy"
    assert environment["PIP_USER"] == "0"


def test_a_file_that_is_called_uv_and_does_not_run_is_none(settings_of_nobody, monkeypatch, tmp_path):
    (tmp_path / "uv").write_text("not a program")
    (tmp_path / "uv").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=None)
    assert installers.find_uv(None) is None
    assert not installers.runs_uv(os.path.join(str(tmp_path), "uv"))
