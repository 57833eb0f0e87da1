import os
import stat
import subprocess
import sys
import threading

import pytest

from clustrix.errors import ClustrixError
from clustrix.journal import Entry, Journal

ENTRY = Entry(
    job_id="cxabcdefghijkl", key="00" * 32, package="p", function="f", config={"cluster_host": "h"}, created=1.5
)
OTHER = Entry(
    job_id="cxmnopqrstuvwx", key="11" * 32, package="p", function="g", config={"cluster_host": "i"}, created=2.5
)


def file_of(journal_root, entry=ENTRY):
    return journal_root / "jobs" / f"{entry.job_id}.json"


def test_what_is_written_is_read_back_by_another_process(tmp_path):
    Journal(tmp_path / "state").write(ENTRY)
    assert Journal(tmp_path / "state").find(ENTRY.job_id) == ENTRY


def test_directories_and_entries_are_private(tmp_path):
    Journal(tmp_path / "state").write(ENTRY)
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in [tmp_path / "state", *(tmp_path / "state").rglob("*")]
    }
    assert modes == {"state": 0o700, "jobs": 0o700, f"{ENTRY.job_id}.json": 0o600}


@pytest.mark.skipif(os.name != "posix", reason="Windows keeps the user's own files from others by other means")
def test_a_journal_that_others_can_enter_is_refused_with_the_way_out(tmp_path):
    root = tmp_path / "state"
    root.mkdir(mode=0o755)
    with pytest.raises(ClustrixError, match=rf"keys of your jobs.*mode 755.*chmod 700 {root}"):
        Journal(root).write(ENTRY)
    assert list(root.iterdir()) == []


def test_a_job_that_is_not_there_is_none(tmp_path):
    assert Journal(tmp_path / "state").find("cxnotthere") is None


@pytest.mark.parametrize("job_id", ["", "../x", "cx/1", "cx ä", "..", "\0"])
def test_what_is_no_job_id_leads_to_no_file(tmp_path, job_id):
    journal = Journal(tmp_path / "state")
    journal.write(ENTRY)
    assert journal.find(job_id) is None
    with pytest.raises(ClustrixError, match="not a clustrix job id"):
        journal.remove(job_id)


def test_removing_twice_is_no_error(tmp_path):
    journal = Journal(tmp_path / "state")
    journal.write(ENTRY)
    journal.remove(ENTRY.job_id)
    journal.remove(ENTRY.job_id)


def test_what_becomes_known_later_is_added_and_found_by(tmp_path):
    journal = Journal(tmp_path / "state")
    journal.write(ENTRY)
    journal.note(ENTRY.job_id, scheduler_id="17")
    assert journal.find("17").job_id == ENTRY.job_id
    assert [entry.scheduler_id for entry in journal.entries()] == ["17"]


def test_what_becomes_known_of_a_fetched_job_does_not_bring_its_entry_back(tmp_path):
    journal = Journal(tmp_path / "state")
    journal.write(ENTRY)
    journal.remove(ENTRY.job_id)
    journal.note(ENTRY.job_id, scheduler_id="17")
    assert journal.entries() == []
    assert list((tmp_path / "state" / "jobs").iterdir()) == []


def test_a_number_of_several_clusters_is_an_error_that_names_the_jobs(tmp_path):
    journal = Journal(tmp_path / "state")
    for entry in (ENTRY, OTHER):
        journal.write(entry)
        journal.note(entry.job_id, scheduler_id="17")
    with pytest.raises(ClustrixError, match=f"{ENTRY.job_id} on h, {OTHER.job_id} on i"):
        journal.find("17")


def test_wherever_a_file_was_cut_off_the_other_jobs_are_there_and_the_error_names_the_file(tmp_path, caplog):
    journal = Journal(tmp_path / "state")
    for entry in (ENTRY, OTHER):
        journal.write(entry)
    journal.note(ENTRY.job_id, scheduler_id="17")
    path = file_of(tmp_path / "state")
    whole = path.read_bytes()
    first = whole.index(b"\n")
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        if length < first:
            with pytest.raises(ClustrixError, match=rf"{path} is damaged.*discover"):
                journal.find(ENTRY.job_id)
            assert [entry.job_id for entry in journal.entries()] == [OTHER.job_id]
            assert str(path) in caplog.text
        else:  # the line that says what became known later is cut, the job itself is whole
            assert journal.find(ENTRY.job_id).key == ENTRY.key
            assert len(journal.entries()) == 2


