"""From handing jobs in to their ends: what is sent of them, what is heard of them, and what their futures get."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import logging
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from clustrix import errors, lifetime
from clustrix.arrays import MapFuture
from clustrix.awaited_job import AwaitedJob
from clustrix.deaths import death_of
from clustrix.future import ClusterFuture
from clustrix.known_jobs import entry_of, missing_words
from clustrix.logs import LogPart, follow, show
from clustrix.progress import Track, show_progress
from clustrix.remote.passing import Passing
from clustrix.serialization import open_result
from clustrix.session import CALLERS_PATIENCE, PATIENCE, PythonWish, Session
from clustrix.supplies import Supplies
from clustrix.workers import Workers, before_exit, forget_exit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from clustrix.config import ClusterConfig
    from clustrix.journal import Entry, Journal
    from clustrix.submission import EncodedValues, PreparedCall

__all__ = ["Dispatch"]

SUBMITTING_AT_ONCE = 8
# Seconds that the interpreter's exit waits for fetched jobs to be cleaned up on the cluster.
EXIT_PATIENCE = 5.0
_log = logging.getLogger("clustrix")


class _Parts(NamedTuple):
    """What is sent of a job; ``supplies`` only as far as the cluster lacks them."""

    spec: dict[str, Any]
    supplies: Supplies
    values: EncodedValues
    python_wish: PythonWish


class Dispatch:
    """The jobs of one executor whose end is awaited, and the session over which they are sent and heard of.

    It lives as long as its executor, and as one of these jobs is awaited.
    """

    def __init__(self, config: ClusterConfig, journal: Journal) -> None:
        self._config = config
        self._journal = journal
        self.is_shut_down = False
        self._start_afresh()
        lifetime.follow_into_children(self)

    def _start_afresh(self) -> None:
        """Without jobs, threads and a connection: at first, and in a forked child, which has none of its parent's."""
        self._guard = threading.Lock()
        self._changed = threading.Condition()
        self._jobs: dict[str, AwaitedJob] = {}
        self._is_leaving = self._will_leave = False
        journal = self._journal  # no circle: the session must not keep what keeps it
        self.session = Session(self._config, lambda: journal.client, lifetime.Ear(self))
        self._submitters = Workers(SUBMITTING_AT_ONCE, "clustrix-submit")
        # Results have threads of their own: they never wait behind a submission that waits for its environment.
        self._receivers = Workers(4, "clustrix-result")
        # For who drops an executor instead of shutting it down.
        self._finalizer = lifetime.close_when_collected(self, self.session, self._submitters, self._receivers)

    def start_in_child(self) -> None:
        """In a forked child: what was submitted is the parent's, and goes on there."""
        self._finalizer.detach()
        lifetime.never_collect(self.session)
        forget_exit(self._leave)
        self._start_afresh()

    def hand_in(
        self, call: PreparedCall, values: EncodedValues, timings: dict[str, float], more: dict[str, Any] | None = None
    ) -> ClusterFuture:
        """Send a prepared call, or a map if there is ``more`` in its spec, in a thread of its own; ``timings`` is what it took so far."""
        entry = call.new_entry()
        if more is not None:
            entry = dataclasses.replace(entry, tasks=more["tasks"])
        track = Track(entry.function, is_shown=call.config.show_progress)
        job = AwaitedJob(self._new_future(entry, track), entry, track, self._changed)
        job.future.timings = timings
        job.made = call.package.made
        with self._guard:
            self._add(job)
        try:
            self._journal.write(entry)
        except BaseException:
            self._drop(job)
            raise
        supplies = Supplies(
            call.package.package_path,
            call.requirements,
            call.constraints,
            call.config.local_cache_dir,
            track.tell,
            closure=call.package.dependencies.closure,
        )
        refusals = [[*version, words] for version, words in values.refusals.items()]
        spec = {
            **call.spec(entry, self._journal.client),
            **(more or {}),
            "refusals": refusals,
            "shows_turn": track.is_seen,
        }
        self._receivers.start()
        if call.options.stream:
            self._show(job)
        self._submitters.submit(self._send, job, _Parts(spec, supplies, values, call.python_wish))
        return job.future

    def attach(self, name: str, *, is_kept: bool = False) -> ClusterFuture:
        """A future for a job that is not awaited yet, by its id or the scheduler's number; see ClusterExecutor.attach. ``is_kept``: its files stay."""
        entry = None if name in self._jobs else entry_of(name, self._journal, self.session, self._config)
        with self._guard:
            known = self._jobs.get(entry.job_id if entry else name)
            if known:
                known.is_kept = known.is_kept and is_kept
                return known.future
            if entry is None:  # it ended this moment
                raise errors.ClustrixError(f"job {name} was fetched already")
            track = Track(entry.function, is_shown=self._config.show_progress)
            job = AwaitedJob(self._new_future(entry, track), entry, track, self._changed)
            self._add(job)
        job.is_kept = is_kept
        job.future.scheduler_id = entry.scheduler_id
        job.is_sent = True
        job.note_submitted(entry.scheduler_id)
        try:
            self.session.watch([entry.job_id])
        except BaseException:
            self._drop(job)
            raise
        return job.future

    def shut_down(self, *, wait: bool, cancel_futures: bool) -> None:
        """Take no more jobs, and close the session when all have ended; with ``wait``, return then."""
        with self._guard:
            self.is_shut_down = True
            pending = [job.future for job in self._jobs.values()]
        for future in pending if cancel_futures else ():
            if not future.running():
                future.cancel()
        if wait:
            self._finish(pending)
        else:
            threading.Thread(target=self._finish, args=(pending,), name="clustrix-shutdown", daemon=True).start()

    def refuse_if_over(self) -> None:
        """Raise RuntimeError where no more jobs are taken."""
        if not threading.main_thread().is_alive():
            raise RuntimeError("cannot schedule new futures after interpreter shutdown")
        if self.is_shut_down:
            raise RuntimeError("cannot schedule new futures after shutdown")

    def _finish(self, pending: list[ClusterFuture]) -> None:
        concurrent.futures.wait(pending)
        self._submitters.drain()
        self._receivers.drain()
        lifetime.close(self.session, self._submitters, self._receivers)
        forget_exit(self._leave)

    def _add(self, job: AwaitedJob) -> None:
        self.refuse_if_over()
        if not self._will_leave:
            self._will_leave = True
            before_exit(self._leave)
        self._jobs[job.entry.job_id] = job
        # Somebody may have dropped the executor, and its futures' callbacks are still to be called.
        lifetime.keep(self)

    def _drop(self, job: AwaitedJob) -> None:
        with self._guard:
            self._jobs.pop(job.entry.job_id, None)
            if not self._jobs:
                lifetime.let_go(self)

    def _new_future(self, entry: Entry, track: Track) -> ClusterFuture:
        if entry.tasks is None:
            return ClusterFuture(entry.job_id, self, track)
        return MapFuture(entry.job_id, self, track, entry.tasks)

    # What a future asks for.

    def cancel_job(self, job_id: str) -> None:
        job = self._jobs.get(job_id)
        if job is not None:
            job.is_cancelled = True
            if job.is_sent:
                # Elsewhere: whoever cancels may be an event loop, or may just have pressed Ctrl-C.
                self._receivers.submit(self._cancel_there, job)

    def detach_job(self, job_id: str) -> None:
        job = self._jobs.get(job_id)
        if job is not None:
            job.is_kept = True
            job.wait_until_submitted()

    def job_status(self, job_id: str) -> str:
        job = self._jobs.get(job_id)
        if job is not None and not job.is_submitted:
            return "PENDING"
        return str(self.session.request("status", {"job": job_id})["state"])

    def job_output(self, job_id: str, stream: str) -> str:
        return str(self.session.request("output", {"job": job_id, "stream": stream, "limit": 1 << 20})["text"])

    def follow_job(self, job_id: str) -> Iterator[LogPart]:
        job = self._jobs.get(job_id)
        if job is None:
            return
        job.wait_until_submitted()
        if not job.begin_following():
            return
        session = self.session
        try:
            yield from follow(
                lambda offsets, is_over: session.request(
                    "follow", {"job": job_id, "offsets": offsets, "is_over": is_over}
                ),
                lambda: job.written,
            )
        finally:
            if job.end_following():
                self._receivers.submit(self._acknowledge, job_id)

    def _show(self, job: AwaitedJob) -> None:
        """Show what the job writes as it comes; its end is told when all of that was shown."""
        job.printer = threading.Thread(
            target=show, args=(self.follow_job(job.entry.job_id),), name="clustrix-show", daemon=True
        )
        job.printer.start()

    @staticmethod
    def _finish_showing(job: AwaitedJob, written: Mapping[str, int]) -> None:
        job.written = written
        if job.printer is not None:
            job.printer.join()

    # What the session tells.

    def awaited(self) -> list[str]:
        # Those whose submission is under way, too: the cluster may have it while the answer is not here yet.
        return [job_id for job_id, job in list(self._jobs.items()) if job.is_sent]

    def on_event(self, head: dict[str, Any], body: bytes | bytearray) -> None:
        job = self._jobs.get(head["job"])
        # A result that comes while the interpreter ends is nobody's yet: it stays on the cluster, for attach.
        if job is None or self._is_leaving:
            return
        if head["event"] == "began":
            job.note_began()
            return
        if head["event"] == "queued":
            job.note_turn(head["position"], head["waiting"], head["starts_in"])
            return
        if head["event"] == "notice":
            job.future.notice = head["text"]
            show_progress(head["text"])
            return
        if isinstance(job.future, MapFuture) and head["event"] == "tasks":
            job.note_began()
            self._receivers.submit(self._receive, job, self._deliver_tasks, job.future, head, body)
            return
        job.future.output = (head["stdout"], head["stderr"])
        self._receivers.submit(self._receive, job, self._deliver, head, body)

    def on_progress(self, line: str) -> None:
        job = self._jobs.get(line.job) if isinstance(line, Passing) else None
        (job.track.tell if job else show_progress)(line)

    def on_lost(self, error: errors.ClusterConnectionError) -> None:
        for job in [job for job in list(self._jobs.values()) if job.is_submitted]:
            job_id = job.entry.job_id
            text = f"{error}\nJob {job_id} may still be running: clustrix.attach({job_id!r}) finds it again"
            self._end(job, exception=errors.ClusterConnectionError(text), is_over=False)

    def on_missing(self, job_ids: Iterable[str]) -> None:
        for job_id in job_ids:
            job = self._jobs.get(job_id)
            if job and job.is_submitted:
                text = missing_words(job_id, job.future.scheduler_id, self.session.host)
                # Without a number its submission may still be under way.
                if job.future.scheduler_id is not None:
                    self._drop_entry(job_id)
                self._end(job, exception=errors.ResultLostError(text), is_over=False)

    def _leave(self) -> None:
        """At the interpreter's exit: jobs that were asked for are still submitted, or cancelled; then all is closed."""
        self._is_leaving = True
        self.session.patience = CALLERS_PATIENCE
        deadline = time.monotonic() + EXIT_PATIENCE
        for job in list(self._jobs.values()):
            if job.is_cancelled or job.is_ending:
                job.wait_until_over(max(0.0, deadline - time.monotonic()))
            else:
                job.wait_until_submitted()
        self._receivers.drain(EXIT_PATIENCE)
        self.session.disconnect()

    def _send(self, job: AwaitedJob, parts: _Parts) -> None:
        """In a thread of its own: the first job may have to wait for its environment, the others don't wait for it."""
        job_id = job.entry.job_id
        job.is_sent = not job.is_cancelled
        if job.is_cancelled:
            self._end(job)
            return
        try:
            answer = self.session.request(
                "submit",
                {"spec": parts.spec, "key": job.entry.key, "arguments": parts.values.sizes()[0]},
                (*parts.values.arguments, *parts.values.bindings),
                patience=PATIENCE,
                pieces=parts.supplies,
                on_progress=job.track.tell,
            )
        except errors.ClusterConnectionError as error:
            text = f"{error}\nWhether job {job_id} was submitted is not known: clustrix.attach({job_id!r}) finds out"
            self._end(job, exception=type(error)(text), is_over=False)
        except BaseException as error:  # noqa: BLE001 - likewise
            self._end(job, exception=error)
        else:
            if answer["python"]:
                self.session.python_versions[parts.python_wish] = (answer["python"][0], answer["python"][1])
            self._note_submitted(job, answer)
            if answer["python"]:
                parts.supplies.advise(self.session.python_versions[parts.python_wish])

    def _note_submitted(self, job: AwaitedJob, answer: dict[str, Any]) -> None:
        job.future.scheduler_id = answer["scheduler_id"]
        self._journal.note(job.entry.job_id, scheduler_id=answer["scheduler_id"])
        job.future.timings.update({f"{name} on the cluster": seconds for name, seconds in answer["times"].items()})
        job.note_submitted(answer["scheduler_id"])
        if job.is_cancelled:
            self._cancel_there(job)

    def _cancel_there(self, job: AwaitedJob) -> None:
        """Cancel the scheduler's job, or its submission if that is under way; its own thread then hears of it."""
        try:
            self.session.request("cancel", {"jobs": [job.entry.job_id]}, patience=PATIENCE)
        except errors.ClustrixError as error:
            _log.warning("job %s may go on, for cancelling it failed: %s", job.entry.job_id, error)
            return
        if job.is_submitted:
            self._end(job)

    def _receive(self, job: AwaitedJob, deliver: Callable[..., None], *what: Any) -> None:
        """Deliver what came of a job; if that fails, whatever the reason is, the future ends with it, and the job can be attached to again."""
        try:
            deliver(job, *what)
        except BaseException as error:  # noqa: BLE001 - nobody else would hear of it
            self._end(job, exception=error, is_over=False)

    def _deliver(self, job: AwaitedJob, head: dict[str, Any], sealed: bytes | bytearray) -> None:
        entry = job.entry
        # A quick job's end can be heard before the answer to its submission.
        job.wait_until_submitted()
        if not head["has_result"]:
            self._finish_showing(job, {})
            self._end(job, exception=death_of(entry, head, self.session.host), is_over=not job.is_kept)
            return
        expected = {"job_id": entry.job_id, "task": 0, "package": entry.package}
        try:
            outcome = open_result(sealed, bytes.fromhex(entry.key), expected, job.made, entry.retries)
        except errors.ClustrixError as error:
            self._end(job, exception=error, is_over=False)
            return
        job.note_facts(outcome)
        self._finish_showing(job, outcome.head.get("written", {}))
        self._end(job, value=outcome.value, exception=outcome.exception, is_over=not job.is_kept)

    def _deliver_tasks(self, job: AwaitedJob, future: MapFuture, head: dict[str, Any], log: bytes | bytearray) -> None:
        job.wait_until_submitted()
        if future.take_in(job.entry, head, log, self.session.host, job.made):
            value, exception = future.outcome()
            self._finish_showing(job, {})
            self._end(job, value=value, exception=exception, is_over=not job.is_kept)

    def _end(
        self, job: AwaitedJob, value: Any = None, exception: BaseException | None = None, *, is_over: bool = True
    ) -> None:
        """Complete the future once; when the job ``is_over``, drop its entry, and its files on the cluster."""
        with self._guard:
            if job.is_ending:
                return
            job.is_ending = True
        job.track.is_over = True
        if is_over:
            self._drop_entry(job.entry.job_id)
        if job.written is None:
            job.written = {}
        # Whoever leaves waits for this, and then the process ends.
        self._drop(job)
        if job.future.set_running_or_notify_cancel():
            if exception is not None:
                job.future.set_exception(exception)
            else:
                job.future.set_result(value)
        job.future.let_go()
        # Last: a process that is killed before has the value still to be had there.
        if is_over and job.is_submitted and self._config.cleanup_on_success and job.drop_files():
            self._receivers.submit(self._acknowledge, job.entry.job_id)
        job.note_over()

    def _drop_entry(self, job_id: str) -> None:
        try:
            self._journal.remove(job_id)
        except (OSError, errors.ClustrixError) as error:
            _log.warning("the journal's entry of job %s can't be removed: %s", job_id, error)

    def _acknowledge(self, job_id: str) -> None:
        try:
            self.session.request("acknowledge", {"jobs": [job_id]}, patience=PATIENCE)
        except errors.ClustrixError as error:
            # The result is here; its files there stay until they are cleaned up by hand.
            _log.info("the files of job %s stay on the cluster: %s", job_id, error)
