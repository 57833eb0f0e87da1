"""What a configuration accepts, where its values come from, and that secrets stay out of everything."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path, PurePosixPath

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from clustrix.config import (
    SECRET_FIELDS,
    ClusterConfig,
    ProfileManager,
    configure,
    effective_config,
    get_config,
    load_config,
    parse_memory_mb,
    parse_time_seconds,
    reset_config,
    save_config,
)
from clustrix.errors import ConfigurationError


@pytest.fixture(autouse=True)
def nowhere_configured(tmp_path, monkeypatch):
    """An empty home and an empty project, and nothing of the tester's own."""
    for variable in list(os.environ):
        if variable.startswith("CLUSTRIX_"):
            monkeypatch.delenv(variable)
    for name in ("home", "project"):
        (tmp_path / name).mkdir()
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "project")
    reset_config()
    yield
    reset_config()


@pytest.fixture
def user_file(tmp_path):
    path = tmp_path / "home" / ".clustrix" / "config.yaml"
    path.parent.mkdir()
    return path


@pytest.fixture
def project_file(tmp_path):
    return tmp_path / "project" / "clustrix.yml"


ALLOWED = {
    "cluster_host": [None, "login.example.org", "my_alias", "10.0.0.1", "2001:db8::1", "fe80::1%eth0"],
    "cluster_type": ["slurm", "local"], "connection": ["auto", "paramiko", "local"], "use_two_venv": [True, False, "auto"],
    "username": [None, "a.user@REALM", "DOMAIN\\user"], "cluster_port": [1, 65535], "default_cores": [1],
    "default_memory": ["1.5GB", "500MB", "16G"], "default_time": ["90", "05:00", "01:00:00", "2-12:00:00"],
    "default_partition": [None, "short,long"], "job_poll_interval": [None],
    "extra_directives": [["--comment='two words'", "-l mem=1gb -l ncpus=2", "-h"]], "module_loads": [["gcc/12.2.0", "python/3.11", "Foo_bar+x"]],
    "environment_variables": [{"_X1": "a\nb 'c' $d"}], "pre_execution_commands": [["ulimit -s unlimited; echo $HOME"]],
    "host_key_policy": ["strict", "accept-new"], "connect_timeout": [0.1, 20],
}  # fmt: skip
NO_WORDS = ["", "a b", "a'b", 'a"b', "a\nb", "a\n", "a\0", "a\x1b[0m", "$a", "`a`", "a;b", "a\\b", "a\u2028b", "-a", 1]
NO_PATHS = ["", "a\0", "a\nb", "a\rb", "-x", 1, b"x"]
NO_SECONDS = [0, -1, "5", True, float("nan"), float("inf")]
NO_CHOICES = ["x", "", 1, None]
NO_TRUTHS = [1, 0, "true", None]
REFUSED = {
    **dict.fromkeys(("cluster_type", "connection", "package_manager", "build_on", "nested"), NO_CHOICES),
    **dict.fromkeys(("default_partition", "default_queue", "account", "qos"), NO_WORDS),
    **dict.fromkeys(("remote_work_dir", "remote_state_dir", "local_work_dir", "local_cache_dir"), NO_PATHS),
    **dict.fromkeys(("key_file", "known_hosts_file", "python_executable"), NO_PATHS),
    **dict.fromkeys(("connect_timeout", "venv_setup_timeout", "job_poll_interval"), NO_SECONDS),
    **dict.fromkeys(("auto_parallel", "async_submit", "cleanup_on_success", "provision_python", "show_progress"), NO_TRUTHS),
    "cluster_host": ["", "-oProxyCommand=x", "two words", "h;ls", "h\n", "$(id)", "me@host", b"h"],
    "username": ["", "-l", "a b", "a;b", "a\n", "`id`", "$x"], "password": [5], "host_key_policy": ["off", "Strict", "strict\n", None],
    "cluster_port": [0, 65536, -1, "22", 22.0, True, None], "default_cores": [0, -1, 2.0, "4", True, None],
    "default_memory": [8, 8.0, "8", "0GB", "GB", "-1GB", "1e3GB", "8GB\n--x", "\u0668GB", "nan", "1,5GB", None],
    "default_time": [60, "", "0", "00:00:00", "1h", "1:2:3:4", "-1", "1-", "01:00:00\nx", "1-2-3", "\u0668", None],
    "extra_directives": ["--nice", ["--comment=two words"], ["/tmp/script"], ["-p short script"], ["-a 'b"], [1], ["-a\n#SBATCH -b"], ["a\rb"], ["a\x85b"], ["\0"], [""], None, {"a": "b"}],
    "module_loads": ["gcc", ["a;b"], ["a b"], ["$(x)"], ["-f"], [""], ["a\n"], [None], None],
    "environment_variables": [{"A B": ""}, {"1A": ""}, {"A": 1}, {"A": "\0"}, {"A\n": ""}, {"": ""}, {1: ""}, {"UID": "0"}, {"RANDOM": ""}, [], None],
    "pre_execution_commands": ["module purge", ["\0"], [b"x"], ["\ud800"], None],
    "use_two_venv": ["Auto", 1, 0, None, "false"], "max_parallel_jobs": [0, "3", None], "local_parallel_threshold": [-1],
}  # fmt: skip