@pytest.mark.parametrize("content", [b"[]\n", b"null\n", b"\xff\xfe\n", b'{"job_id": 1}\n', b"\0" * 100])
def test_an_entry_that_is_something_else_is_an_error_that_names_it(tmp_path, content):
    journal = Journal(tmp_path / "state")
    journal.write(ENTRY)
    file_of(tmp_path / "state").write_bytes(content)
    with pytest.raises(ClustrixError, match="is damaged"):
        journal.find(ENTRY.job_id)
    assert journal.entries() == []


def test_a_field_of_a_later_version_is_no_damage(tmp_path):
    journal = Journal(tmp_path / "state")
    journal.write(ENTRY)
    path = file_of(tmp_path / "state")
    path.write_text(path.read_text().replace("{", '{"colour": "blue", ', 1))
    assert journal.find(ENTRY.job_id) == ENTRY


def test_all_processes_of_a_user_have_one_client_id(tmp_path):
    found = []
    threads = [threading.Thread(target=lambda: found.append(Journal(tmp_path / "state").client)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1


def test_a_client_id_that_was_cut_off_is_made_anew(tmp_path):
    root = tmp_path / "state"
    first = Journal(root).client
    (root / "client_id").write_text(first[:5])
    second = Journal(root).client
    assert len(second) == 16
    assert Journal(root).client == second


WRITER = """
import dataclasses, pathlib, sys
from clustrix.journal import Entry, Journal
journal = Journal(pathlib.Path(sys.argv[1]))
for number in range(30):
    job_id = f"cx{sys.argv[2]}{number:011d}"
    journal.write(Entry(job_id=job_id, key="00", package="p", function="f", config={}, created=1.0))
    journal.note(job_id, scheduler_id=str(number))
    len(journal.entries())
    if number % 2:
        journal.remove(job_id)
print(journal.client)
"""


def test_two_processes_at_once_lose_nothing_of_each_other(tmp_path):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / "state"), name], stdout=subprocess.PIPE, text=True
        )
        for name in "ab"
    ]
    said = {process.communicate(timeout=120)[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    assert len(said) == 1
    assert len(Journal(tmp_path / "state").entries()) == 30


# A tmpfs of a few pages in a user's own mount namespace is a disk that really is full.
FULL = """
import pathlib, sys
from clustrix.errors import ClustrixError
from clustrix.journal import Entry, Journal
root = pathlib.Path(sys.argv[1])
journal = Journal(root / "state")
entry = Entry(job_id="cxabcdefghijkl", key="00" * 32, package="p", function="f", config={"x": "y" * 9000}, created=1.0)
journal.client
(root / "filler").touch()
with (root / "filler").open("wb", buffering=0) as stream:
    try:
        while stream.write(b"x" * 4096):
            pass
    except OSError:
        pass
try:
    journal.write(entry)
except ClustrixError as error:
    print(error)
print(sorted(path.name for path in root.rglob("*")))
"""


def in_a_mount_namespace(tmp_path, mount, script):
    command = f'{mount} && exec "$0" -c "$1" "$2"'
    return subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", command, sys.executable, script, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def needs_mounts(tmp_path):
    tried = in_a_mount_namespace(tmp_path, f"mount -t tmpfs none '{tmp_path}'", "print('mounted')")
    if tried.stdout != "mounted\n":
        if os.environ.get("CI"):
            pytest.fail(f"mounts of the test's own are needed in CI: {tried.stderr}")
        pytest.skip(f"this machine allows no mounts of the test's own: {tried.stderr.strip()}")


@pytest.mark.usefixtures("needs_mounts")
def test_a_full_disk_is_an_error_that_says_what_to_do_and_leaves_no_half_entry(tmp_path):
    answer = in_a_mount_namespace(tmp_path, f"mount -t tmpfs -o size=64k none '{tmp_path}'", FULL)
    message, names = answer.stdout.strip().split("\n")
    assert "can't be written (No space left on device), and without it no job is sent" in message
    assert "XDG_STATE_HOME" in message
    assert names == "['client_id', 'filler', 'jobs', 'state']"


READ_ONLY = """
import pathlib, sys
from clustrix.errors import ClustrixError
from clustrix.journal import Entry, Journal
try:
    Journal(pathlib.Path(sys.argv[1]) / "home" / "state").write(
        Entry(job_id="cxabcdefghijkl", key="00" * 32, package="p", function="f", config={}, created=1.0)
    )
except ClustrixError as error:
    print(error)
"""


@pytest.mark.usefixtures("needs_mounts")
def test_a_read_only_home_is_an_error_that_says_what_to_do(tmp_path):
    answer = in_a_mount_namespace(tmp_path, f"mount -t tmpfs -o ro none '{tmp_path}'", READ_ONLY)
    assert "(Read-only file system)" in answer.stdout
    assert "XDG_STATE_HOME" in answer.stdout
