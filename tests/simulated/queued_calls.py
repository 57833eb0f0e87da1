"""As scheduler_calls, where there is ``qdel``."""

import dataclasses

import ends_workload
import pytest
from scheduler_calls import running, until

import clustrix
from clustrix.doctor import BAD, GOOD, examine


def test_a_job_that_somebody_deletes_is_cancelled(site, submit):
    future = running(submit)
    site.run(f"qdel {future.scheduler_id}", check=True)
    with pytest.raises(clustrix.JobCancelledError):
        future.result(60)


def test_a_held_job_tells_why_it_waits_and_runs_when_it_is_let_go(site, submit):
    future = submit(ends_workload.doubled, 1, extra_directives=["-h"])
    assert "will not start by itself: it is held" in until(lambda: future.notice)
    assert "'qrls'" in future.notice
    assert future.status() == "PENDING"
    site.run(f"qrls {future.scheduler_id}", check=True)
    assert future.result(60) == 2


def test_a_job_that_waits_for_another_is_not_told_as_held(site, submit):
    first = running(submit)
    number = first.scheduler_id.partition(".")[0]
    order = f"-W depend=afterany:{first.scheduler_id}" if site.spec.scheduler == "pbs" else f"-hold_jid {number}"
    second, held = (
        submit(ends_workload.doubled, 1, extra_directives=[order]),
        submit(ends_workload.doubled, 2, extra_directives=["-h"]),
    )
    until(lambda: held.notice)
    assert second.notice is None
    first.cancel()
    assert second.result(60) == 2
    held.cancel()


def test_a_doctor_finds_the_scheduler_and_its_queues(site, config):
    findings = {finding.what: finding for finding in examine(config, job_seconds=60)}
    assert {finding.verdict for finding in findings.values()} == {GOOD}, findings
    assert findings["scheduler"].text == {"pbs": "pbs_version = 23.06.06", "sge": "SGE 8.1.9"}[site.spec.scheduler]
    assert {"pbs": "workq", "sge": "all.q"}[site.spec.scheduler] in findings["queue"].text
    asked = examine(dataclasses.replace(config, default_queue="nosuch"), job_seconds=0)
    [queue] = [finding for finding in asked if finding.what == "queue"]
    assert queue.verdict == BAD
    assert queue.text.startswith("there is no queue 'nosuch'; there is ")
