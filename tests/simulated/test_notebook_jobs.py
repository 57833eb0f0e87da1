"""A notebook in front of a cluster: a real kernel runs the cells, an emulated Slurm their jobs."""

import contextlib
import os
import queue
import re
import sys
import time

import pytest

import simcluster

pytestmark = [
    # The kernel's client makes its event loop, and temporary files, as it likes.
    pytest.mark.filterwarnings("ignore"),
]


class Notebook:
    """A kernel, and what it showed of its cells."""

    def __init__(self, client):
        self.client = client
        self.views = None

    @contextlib.contextmanager
    def watched(self):
        """The views that the cells run inside show, and what becomes of them."""
        self.views = Views(self.client)
        yield self.views
        self.views = None

    def run(self, text):
        """What a cell wrote and showed, by kind; the traceback of an error without colours."""
        shown = []
        self.client.execute_interactive(text, timeout=120, output_hook=shown.append)
        seen = Seen()
        for message in shown:
            content = message["content"]
            if self.views is not None:
                self.views.note(message)
            if message["msg_type"] == "stream":
                setattr(seen, content["name"], getattr(seen, content["name"]) + content["text"])
            elif message["msg_type"] == "execute_result":
                seen.value = content["data"]["text/plain"]
            elif message["msg_type"] == "display_data":
                seen.stdout += content["data"]["text/plain"]
            elif message["msg_type"] == "error":
                seen.error = re.sub(r"\x1b\[[\d;]*m", "", "\n".join(content["traceback"]))
        return seen

    def value(self, text):
        """What an expression is, after nothing has gone wrong."""
        seen = self.run(text)
        assert not seen.error, seen.error
        return seen.value


class Views:
    """What is shown under each display id now."""

    def __init__(self, client):
        self.client, self.last = client, {}

    def note(self, message):
        if message["msg_type"] in ("display_data", "update_display_data"):
            content = message["content"]
            self.last[content["transient"]["display_id"]] = content["data"]["text/plain"]

    def wait_for(self, words, *, times=1):
        deadline = time.monotonic() + 60
        while sum(text.count(words) for text in self.last.values()) < times:
            assert time.monotonic() < deadline, self.last
            with contextlib.suppress(queue.Empty):
                self.note(self.client.get_iopub_msg(timeout=1))


class Seen:
    stdout = stderr = value = error = ""

    def __repr__(self):
        return f"{self.stdout!r}, {self.stderr!r}, {self.value!r}, {self.error}"


@pytest.fixture(scope="module")
def site():
    with simcluster.start("slurm", nodes=1, pythons=["3.6"]) as started:
        yield started


@pytest.fixture(scope="module")
def notebook(site, tmp_path_factory):
    from jupyter_client.manager import KernelManager

    home = tmp_path_factory.mktemp("home")
    (home / ".clustrix").mkdir()
    (home / ".clustrix" / "config.yaml").write_text(
        f"active: none\nprofiles:\n  none: {{}}\n  sim:\n    cluster_host: {site.ssh.host}\n    cluster_port: {site.ssh.port}\n"
        f"    username: {site.ssh.username}\n    key_file: {site.ssh.key_file}\n"
        f"    known_hosts_file: {site.ssh.known_hosts_file}\n    default_memory: 500MB\n    default_cores: 1\n"
    )
    unset = ("XDG_", "CLUSTRIX_")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(unset)}
    manager = KernelManager()
    manager.kernel_cmd = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    manager._kernel_spec = None
    manager.start_kernel(
        env={**variables, "HOME": str(home), "IPYTHONDIR": str(home), "JUPYTER_RUNTIME_DIR": str(home)}, cwd=str(home)
    )
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        started = Notebook(client)
        loaded = started.run("%load_ext clustrix")
        assert not loaded.error, loaded.error
        yield started
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def there(notebook):
    """The notebook with the cluster's profile."""
    seen = notebook.run("%clustrix profile sim")
    assert not seen.error, seen.error
    return notebook


def test_without_a_cluster_the_cell_runs_in_the_notebook(notebook):
    seen = notebook.run("%%cluster\nimport os\nhere = os.getpid()\nhere")
    assert seen.value == notebook.value("os.getpid()")
    assert "no cluster is configured" in notebook.run("%%cluster --submit f\n1").stderr