def pairs(table):
    return [pytest.param(name, value, id=f"{name}={value!r}") for name, values in table.items() for value in values]


class TestAValueIsCheckedWhenItIsSet:
    @pytest.mark.parametrize(("name", "value"), pairs(ALLOWED))
    def test_an_allowed_value_is_kept_as_it_is(self, name, value):
        assert getattr(ClusterConfig(**{name: value}), name) == value

    @pytest.mark.parametrize(("name", "value"), pairs(REFUSED))
    def test_a_wrong_value_is_refused_everywhere_by_the_name_of_its_field(self, name, value):
        config = ClusterConfig()
        before = getattr(config, name)
        values = {name: value}
        ways = (lambda: ClusterConfig(**values), lambda: setattr(config, name, value), lambda: configure(**values),
                lambda: effective_config(values), lambda: dataclasses.replace(config, **values))  # fmt: skip
        for way in ways:
            with pytest.raises(ConfigurationError, match=rf"^{name}=.*: allowed is ."):
                way()
        assert getattr(config, name) == before

    def test_the_message_names_value_and_what_is_allowed(self):
        with pytest.raises(ConfigurationError) as caught:
            ClusterConfig(cluster_port=70000)
        assert str(caught.value) == "cluster_port=70000: allowed is a whole number from 1 to 65535"

    @pytest.mark.parametrize(
        ("wrong", "right"), [("cluster_hots", "cluster_host"), ("user", "username"), ("cores", "default_cores")]
    )
    def test_an_unknown_field_is_an_error_with_the_nearest_known_name(self, wrong, right):
        config = ClusterConfig()
        values = {wrong: 1}
        for way in (lambda: ClusterConfig(**values), lambda: setattr(config, wrong, 1), lambda: configure(**values)):
            with pytest.raises(ConfigurationError, match=f"no field '{wrong}'; did you mean '{right}'"):
                way()

    def test_a_large_value_is_not_printed_whole(self):
        with pytest.raises(ConfigurationError) as caught:
            ClusterConfig(module_loads=[["a" * 1000] * 1000] * 1000)
        assert len(str(caught.value)) < 2000

    def test_paths_are_kept_as_text_with_their_tilde(self):
        config = ClusterConfig(key_file=Path("~") / "key", remote_work_dir=PurePosixPath("~/work"))
        assert (config.key_file, config.remote_work_dir) == (str(Path("~") / "key"), "~/work")

    def test_lists_and_mappings_are_the_configurations_own(self):
        modules, variables = ["gcc"], {"A": "1"}
        config = ClusterConfig(module_loads=modules, environment_variables=variables)
        modules.append("x;y")
        variables["B"] = "2"
        assert (config.module_loads, config.environment_variables) == (["gcc"], {"A": "1"})


class TestMemoryAndTime:
    @pytest.mark.parametrize(
        ("text", "mebibytes"),
        [("8GB", 8192), ("500MB", 500), ("1.5GB", 1536), ("16G", 16384), ("1K", 1), ("1025KiB", 2), ("2t", 2 << 20),
         (" 1 gb ", 1024), ("0.1GB", 103), ("1.0001MB", 2)],
    )  # fmt: skip
    def test_memory_is_mebibytes_rounded_up(self, text, mebibytes):
        assert parse_memory_mb(text) == mebibytes

    @pytest.mark.parametrize(
        ("text", "seconds"),
        [("90", 5400), ("5:30", 330), ("01:00:00", 3600), ("1-12", 129600), ("1-12:30", 131400),
         ("1-00:00:01", 86401), ("100:00:00", 360000), ("00:05:00", 300)],
    )  # fmt: skip
    def test_time_is_what_slurm_takes_it_for(self, text, seconds):
        assert parse_time_seconds(text) == seconds

    @given(st.text() | st.integers() | st.none())
    @pytest.mark.parametrize("parse", [parse_memory_mb, parse_time_seconds])
    def test_anything_is_a_positive_number_or_an_error_that_shows_how(self, parse, text):
        try:
            assert parse(text) > 0
        except ConfigurationError as error:
            assert 'such as "' in str(error)  # noqa: PT017


