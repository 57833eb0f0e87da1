"""sacctmgr and sshare on the emulated scheduler, against what 22.05.8 printed."""

from __future__ import annotations

import pytest
from emulated_slurm import Site

from simcluster.emulated.interface import Settings


@pytest.fixture
def site():
    return Site()


def test_users_are_listed_with_their_accounts(site):
    assert site("sacctmgr", "-n", "-P", "list", "user")[0] == "root|root|Administrator\nuser|test|None\n"
    # What the Slurm plugin of snakemake asks.
    shown = site("sacctmgr", "-n", "-s", "list", "user", "user", "format=account%256")
    assert shown == (f"{'test':>256} \n", "", 0)
    assert site("sacctmgr", "-nP", "show", "user", "user=user", "withassoc", "format=user,account,qos")[0] == (
        "user|test|normal\n"
    )
    assert site("sacctmgr", "-n", "list", "user", "nobody") == ("", "", 0)


def test_associations_are_a_table(site):
    assert site("sacctmgr", "-P", "show", "assoc", "format=cluster,account,user,partition,qos")[0] == (
        "Cluster|Account|User|Partition|QOS\n"
        "cluster|root|||normal\n"
        "cluster|root|root||normal\n"
        "cluster|test|||normal\n"
        "cluster|test|user||normal\n"
    )
    assert site("sacctmgr", "-nP", "list", "assoc", "where", "user=user", "format=account")[0] == "test\n"


def test_other_entities(site):
    assert site("sacctmgr", "list", "account")[0] == (
        "   Account                Descr                  Org \n"
        "---------- -------------------- -------------------- \n"
        "      root default root account                 root \n"
        "      test                 test                 test \n"
    )
    assert site("sacctmgr", "-nP", "list", "qos", "format=name")[0] == "normal\n"
    assert site("sacctmgr", "-np", "list", "cluster", "format=cluster,controlport")[0] == "cluster|6817|\n"


@pytest.mark.parametrize("words", [("add", "account", "x"), ("-i", "delete", "user", "x"), ("modify", "user", "x"), ()])
def test_writing_is_refused(site, words, caplog):
    assert site("sacctmgr", *words)[2] == 1
    assert "sacctmgr" in caplog.text


def test_without_accounting_there_are_no_accounts():
    why = (
        "You are not running a supported accounting_storage plugin\nOnly 'accounting_storage/slurmdbd' is supported.\n"
    )
    site = Site(accounting=False)
    assert site("sacctmgr", "-n", "-s", "list", "user") == ("", why, 1)
    assert site("sshare", "-n") == ("", "", 0)


def test_shares_are_a_tree(site):
    assert site("sshare")[0] == (
        "Account                    User  RawShares  NormShares    RawUsage  EffectvUsage  FairShare \n"
        "-------------------- ---------- ---------- ----------- ----------- ------------- ---------- \n"
        "root                                                             0      0.000000            \n"
        " test                                    1                       0      0.000000            \n"
        "  test                     user          1                       0      0.000000   0.000000 \n"
    )
    assert site("sshare", "-nP", "-A", "test", "-o", "account,user,fairshare")[0] == " test||\n  test|user|0.000000\n"


def test_a_user_who_is_root_has_the_account_of_users():
    site = Site(settings=Settings(memory_per_cpu=500, user_ids={"root": 0}))
    assert site("sacctmgr", "-nsP", "list", "user", "root", "format=account")[0] == "test\n"
    assert site("sshare", "-nPo", "account,user", user="root")[0] == "root|\n test|\n  test|root\n"
