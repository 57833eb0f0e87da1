"""A client that is killed at any moment, from outside, costs nothing: each job gives its value once more, or was never submitted.

The moments are seen from outside: files here and on the cluster, bytes on the way. Nothing in clustrix knows of them.
"""

import signal
import time
from pathlib import Path

import clients
import pytest
from pointed_at import pointed_at
from tcp_proxy import Proxy

import clustrix
import simcluster
from clustrix.journal import state_directory

SIZE = 3 << 20
CLIENT = f"""
future = cluster(python="3.6", **eval(os.environ["OPTIONS"]))(counted_workload.counted_exchange).submit("~/runs", "~/go", bytes({SIZE}))
print("value", len(future.result(120)), flush=True)
sys.stdin.read()
"""
# Reads the value and is killed in turn, as soon as it has it: whether it was acknowledged is anybody's guess.
FETCHER = "print(len(clustrix.attach({!r}).result(90)), flush=True); os.kill(os.getpid(), 9)"


@pytest.fixture(scope="module")
def site():
    with simcluster.start("slurm", nodes=1, pythons=["3.6"]) as started:
        yield started


@pytest.fixture
def proxy(site):
    proxy = Proxy((site.ssh.host, site.ssh.port))
    yield proxy
    proxy.close()


@pytest.fixture(autouse=True)
def configured(site, proxy, tmp_path, monkeypatch):
    """Clients reach ``site`` through ``proxy``, with cache and journal of the test's own."""
    with pointed_at(site, tmp_path, monkeypatch):
        yield
        site.faults.undo_all()
        site.run("rm -f runs go; scancel --me; rm -rf ~/.clustrix/jobs/* ~/.clustrix/done/*/*", check=True)


class Client:
    """The process that will be killed, and what can be seen of it from outside."""

    def __init__(self, site, proxy, tmp_path, **options):
        self.site, self.proxy = site, proxy
        known = tmp_path / "known_hosts"
        text = Path(site.ssh.known_hosts_file).read_text()
        known.write_text(text.replace(f"]:{site.ssh.port}", f"]:{proxy.port}"))
        self.process = clients.start(
            CLIENT,
            CLUSTRIX_CLUSTER_PORT=str(proxy.port),
            CLUSTRIX_KNOWN_HOSTS_FILE=str(known),
            OPTIONS=repr(options),
        )

    def entries(self):
        return list((state_directory() / "jobs").glob("cx*.json"))

    def here(self, condition):
        """Wait, as close as can be, for something on this machine."""
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline
            assert self.process.poll() is None, self.process.communicate()

    def there(self, *patterns):
        """The same for a file on the cluster that one of the shell's ``patterns`` names."""
        tests = "; ".join(f'set -- {pattern}; [ -e "$1" ] && exit 0' for pattern in patterns)
        self.site.run(
            f"cd ~/.clustrix; end=$(($(date +%s)+60)); while [ $(date +%s) -lt $end ]; do {tests}; done; exit 1",
            check=True,
        )

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


def before_the_entry(client):
    client.here(lambda: client.proxy.sent)


def when_the_entry_is_written(client):
    client.here(client.entries)


def while_arguments_are_sent(client):
    client.here(client.entries)
    client.proxy.stop_sending_at = client.proxy.sent + SIZE // 3
    assert client.proxy.is_stopped.wait(60)


def when_its_directory_appears(client):
    client.there("jobs/cx*")


def while_it_is_submitted(client):
    client.there("jobs/cx*/script.sh")


def when_its_number_is_noted(client):
    client.there("jobs/cx*/scheduler_id")


def when_the_answer_is_here(client):
    client.here(lambda: any('\n{"scheduler_id"' in path.read_text() for path in client.entries()))


def while_it_waits(client):
    client.there("jobs/cx*/scheduler_id")


def while_it_runs(client):
    client.there("~/runs")


def while_its_result_is_written(client):
    client.there("~/runs")
    client.site.run("touch go", check=True)
    client.there("jobs/cx*/out/.[0-9a-f]*", "jobs/cx*/out/result")


def when_its_result_is_there(client):
    client.there("~/runs")
    client.site.run("touch go", check=True)
    client.there("jobs/cx*/out/result")


def while_the_value_is_received(client):
    client.there("~/runs")
    client.proxy.stop_receiving_at = client.proxy.received + SIZE // 3
    client.site.run("touch go", check=True)
    assert client.proxy.is_stopped.wait(60)


def when_its_entry_is_removed(client):
    client.there("~/runs")
    client.site.run("touch go", check=True)
    client.here(lambda: not client.entries())


def when_it_has_the_value(client):
    client.there("~/runs")
    client.site.run("touch go", check=True)
    assert client.process.stdout.readline() == f"value {SIZE}\n"


MOMENTS = [
    before_the_entry,
    when_the_entry_is_written,
    while_arguments_are_sent,
    when_its_directory_appears,
    while_it_is_submitted,
    when_its_number_is_noted,
    when_the_answer_is_here,
    while_it_waits,
    while_it_runs,
    while_its_result_is_written,
    when_its_result_is_there,
    while_the_value_is_received,
    when_its_entry_is_removed,
    when_it_has_the_value,
]


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.__name__)
def test_a_job_of_a_killed_client_gives_its_value_or_was_never_submitted(site, proxy, tmp_path, moment):
    options = {"extra_directives": ["--hold"]} if moment is while_it_waits else {}
    slow = site.faults.scheduler.slow(1.0)
    if moment is while_it_is_submitted:
        slow.start()
    client = Client(site, proxy, tmp_path, **options)
    moment(client)
    client.kill()
    slow.stop()
    proxy.drop()
    # What is under way on the login node comes to its end without the client.
    site.run("while pgrep -f 'sys.stdin.[b]uffer.read' > /dev/null; do sleep 0.05; done", check=True, timeout=90)
    site.run("touch go; for id in $(squeue -h -t PD -o %i); do scontrol release $id; done", check=True)
    job_ids = [path.stem for path in client.entries()]
    if moment is before_the_entry:
        assert job_ids == []
        assert there() == []
        assert site.run("cat runs 2>/dev/null").stdout == ""
        return
    if job_ids:
        outcome = fetched_by_another(job_ids[0])
    else:
        assert moment in {when_its_entry_is_removed, when_it_has_the_value}
        outcome = "fetched"
    ran = site.run("cat runs 2>/dev/null").stdout.count("run")
    if outcome == "never submitted":
        assert moment in MOMENTS[1:5], outcome
        assert ran == 0
        assert there() == []
    else:
        assert outcome in {"value", "fetched"}
        assert ran == 1
    if job_ids and outcome == "value":
        assert fetched_by_another(job_ids[0]) in {"value", "fetched"}
    assert site.run("cat runs 2>/dev/null").stdout.count("run") == ran


def there():
    with clustrix.ClusterExecutor(clustrix.get_config()) as executor:
        return executor.discover()


def fetched_by_another(job_id):
    output, errors = clients.start(FETCHER.format(job_id)).communicate(timeout=120)
    if output:
        assert output == f"{SIZE}\n"
        return "value"
    return (
        "never submitted"
        if "never submitted, or its files" in errors
        else "fetched"
        if "fetched already" in errors
        else errors
    )