SOURCES = ["user file", "project file", "environment", "configure", "decorator"]


class TestPrecedence:
    def put(self, source, tmp_path, monkeypatch):
        """Set `account` to a word that tells from where; the overrides of a decorator are returned."""
        word = source.replace(" ", "_")
        if source.endswith("file"):
            path = tmp_path / ("home/.clustrix/config.yml" if source == "user file" else "project/clustrix.yaml")
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"account: {word}\n")
        elif source == "environment":
            monkeypatch.setenv("CLUSTRIX_ACCOUNT", word)
        elif source == "configure":
            configure(account=word)
        return {"account": word} if source == "decorator" else {}

    @pytest.mark.parametrize("lower", SOURCES)
    @pytest.mark.parametrize("higher", SOURCES)
    def test_of_two_sources_the_higher_one_counts(self, lower, higher, tmp_path, monkeypatch):
        low, high = sorted((lower, higher), key=SOURCES.index)
        overrides = {**self.put(low, tmp_path, monkeypatch), **self.put(high, tmp_path, monkeypatch)}
        assert effective_config(overrides).account == high.replace(" ", "_")

    def test_fields_of_all_sources_come_together(self, user_file, project_file, monkeypatch):
        user_file.write_text("username: me\n")
        project_file.write_text("cluster_host: login\n")
        monkeypatch.setenv("CLUSTRIX_CLUSTER_PORT", "2222")
        configure(qos="high")
        config = effective_config({"default_cores": 2})
        found = (config.username, config.cluster_host, config.cluster_port, config.qos, config.default_cores)
        assert found == ("me", "login", 2222, "high", 2)

    def test_every_change_is_seen_by_the_next_call(self, project_file, monkeypatch):
        now = time.time_ns()
        for word in ("a", "b", "c"):
            project_file.write_text(f"account: {word}")
            os.utime(project_file, ns=(now, now))  # as a file system with coarse time stamps has it
            assert get_config().account == word
        monkeypatch.setenv("CLUSTRIX_ACCOUNT", "environment")
        assert get_config().account == "environment"
        monkeypatch.delenv("CLUSTRIX_ACCOUNT")
        project_file.unlink()
        assert get_config().account is None

    def test_what_a_caller_does_to_its_copy_stays_there(self):
        configure(module_loads=["gcc"])
        config = get_config()
        config.module_loads.append("x")
        config.account = "mine"
        assert (get_config().module_loads, get_config().account) == (["gcc"], None)

    def test_configure_sets_all_or_nothing(self):
        with pytest.raises(ConfigurationError):
            configure(account="a", cluster_port=0)
        assert get_config().account is None

    def test_two_files_for_one_place_are_an_error(self, project_file):
        project_file.write_text("account: a")
        project_file.with_suffix(".yaml").write_text("account: b")
        with pytest.raises(ConfigurationError, match="both exist; keep one"):
            get_config()