def test_a_cell_runs_as_a_job_and_its_variables_come_back(there):
    there.run(
        "import math\nfactor, items = 2, [1]\nclass Point:\n    x = 1\ndef grown(x): return math.floor(x) * factor"
    )
    seen = there.run(
        "%%cluster --python 3.6\n"
        "import sys\n"
        "text = '''a\n  b'''\n"
        "factor += 1\n"
        "items.append(grown(2.5))\n"
        "point = Point()\n"
        "point.x = factor\n"
        "for number in range(3):\n"
        "    print('at', number)\n"
        "def twice(x):\n"
        "    return 2 * x\n"
        "twice(sys.version_info[:2])"
    )
    assert (seen.error, seen.value) == ("", "(3, 6, 3, 6)")
    assert seen.stdout.endswith("at 0\nat 1\nat 2\n")
    told = there.value(
        "factor, items, point.x, type(point) is Point, text, number, twice(4), sys.version_info > (3, 6)"
    )
    assert told == "(3, [1, 4], 3, True, 'a\\n  b', 2, 8, True)"


def test_what_can_not_come_back_is_named(there):
    seen = there.run("%%cluster --python 3.6\nstream = open('/dev/null')\nkept = 5\nif not kept: absent = 1")
    assert not seen.error
    assert "stream" in seen.stderr
    assert there.value("kept, 'stream' in dir(), 'absent' in dir()") == "(5, False, False)"


def test_an_exception_shows_the_line_of_the_cell(there):
    seen = there.run("numbers = [1, 0]")
    seen = there.run("%%cluster --python 3.6\n\nfor number in numbers:\n    shares = 1 / number\n")
    assert "ZeroDivisionError" in seen.error
    assert re.search(r"-+> *4 +shares = 1 / number", seen.error), seen.error


def test_magics_in_a_cell_are_refused_with_their_line(there):
    seen = there.run("%%cluster\nx = 1\n!ls")
    assert "SyntaxError: magics and shell commands" in seen.error
    assert ">:3" in seen.error


def test_a_submitted_cell_is_a_future_of_its_variables(there):
    assert not there.run("%%cluster --submit later --python 3.6\ny = 6\ny * 7").error
    assert there.value("later.result()") == "{'_': 42, 'y': 6}"


WAITING = """
import os, time
from clustrix import cluster, ClusterExecutor

@cluster(python="3.6")
def work(path, word):
    print("begins with", word)
    while not os.path.exists(path):
        time.sleep(0.05)
    return word
"""


def test_a_future_is_shown_as_it_is_until_its_job_has_ended(there, site):
    there.run(WAITING)
    with there.watched() as shown:
        there.run("one = work.submit('go', 'one')\none")
        shown.wait_for("begins with one")
        there.run("[work.submit('go', word) for word in ('two', 'three')]")
        there.run("from clustrix import cluster_write; cluster_write('go', b'')")
        shown.wait_for("has its result on node1", times=3)
    single, several = (text for text in shown.last.values() if "work cx" in text)
    assert "begins with one" in single
    assert "begins with" not in several
    assert several.count("has its result on node1") == 2


def test_the_line_magic_is_the_command_line(there):
    assert "known_hosts_file" in there.run("%clustrix config").stdout
    assert "no job waits" in there.run("%clustrix jobs").stderr
    assert there.run("%clustrix ls ~").error == ""
    assert "UsageError: No such command 'jbos'" in there.run("%clustrix jbos").stderr
    assert "no profile 'sum'; there is none, sim" in there.run("%clustrix profile sum").stderr


def test_the_form_tries_a_configuration_and_saves_it(there):
    there.run("import clustrix\nform = clustrix.widget()\n*inputs, profile, buttons, said = form.children")
    there.run("test, save = buttons.children\nfields = {each.description: each for each in inputs}")
    assert there.value("fields['host'].value, fields['memory'].value") == "('127.0.0.1', '500MB')"
    there.run("fields['cores'].value = 'many'\ntest.click()")
    assert "form: default_cores='many': allowed is" in there.value("said.outputs[0]['text']")
    there.run("fields['cores'].value = '2'\ntest.click()")
    found = there.value("''.join(each['text'] for each in said.outputs)")
    assert "job: ran on node1" in found
    there.run("profile.value = 'wide'\nsave.click()")
    assert "has the profile wide, and this notebook uses it" in there.value("said.outputs[0]['text']")
    assert there.value("clustrix.get_config().default_cores") == "2"
