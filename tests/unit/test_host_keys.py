import stat

import paramiko
import pytest

from clustrix.connection.host_keys import KnownHosts, fingerprint
from clustrix.errors import HostKeyError

KEY, OTHER = paramiko.ECDSAKey.generate(), paramiko.ECDSAKey.generate()


def line(name: str, key: paramiko.PKey = KEY) -> str:
    return f"{name} {key.get_name()} {key.get_base64()}"


@pytest.fixture
def known(tmp_path):
    def make(*lines: str, policy: str = "strict") -> KnownHosts:
        path = tmp_path / "known_hosts"
        path.write_text("\n".join(lines) + "\n")
        return KnownHosts((path, tmp_path / "absent"), policy)

    return make


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        (line("hpc.example"), "hpc.example"),
        (line("[hpc.example]:2222"), "[hpc.example]:2222"),
        (line("other,hpc.example"), "hpc.example"),
        (line("*.example,!hpc2.example"), "hpc.example"),
        (line(paramiko.HostKeys.hash_host("hpc.example")), "hpc.example"),
        (line(paramiko.HostKeys.hash_host("[hpc.example]:2222")), "[hpc.example]:2222"),
    ],
)
def test_a_known_key_is_accepted(known, entry, name):
    known(entry).check(name, KEY)


def test_lines_that_are_no_keys_do_not_hide_those_that_are(known):
    odd = [
        "# a comment",
        "",
        "@cert-authority *.example ssh-ed25519 AAAA",
        "nonsense",
        "hpc.example ssh-rsa !!!",
        line("hpc.example"),
    ]
    known(*odd).check("hpc.example", KEY)


def test_an_unknown_host_is_refused_with_fingerprint_and_command(known):
    with pytest.raises(HostKeyError) as caught:
        known(line("elsewhere")).check("[hpc.example]:2222", KEY)
    assert fingerprint(KEY) in str(caught.value)
    assert "ssh-keyscan -p 2222 -t ecdsa hpc.example >> " in str(caught.value)


def test_the_key_of_another_port_is_not_this_hosts(known):
    with pytest.raises(HostKeyError, match="not known"):
        known(line("hpc.example")).check("[hpc.example]:2222", KEY)


def test_a_changed_key_is_refused_with_fingerprint_and_command_even_when_new_ones_are_accepted(known):
    with pytest.raises(HostKeyError, match="has changed") as caught:
        known(line("hpc.example", OTHER), policy="accept-new").check("hpc.example", KEY)
    assert fingerprint(KEY) in str(caught.value)
    assert "known_hosts, line 1, has another" in str(caught.value)
    assert "ssh-keygen -R hpc.example -f " in str(caught.value)


def test_a_revoked_key_is_refused_though_it_is_known(known):
    with pytest.raises(HostKeyError, match=r"revoked in .*known_hosts, line 2"):
        known(line("hpc.example"), "@revoked " + line("*")).check("hpc.example", KEY)


def test_a_new_host_is_written_down_once_where_that_is_the_policy(known):
    hosts = known("# mine", policy="accept-new")
    for _ in range(2):
        hosts.check("[hpc.example]:2222", KEY)
    assert hosts.files[0].read_text() == "# mine\n" + line("[hpc.example]:2222") + "\n"


def test_a_file_that_new_keys_go_to_is_made_for_its_user_only(tmp_path):
    hosts = KnownHosts((tmp_path / "new" / "known_hosts",), "accept-new")
    hosts.check("hpc.example", KEY)
    assert stat.S_IMODE(hosts.files[0].stat().st_mode) == 0o600
    assert stat.S_IMODE(hosts.files[0].parent.stat().st_mode) == 0o700


def test_a_new_host_is_written_down_as_a_hash_where_ssh_hashes_names(tmp_path):
    hosts = KnownHosts((tmp_path / "known_hosts",), "accept-new", is_hashing=True)
    hosts.check("hpc.example", KEY)
    assert hosts.files[0].read_text().startswith("|1|")
    KnownHosts(hosts.files, "strict").check("hpc.example", KEY)


def test_an_authority_is_none_for_hosts_that_it_does_not_name(known):
    hosts = known("@cert-authority *.example " + line("x").removeprefix("x "))
    assert hosts.has_authority_for("hpc.example")
    assert not hosts.has_authority_for("hpc.elsewhere")


def test_the_fingerprint_is_openssh_s():
    assert fingerprint(KEY) == KEY.fingerprint