class TestTheEnvironment:
    @pytest.mark.parametrize(
        ("name", "text", "value"),
        [("cluster_port", "2222", 2222), ("async_submit", "1", True), ("auto_parallel", "False", False),
         ("use_two_venv", "no", False), ("use_two_venv", "auto", "auto"), ("connect_timeout", "0.5", 0.5),
         ("connect_timeout", "30", 30), ("default_time", "10:00:00", "10:00:00"), ("default_partition", "no", "no"),
         ("cluster_host", "", None), ("module_loads", "[gcc/12, python/3.10]", ["gcc/12", "python/3.10"]),
         ("environment_variables", "{A: 1, B: yes, C: 0x10, D: ''}", {"A": "1", "B": "yes", "C": "0x10", "D": ""})],
    )  # fmt: skip
    def test_text_becomes_the_type_of_its_field(self, name, text, value, monkeypatch):
        monkeypatch.setenv(f"CLUSTRIX_{name.upper()}", text)
        found = getattr(get_config(), name)
        assert (found, type(found)) == (value, type(value))

    @pytest.mark.parametrize(
        ("name", "text"),
        [("cluster_port", "abc"), ("async_submit", "maybe"), ("module_loads", "gcc"), ("module_loads", "[a"),
         ("environment_variables", "A=1"), ("default_cores", ""), ("connect_timeout", "nan"), ("cluster_type", "lsf")],
    )  # fmt: skip
    def test_a_wrong_text_is_an_error_that_names_the_variable(self, name, text, monkeypatch):
        monkeypatch.setenv(f"CLUSTRIX_{name.upper()}", text)
        with pytest.raises(ConfigurationError, match=f"environment variable CLUSTRIX_{name.upper()}: {name}="):
            get_config()

    def test_remote_python_path_is_another_name_of_python_executable(self, monkeypatch):
        monkeypatch.setenv("CLUSTRIX_REMOTE_PYTHON_PATH", "/opt/bin/python3.6")
        assert get_config().python_executable == "/opt/bin/python3.6"
        monkeypatch.setenv("CLUSTRIX_PYTHON_EXECUTABLE", "/opt/bin/python3.7")
        with pytest.raises(ConfigurationError, match="contradicts"):
            get_config()

    def test_variables_that_are_not_fields_are_left_alone(self, monkeypatch):
        for name in ("PACKAGE_DIR", "DEBUG_PACKAGING", "SOMETHING_ELSE"):
            monkeypatch.setenv(f"CLUSTRIX_{name}", "1")
        assert get_config() == ClusterConfig()


