"""What is under way is seen by whoever waits: in a terminal, in a notebook, and not at all elsewhere; and nothing of it stays."""

import os
import re
import subprocess
import sys

import pytest
from terminals import Terminal

import simcluster

# Jobs run until the test lets them: no test waits for a clock.
PROGRAM = """
import os, sys, time
from clustrix import cluster

@cluster(cores=1, memory="50MB")
def analyse(name):
    while not os.path.exists(name):
        time.sleep(0.02)
    return name

@cluster(cores=1, memory="50MB", stream=True)
def chatter(name):
    print("half of a", end="", flush=True)
    while not os.path.exists(name + "-1"):
        time.sleep(0.02)
    print(" line", flush=True)
    while not os.path.exists(name + "-2"):
        time.sleep(0.02)

@cluster(cores=1, memory="50MB")
def each(name, number):
    while not os.path.exists(f"{name}-{number}"):
        time.sleep(0.02)
    return 1 // (number - 1)
"""
# Here likewise; a key that is pressed would be on the screen.
UNTIL = "while not os.path.exists(os.environ['UNTIL']): time.sleep(0.02)\n"
BLOCKER = "sbatch --parsable --exclusive --time=5 --output=/dev/null --wrap 'until [ -e {name} ]; do sleep 0.05; done'"


@pytest.fixture(scope="module")
def site():
    with simcluster.start("slurm", nodes=1) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def environment(site, tmp_path_factory):
    """That of a client of ``site``, on which the job's environment is built."""
    directory = tmp_path_factory.mktemp("client")
    variables = {
        "XDG_STATE_HOME": str(directory / "state"),
        "CLUSTRIX_LOCAL_CACHE_DIR": str(directory / "cache"),
        "CLUSTRIX_CLUSTER_HOST": site.ssh.host,
        "CLUSTRIX_CLUSTER_PORT": str(site.ssh.port),
        "CLUSTRIX_USERNAME": site.ssh.username,
        "CLUSTRIX_KEY_FILE": str(site.ssh.key_file),
        "CLUSTRIX_KNOWN_HOSTS_FILE": str(site.ssh.known_hosts_file),
        "CLUSTRIX_PYTHON_EXECUTABLE": "/usr/bin/python3",
    }
    program = PROGRAM + "analyse('/')"
    subprocess.run([sys.executable, "-c", program], env={**os.environ, **variables}, check=True)
    return variables


@pytest.fixture
def terminal(environment):
    open_ones = []

    def run(program, *, stdout=None, **more):
        open_ones.append(Terminal(PROGRAM + program, {**environment, **more}, stdout=stdout))
        return open_ones[-1]

    yield run
    for each in open_ones:
        each.close()


def test_a_call_shows_that_it_is_queued_that_it_runs_and_leaves_nothing(site, terminal):
    for _ in range(3):
        site.run(BLOCKER.format(name="free"), check=True)
    window = terminal("print('before'); print(analyse('go')); print('after')")
    window.wait_for("analyse  queued as ")
    window.wait_until(re.compile(r"analyse  queued as \d+: 3 of 3 waiting, may start in \d+ \w+ +0:0\d").search)
    site.run("touch free", check=True)
    window.wait_for("analyse  running")
    site.run("touch go", check=True)
    assert window.rest() == "before\ngo\nafter"
    assert window.process.returncode == 0


def test_a_map_shows_how_many_tasks_have_ended_and_failed(site, terminal):
    window = terminal(
        "results = each.map(['m'] * 3, range(3))\nprint(next(results))\ntry: next(results)\nexcept ZeroDivisionError: print('failed')\nprint(next(results))"
    )
    site.run("touch m-1", check=True)
    window.wait_for("each  1 of 3, 1 failed")
    site.run("touch m-0 m-2", check=True)
    assert window.rest() == "-1\nfailed\n1"


