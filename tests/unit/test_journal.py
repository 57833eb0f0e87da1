import stat

import pytest

from clustrix.errors import ClustrixError
from clustrix.journal import Entry, Journal

ENTRY = Entry(
    job_id="cxabcdefghijkl", key="00" * 32, package="p", function="f", config={"cluster_host": "h"}, created=1.5
)


def test_what_is_written_is_read_back_by_another_process(tmp_path):
    Journal(tmp_path / "state").write(ENTRY)
    assert Journal(tmp_path / "state").read(ENTRY.job_id) == ENTRY


def test_directories_and_entries_are_private(tmp_path):
    Journal(tmp_path / "state").write(ENTRY)
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in [tmp_path / "state", *(tmp_path / "state").rglob("*")]
    }
    assert modes == {"state": 0o700, "jobs": 0o700, f"{ENTRY.job_id}.json": 0o600}


def test_a_job_that_is_not_there_is_an_error_that_names_it(tmp_path):
    with pytest.raises(ClustrixError, match="knows no job cxnotthere"):
        Journal(tmp_path).read("cxnotthere")


def test_removing_twice_is_no_error(tmp_path):
    journal = Journal(tmp_path)
    journal.write(ENTRY)
    journal.remove(ENTRY.job_id)
    journal.remove(ENTRY.job_id)


@pytest.mark.parametrize("job_id", ["", "../x", "cx/1", "cx ä"])
def test_what_is_no_job_id_is_refused(tmp_path, job_id):
    with pytest.raises(ClustrixError, match="not a clustrix job id"):
        Journal(tmp_path).read(job_id)


def test_all_processes_of_a_user_have_one_client_id(tmp_path):
    assert Journal(tmp_path).client == Journal(tmp_path).client