class TestFiles:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("account: a\ncluster_prot: 22", "clustrix.yml, line 2: .*no field 'cluster_prot'; did you mean 'cluster_port'"),
            ("account: a\n\ncluster_port: 0", "clustrix.yml, line 3: cluster_port=0: allowed is a whole number"),
            ("profiles:\n  a:\n    qos: b c\n", "clustrix.yml, line 3, profile a: qos='b c': allowed is"),
            ("account: a\naccount: b", "clustrix.yml, line 2: .*there twice"),
            ("account: [a", "clustrix.yml, line .*not YAML"),
            ("- a", "clustrix.yml: expected lines such as"),
            ("account: a\nprofiles: {}", "clustrix.yml, line 1: beside 'profiles' and 'active' there can be no 'account'"),
            ("active: b\nprofiles: {a: {}}", "active is 'b'; the profiles are a"),
            ("profiles: [a]", "'profiles' holds names"),
            ("? [a]\n: b", "a name has to be text"),
            ("account: &a [*a]", "line 1"),
            ("account: !!python/object/apply:os.getpid []", "line 1: this is not YAML"),
            ("account: \x01", "not YAML"),
            ("password: secret", "a password does not belong in a file"),
        ],
    )  # fmt: skip
    def test_an_error_names_the_file_and_the_line(self, text, message, project_file):
        project_file.write_text(text)
        with pytest.raises(ConfigurationError, match=message):
            get_config()

    def test_a_file_that_cannot_be_read_is_an_error(self, tmp_path):
        (tmp_path / "binary.yml").write_bytes(b"\xff\xfe")
        for name in ("binary.yml", "missing.yml"):
            with pytest.raises(ConfigurationError, match=f"{name} can't be read"):
                load_config(tmp_path / name)

    @pytest.mark.parametrize("text", ["", "# nothing\n", "{}"])
    def test_an_empty_file_sets_nothing(self, text, project_file):
        project_file.write_text(text)
        assert get_config() == ClusterConfig()

    def test_a_file_of_notepad_is_read(self, project_file):
        project_file.write_bytes(b"\xef\xbb\xbfaccount: a\r\nqos: b\r\n")
        assert (get_config().account, get_config().qos) == ("a", "b")

    def test_load_config_replaces_what_was_set_before(self, tmp_path):
        configure(cluster_host="first", cluster_port=2222)
        (tmp_path / "second.yml").write_text("cluster_host: second\n")
        config = load_config(tmp_path / "second.yml")
        assert (config.cluster_host, config.cluster_port) == ("second", 22)
        assert get_config() == config

    def test_save_config_and_load_config_restore_what_was_in_force(self, tmp_path, monkeypatch):
        monkeypatch.setenv("CLUSTRIX_DEFAULT_CORES", "16")
        configure(default_cores=4, module_loads=["gcc"], password="secret", username=None)
        before = get_config().public_dict()
        save_config(tmp_path / "saved.yml")
        reset_config()
        load_config(tmp_path / "saved.yml")
        assert get_config().public_dict() == before

    @pytest.mark.skipif(os.name != "posix", reason="Windows has no mode bits")
    def test_a_saved_file_is_the_users_alone_and_a_link_to_it_stays(self, tmp_path):
        target, link = tmp_path / "target.yml", tmp_path / "link.yml"
        target.write_text("account: old\n")
        target.chmod(0o644)
        link.symlink_to(target)
        ClusterConfig(account="new").save_to_file(link)
        assert link.is_symlink()
        assert target.stat().st_mode & 0o777 == 0o600
        assert sorted(path.name for path in tmp_path.glob("*.yml*")) == ["link.yml", "target.yml"]
        assert ClusterConfig.load_from_file(link).account == "new"

    def test_a_place_that_cannot_be_written_is_an_error(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(ConfigurationError, match="can't be written"):
            ClusterConfig().save_to_file(tmp_path / "file" / "below.yml")


class TestProfiles:
    TWO = "active: a\nprofiles:\n  a: {account: of-a}\n  b: {account: of-b}\n"

    def test_the_active_profile_counts_unless_another_is_picked(self, user_file, monkeypatch):
        user_file.write_text(self.TWO)
        assert get_config().account == "of-a"
        monkeypatch.setenv("CLUSTRIX_PROFILE", "b")
        assert get_config().account == "of-b"
        configure(profile="a")
        assert get_config().account == "of-a"

    def test_an_unknown_profile_is_an_error_that_lists_the_known_ones(self, user_file, monkeypatch):
        user_file.write_text(self.TWO)
        with pytest.raises(ConfigurationError, match="no profile 'c'; there is a, b in "):
            configure(profile="c", account="x")
        assert get_config().account == "of-a"
        monkeypatch.setenv("CLUSTRIX_PROFILE", "d")
        with pytest.raises(ConfigurationError, match="no profile 'd'; there is a, b"):
            get_config()

    def test_a_profile_may_be_in_the_user_file_and_the_rest_in_the_project_file(self, user_file, project_file):
        user_file.write_text(self.TWO)
        project_file.write_text("qos: high\n")
        configure(profile="b")
        assert (get_config().account, get_config().qos) == ("of-b", "high")

    def test_of_several_profiles_none_is_guessed(self, user_file):
        user_file.write_text("profiles: {a: {}, b: {}}")
        with pytest.raises(ConfigurationError, match="the profiles a, b and none is active; pick one"):
            get_config()

    def test_one_file_is_loaded_by_profile(self, user_file, monkeypatch):
        user_file.write_text(self.TWO)
        assert ClusterConfig.load_from_file(user_file).account == "of-a"
        assert ClusterConfig.load_from_file(user_file, profile="b").account == "of-b"
        monkeypatch.setenv("CLUSTRIX_PROFILE", "b")
        assert load_config(user_file).account == "of-b"

    def test_the_manager_keeps_profiles_in_the_users_file(self, tmp_path):
        manager = ProfileManager()
        assert (manager.names(), manager.active) == ([], None)
        lab = ClusterConfig(cluster_host="lab", cluster_port=2222, environment_variables={"A": "1"}, password="secret")
        manager.save("lab", lab)
        manager.save("hpc", ClusterConfig(cluster_host="hpc"))
        manager.active = "lab"
        again = ProfileManager(tmp_path / "home" / ".clustrix" / "config.yaml")
        assert (again.names(), again.active) == (["hpc", "lab"], "lab")
        assert again.get("lab") == dataclasses.replace(lab, password=None)
        assert get_config().cluster_host == "lab"
        assert "secret" not in again.path.read_text()

    def test_a_removed_profile_is_gone_and_no_longer_active(self, tmp_path):
        manager = ProfileManager(tmp_path / "profiles.yml")
        for name in ("a", "b", "c"):
            manager.save(name, ClusterConfig(account=name))
        manager.active = "b"
        manager.remove("b")
        assert (manager.names(), manager.active) == (["a", "c"], None)
        for way in (lambda: manager.get("b"), lambda: manager.remove("b"), lambda: setattr(manager, "active", "b")):
            with pytest.raises(ConfigurationError, match="no profile 'b'; there is a, c"):
                way()

    @pytest.mark.skipif(os.name != "posix", reason="Windows has no mode bits")
    def test_a_new_user_directory_is_fit_to_be_a_state_directory_too(self, tmp_path):
        ProfileManager().save("a", ClusterConfig())
        assert (tmp_path / "home" / ".clustrix").stat().st_mode & 0o777 == 0o700

    def test_a_flat_file_is_not_overwritten_by_a_profile(self, user_file):
        user_file.write_text("account: a\n")
        manager = ProfileManager()
        for way in (lambda: manager.save("b", ClusterConfig()), lambda: setattr(manager, "active", None)):
            with pytest.raises(ConfigurationError, match="holds one configuration without a name"):
                way()
        assert user_file.read_text() == "account: a\n"

    @pytest.mark.parametrize("name", ["", "-a", "a b", "a\n", "../a", None, 1])
    def test_a_profiles_name_is_a_plain_word(self, name, tmp_path):
        with pytest.raises(ConfigurationError, match="a name is letters"):
            ProfileManager(tmp_path / "p.yml").save(name, ClusterConfig())


class TestSecrets:
    def test_a_password_is_kept_out_of_text_files_pickles_and_public_data(self, tmp_path):
        config = ClusterConfig(password="hunter2")
        config.save_to_file(tmp_path / "c.yml")
        texts = [repr(config), json.dumps(config.public_dict()), str(pickle.dumps(config))]
        written = [*texts, (tmp_path / "c.yml").read_text()]
        assert not [text for text in written if "hunter2" in text]
        assert set(dataclasses.asdict(config)) - set(config.public_dict()) == set(SECRET_FIELDS)

    def test_a_wrong_password_or_a_broken_file_is_not_quoted(self, tmp_path):
        (tmp_path / "c.yml").write_text("password: hunter2: [\n")
        for way in (lambda: ClusterConfig(password=["hunter2"]), lambda: load_config(tmp_path / "c.yml")):
            with pytest.raises(ConfigurationError) as caught:
                way()
            assert "hunter2" not in str(caught.value)
            assert caught.value.__cause__ is None

    def test_copies_of_this_process_keep_it(self):
        config = ClusterConfig(password="hunter2")
        copies = (copy.copy(config), copy.deepcopy(config), dataclasses.replace(config, account="a"))
        assert [one.password for one in copies] == ["hunter2"] * 3


TRICKY = ["null", "~", "true", "no", "1e3", "0x10", "10:00:00", "2020-01-01", "=", "<<", "007", "1_000", ".inf", "*a",
          "\ufeff", "\x85", "\u2028#", "\t'\"\\", "- a", "a: b #c", "%x", "@x", " x "]  # fmt: skip
TEXTS = st.sampled_from(TRICKY) | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
TRICKY_WORDS = st.sampled_from(["null", "no", "1e3", "007", "*a", "=", "%x"])
WORDS = st.from_regex(r"[\w.,:@+/=*%][\w.,:@+/=*%-]*", fullmatch=True) | TRICKY_WORDS
CONFIGS = st.builds(
    ClusterConfig,
    account=st.none() | WORDS,
    module_loads=st.lists(st.from_regex(r"\w[\w.+:@=/-]*", fullmatch=True)),
    key_file=st.none() | TEXTS.filter(lambda text: text and text[0] != "-" and not {"\n", "\r"} & set(text)),
    pre_execution_commands=st.lists(TEXTS),
    # Bash keeps names such as _ and UID for itself.
    environment_variables=st.dictionaries(st.from_regex("V[A-Za-z0-9_]*", fullmatch=True), TEXTS),
    cluster_port=st.integers(1, 65535),
    connect_timeout=st.floats(min_value=0, exclude_min=True, allow_infinity=False),
    async_submit=st.booleans(),
    use_two_venv=st.sampled_from([True, False, "auto"]),
)


@given(config=CONFIGS)
def test_what_is_saved_is_what_clustrix_and_any_other_yaml_reader_load(config, tmp_path_factory):
    file = tmp_path_factory.getbasetemp() / "round trip.yml"
    config.save_to_file(file)
    assert ClusterConfig.load_from_file(file) == config
    assert ClusterConfig(**yaml.safe_load(file.read_text(encoding="utf-8"))) == config


def test_importing_clustrix_and_configuring_it_reads_no_yaml(tmp_path):
    program = "import sys, clustrix as c; c.configure(account='a'); c.get_config(); sys.exit('yaml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=tmp_path, timeout=60, check=False).returncode == 0