def test_several_threads_share_one_display_and_what_others_print_comes_above(site, terminal, tmp_path):
    window = terminal(
        "import threading\n"
        "threads = [threading.Thread(target=lambda: analyse('both')) for _ in range(2)]\n"
        f"[one.start() for one in threads]\n{UNTIL}\nprint('printed')\n[one.join() for one in threads]",
        UNTIL=str(tmp_path / "go"),
    )
    two = re.compile(r"analyse  running +0:\d\d\nanalyse  running +0:\d\d$")
    window.wait_until(two.search)
    (tmp_path / "go").touch()
    window.wait_until(lambda screen: "printed" in screen and two.search(screen))
    site.run("touch both", check=True)
    assert window.rest().split() == ["printed"]


def test_ctrl_c_leaves_the_terminal_clean(terminal):
    window = terminal("try: analyse('never')\nexcept KeyboardInterrupt: print('interrupted')")
    window.wait_for("analyse  running")
    window.press(b"\x03")
    lines = window.rest().splitlines()
    assert (len(lines), "clustrix: cancelling job cx" in lines[0], lines[1]) == (2, True, "interrupted")


def test_what_a_job_writes_is_as_it_wrote_it(site, terminal):
    window = terminal("chatter('talk'); print('end')")
    window.wait_for("half of a")
    site.run("touch talk-1", check=True)
    window.wait_for("half of a line\nchatter  running")
    site.run("touch talk-2", check=True)
    assert window.rest() == "half of a line\nend"


def test_a_file_that_stdout_leads_to_is_what_was_printed_and_nothing_else(site, terminal, tmp_path):
    with (tmp_path / "out").open("w") as out:
        window = terminal(
            "import threading\nwaiting = threading.Thread(target=lambda: print(analyse('there')))\n"
            f"waiting.start()\n{UNTIL}\nprint('printed', flush=True)\nwaiting.join()",
            stdout=out,
            UNTIL=str(tmp_path / "go"),
        )
        window.wait_for("analyse  running")
        (tmp_path / "go").touch()
        site.run("touch there", check=True)
        assert window.rest() == ""
    assert sorted((tmp_path / "out").read_text().split()) == ["printed", "there"]


def test_a_forked_child_and_its_parent_print_as_ever(site, terminal, tmp_path):
    window = terminal(
        # Python 3.12 and newer warn of any fork beside threads, before or after what the child prints.
        "import threading, warnings\nwarnings.simplefilter('ignore', DeprecationWarning)\n"
        f"waiting = threading.Thread(target=lambda: analyse('forked')); waiting.start()\n{UNTIL}\n"
        "child = os.fork()\nif not child:\n    print('child', type(sys.stdout).__name__, flush=True); os._exit(0)\n"
        "os.waitpid(child, 0); waiting.join(); print('parent')",
        UNTIL=str(tmp_path / "go"),
    )
    window.wait_for("analyse  running")
    (tmp_path / "go").touch()
    window.wait_until(lambda screen: "child TextIOWrapper" in screen and "analyse  running" in screen)
    site.run("touch forked", check=True)
    assert window.rest().split("\n")[-2:] == ["child TextIOWrapper", "parent"]


def test_it_can_be_switched_off(site, terminal):
    site.run("touch off", check=True)
    window = terminal("print(analyse('off'))", CLUSTRIX_SHOW_PROGRESS="off")
    assert window.rest() == "off"
    assert {screen for screen in window.screens if screen} == {"off"}


def test_where_stderr_is_no_terminal_nothing_is_drawn(site, environment):
    program = PROGRAM + "future = analyse.submit('pipe'); print(future.job_id, flush=True); print(future.result())"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        job_id = process.stdout.readline().strip()
        site.run(f"until squeue -h -n {job_id} -t R | grep -q .; do sleep 0.05; done; touch pipe", check=True)
        said, complaints = process.communicate(timeout=60)
    assert (said, complaints) == ("pipe\n", "")


def test_importing_clustrix_and_a_quick_call_import_no_rich(site, environment):
    site.run("touch quick", check=True)
    program = PROGRAM + "analyse('quick'); print('rich' in sys.modules)"
    environment = {**os.environ, **environment}
    done = subprocess.run([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"False\n"
