"""What jobs write, seen while they run and after they have ended, and what they used."""

import io
import itertools
import threading

import pytest
import workload_futures
from pointed_at import pointed_at

import simcluster
from clustrix import ClusterExecutor, cluster
from clustrix.logs import LogPart, follow


@pytest.fixture(scope="module", autouse=True)
def site(tmp_path_factory):
    with (
        simcluster.start("slurm", nodes=2, pythons=["3.6"]) as started,
        pytest.MonkeyPatch.context() as patch,
        pointed_at(started, tmp_path_factory.mktemp("client"), patch, memory="200MB"),
    ):
        yield started


@pytest.fixture
def executor():
    with ClusterExecutor() as made:
        yield made


def text_of(parts, stream="stdout"):
    return "".join(part.text for part in parts if part.stream == stream)


OLD = cluster(python="3.6")


def test_what_a_job_prints_is_there_while_it_runs_and_to_the_last_line(executor):
    future = executor.submit(OLD(workload_futures.talk), 40, 0.05)
    parts = future.logs(follow=True)
    first = next(parts)
    assert first.text.startswith("line 0\n")
    assert not future.done()
    assert future.stdout().startswith("line 0\n")
    rest = list(parts)
    assert text_of([first, *rest]) == "".join(f"line {number}\n" for number in range(40))
    assert "mind the gap" in text_of(rest, "stderr")
    assert future.result() == 40
    assert (
        list(future.logs(follow=True))
        == list(future.logs())
        == [
            LogPart("stdout", future.stdout()),
            LogPart("stderr", future.stderr()),
        ]
    )


def test_a_stream_shows_what_the_function_prints_and_warns_of_before_its_value_is_there(capfd):
    assert cluster(python="3.6", stream=True)(workload_futures.talk)(3, 0) == 3
    shown = capfd.readouterr()
    assert shown.out == "line 0\nline 1\nline 2\n"
    assert "UserWarning: mind the gap" in shown.err


def test_bytes_that_are_no_text_progress_bars_and_long_lines_come_as_they_are(executor):
    future = executor.submit(OLD(workload_futures.say_oddly))
    text = text_of(future.logs(follow=True))
    future.result()
    assert text == "\r10%\r20%\ncaf\ufffd é\n" + "x" * 300000 + "\nthe very last"


def test_a_flood_is_left_out_in_words_but_for_its_end(executor):
    future = executor.submit(OLD(workload_futures.flood), 64)
    parts = future.logs(follow=True)
    first = next(parts)
    future_is_done = threading.Event()
    future.add_done_callback(lambda _: future_is_done.set())
    assert future_is_done.wait(60)
    text = first.text + text_of(parts)
    assert "bytes are left out here]\n" in text
    assert text.endswith("the end of it\n")
    assert len(text) < 32 << 20


def test_the_files_of_a_job_that_is_followed_stay_until_it_was_read(executor, site):
    future = executor.submit(OLD(workload_futures.talk), 3, 0)
    parts = future.logs(follow=True)
    first = next(parts)
    future.result()
    assert site.run(f"ls ~/.clustrix/jobs/{future.job_id}/log").stdout.split() == ["stderr", "stdout"]
    assert text_of(itertools.chain([first], parts)).endswith("line 2\n")
    executor.shutdown()
    assert future.job_id not in site.run("ls ~/.clustrix/jobs").stdout


def test_what_the_elements_of_a_map_write_is_never_mixed_within_a_line(executor):
    results = executor.map(OLD(workload_futures.say_which), range(6))
    text = text_of(results.logs(follow=True))
    assert sorted(text.splitlines()) == sorted(f"begin {n} end {n}" for n in range(6) for _ in range(20))
    assert list(results) == list(range(6))


def test_what_a_job_used_comes_with_its_result(executor):
    future = executor.submit(OLD(workload_futures.hold), 64)
    assert future.resources_used is None
    future.result()
    used = future.resources_used
    assert 64 << 20 <= used.max_memory < 400 << 20
    assert used.cpu_time >= 0.2
    assert used.wall_time >= 0.2
    assert future.node


def test_a_line_is_waited_for_only_where_several_elements_write():
    answers = iter(
        [
            {"parts": [{"name": "stdout", "offset": 3, "size": 3, "left_out": 0}], "body": b"abc"},
            {"parts": [{"name": "stdout.1", "offset": 3, "size": 3, "left_out": 0}], "body": b"a\nb"},
            {"parts": [], "body": b""},
        ]
    )
    parts = list(follow(lambda offsets, is_over: next(answers), dict))
    assert parts == [LogPart("stdout", "abc"), LogPart("stdout", "a\n", "1"), LogPart("stdout", "b", "1")]


def test_stdout_of_the_caller_may_be_closed_or_anything_that_can_be_written_to(executor, monkeypatch):
    shown = io.StringIO()
    monkeypatch.setattr("sys.stdout", shown)
    future = executor.submit(cluster(python="3.6", stream=True)(workload_futures.talk), 1, 0)
    assert future.result() == 1
    assert shown.getvalue() == "line 0\n"
    shown.close()
    assert executor.submit(cluster(python="3.6", stream=True)(workload_futures.talk), 1, 0).result() == 1
