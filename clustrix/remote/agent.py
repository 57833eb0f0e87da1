"""The agent: answers the client's requests on the login node, and tells it when jobs end.

It lives as long as its stream. Jobs don't depend on it.
"""

import contextlib
import errno
import os
import queue
import sys
import threading
import time
from typing import Any, BinaryIO, Callable, Dict, List, Optional, Set, Tuple, Union

from . import (
    environments,
    expiry,
    files,
    interpreters,
    inventory,
    jobs,
    logs,
    packages,
    records,
    resubmission,
    survey,
    watch,
)
from .error_answers import CancelledError, described
from .frames import FrameError, MessageError
from .job_environment import job_environment
from .job_python import job_python, python_candidates
from .notes import Notes
from .passing import Passing
from .paths import StatePaths
from .schedulers import JobState, scheduler, work_in
from .stream import Stream

__all__ = ["main"]


FOLLOW_EVERY = 0.1  # seconds between looks at what a job has written
LONGEST_OUTPUT = 1 << 20  # bytes of a job's output in one answer
FOLLOWED_AT_MOST = 20.0  # seconds that one answer to who follows waits


class _Request:
    """One request under way: what came with it, and how its thread answers."""

    def __init__(self, agent: "Agent", head: Dict[str, Any], body: Any) -> None:
        self.head = head
        self.body = body
        self.pieces: "queue.Queue[Tuple[Dict[str, Any], Any]]" = queue.Queue()
        self.found: Any = b""  # bytes that go with the answer
        self._agent = agent

    def say(self, **fields: Any) -> None:
        self._agent.stream.send(dict(fields, id=self.head["id"]))

    def report(self, line: str) -> None:
        """Tell the client what the user may want to know meanwhile."""
        self.say(progress=line, is_passing=isinstance(line, Passing))

    def ask_for(self, piece: str, **about: Any) -> Any:
        """Have the client send a missing piece in this request's own conversation; ``about`` it may need to know."""
        self.say(need=piece, **about)
        head, body = self.pieces.get()
        if head.get("piece") != piece:
            raise ValueError("the client sent %r for %r" % (head.get("piece"), piece))
        return body


class Agent:
    """Serves one client over one stream."""

    def __init__(self, stream: Stream, state: StatePaths, root: str) -> None:
        self.stream = stream
        self._state = state
        self._notes = Notes(state.notes)
        interpreters.keep_notes(self._notes)
        work_in(state, self._notes)
        self._runner = os.path.join(root, "run_job.py")
        self._watch = watch.Watch(state, self._tell)
        self._requests: Dict[Any, _Request] = {}
        self._submitting: Set[threading.Thread] = set()
        self._cancelled: Set[str] = set()
        self._bringing = threading.Lock()
        self._events = 0
        self._gone = threading.Event()
        self._operations: Dict[str, Callable[[_Request], Dict[str, Any]]] = {
            "submit": self._submit,
            "watch": self._watch_jobs,
            "cancel": self._cancel,
            "status": self._status,
            "output": self._output,
            "follow": self._follow,
            "acknowledge": self._acknowledge,
            "ping": lambda _request: {"time": time.time()},
            "discover": self._discover,
            "job": self._job,
            "interpreters": self._interpreters,
            "survey": lambda _request: survey.survey(self._state),
            "environments": self._environments,
            "environment": self._environment,
            "build": self._build,
            "remove_environment": self._remove_environment,
            "files": self._files,
        }

    def serve(self) -> None:
        """Answer requests until the stream ends; then let submissions that are under way come to their end."""
        threading.Thread(target=expiry.prune_daily, args=(self._state,), name="expiry", daemon=True).start()
        while True:
            try:
                message = self.stream.receive()
            except MessageError as error:
                self._refuse(error.message_id, error)
                continue
            except FrameError:  # the client was killed in the middle of a frame
                message = None
            if message is None:
                break
            head, body = message
            known = self._requests.get(head["id"])
            if known:
                known.pieces.put((head, body))
                continue
            self._begin(_Request(self, head, body))
        # Builds go on without the client; whoever waits for one need not.
        self._gone.set()
        for request in list(self._requests.values()):
            request.pieces.put(({"piece": None}, b""))
        deadline = time.time() + 30
        for thread in list(self._submitting):
            thread.join(max(0.0, deadline - time.time()))

    def _begin(self, request: _Request) -> None:
        message_id = request.head["id"]
        self._requests[message_id] = request
        thread = threading.Thread(target=self._answer, args=(request,), daemon=True)
        self._submitting.add(thread)
        try:
            thread.start()
        except RuntimeError:
            self._submitting.discard(thread)
            del self._requests[message_id]
            words = "the login node lets this account have no more threads: try again with fewer calls at once"
            self._refuse(message_id, OSError(errno.EAGAIN, words))

    def _answer(self, request: _Request) -> None:
        message_id = request.head["id"]
        try:
            operation = self._operations.get(request.head.get("op", ""))
            if operation is None:
                raise ValueError("the agent has no operation %.100r" % (request.head.get("op"),))
            answer: Dict[str, Any] = {"ok": operation(request)}
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets it
            answer = {"error": described(error)}
        finally:
            self._requests.pop(message_id, None)
            self._submitting.discard(threading.current_thread())
        try:
            self.stream.send(dict(answer, id=message_id), request.found)
        except BrokenPipeError:
            return
        except Exception as error:  # noqa: BLE001 - such as an answer that is too long
            self._refuse(message_id, error)

    def _refuse(self, message_id: Union[int, str, None], error: Exception) -> None:
        """Answer a message with an error; one that does not tell its id is noted in the agent's log."""
        if message_id is None:
            sys.stderr.write("a message was passed over: %s\n" % error)
            return
        waiting = self._requests.get(message_id)
        if waiting is not None:  # for a piece, which this was
            waiting.pieces.put(({"piece": None}, b""))
            return
        with contextlib.suppress(BrokenPipeError):
            self.stream.send({"id": message_id, "error": described(error)})

    def _submit(self, request: _Request) -> Dict[str, Any]:
        spec = request.head["spec"]
        times: Dict[str, float] = {}
        started = time.time()
        scheduler_id = resubmission.settle(self._state, spec["job_id"], spec["scheduler"])
        if scheduler_id is None:
            self._bring_package(request, spec["package"])
            times["package"] = time.time() - started
            job = self._job_request(request, spec)
            times["environment"] = time.time() - started - times["package"]
            packages.place_data_files(self._state, spec["package"], job.work_dir)
            view = memoryview(request.body)
            size = int(request.head["arguments"])
            jobs.prepare(self._state, job, bytes.fromhex(request.head["key"]), view[:size], view[size:])
            self._refuse_cancelled(job.job_id)
            if not os.path.exists(job.python.program):
                jobs.discard(self._state, job.job_id)
                raise environments.EnvironmentBuildError("the environment was removed meanwhile: call again")
            scheduler_id = jobs.submit(self._state, job, request.report)
            if job.job_id in self._cancelled:
                scheduler(spec["scheduler"]).cancel([scheduler_id])
        times["submit"] = time.time() - started - sum(times.values())
        self._watch.add(spec["job_id"], spec["client"], spec["scheduler"], scheduler_id)
        return {"scheduler_id": scheduler_id, "times": times, "python": spec.get("job_python")}

    def _bring_package(self, request: _Request, package_id: str) -> None:
        """Have the client send the package, unless it is here; of many calls that begin at once, for one of them."""
        if packages.has_package(self._state, package_id):
            return
        with self._bringing:
            if not packages.has_package(self._state, package_id):
                packages.store_package(self._state, package_id, request.ask_for("package"))

    def _refuse_cancelled(self, job_id: str) -> None:
        if job_id in self._cancelled:
            jobs.discard(self._state, job_id)
            raise CancelledError("job %s was cancelled before it was submitted" % job_id)

    def _job_request(self, request: _Request, spec: Dict[str, Any]) -> jobs.JobRequest:
        work_dir = os.path.abspath(os.path.expanduser(spec["work_dir"]))
        if not os.path.isdir(work_dir):
            raise ValueError(
                "remote_work_dir %s is not a directory on the cluster: create it, or set another one" % work_dir
            )

        python = job_python(
            self._state,
            self._notes,
            spec,
            report=request.report,
            ask=request.ask_for,
            environment_on=lambda candidates: job_environment(
                self._state, spec, candidates, report=request.report, ask=request.ask_for, gone=self._gone
            ),
        )
        spec["job_python"] = list(python.interpreter.version[:2])
        spec["stages_python"], spec["stages_modules"] = _serialization_python(spec, python.tools)
        return jobs.JobRequest(spec, python, work_dir, self._runner)

    def _environments(self, request: _Request) -> Dict[str, Any]:  # noqa: ARG002 - every operation is called so
        return {"environments": inventory.environments(self._state), "room": inventory.room(self._state)}

    def _environment(self, request: _Request) -> Dict[str, Any]:
        return inventory.environment(self._state, request.head["key"])

    def _build(self, request: _Request) -> Dict[str, Any]:
        """The environment that a job of these wishes would get, without a job."""
        spec = dict(request.head["spec"], entry={"kind": "none"})  # no function's bytecode limits the choice
        candidates = python_candidates(spec, request.report)
        job_environment(self._state, spec, candidates, report=request.report, ask=request.ask_for, gone=self._gone)
        return inventory.environment(self._state, spec["environments"][0])

    def _remove_environment(self, request: _Request) -> Dict[str, Any]:
        inventory.remove_environment(self._state, request.head["key"])
        return {}

    def _files(self, request: _Request) -> Dict[str, Any]:
        head = request.head
        found, request.found = files.answer_for_wire(head["call"], head["base"], head["arguments"], request.body)
        return found

    def _watch_jobs(self, request: _Request) -> Dict[str, Any]:
        """Watch jobs of an earlier connection; those that are not here any more are named in the answer."""
        missing = []
        for job_id in request.head["jobs"]:
            found = jobs.find(self._state, job_id)
            if found is None:
                missing.append(job_id)
            else:
                self._watch.add(job_id, *found)
        return {"missing": missing}

    def _cancel(self, request: _Request) -> Dict[str, Any]:
        # Those whose submission is still under way are stopped by its own thread.
        self._cancelled.update(request.head["jobs"])
        scheduler_ids = []
        for job_id in request.head["jobs"]:
            self._watch.forget(job_id)
            known = jobs.known_scheduler_id(self._state, job_id)
            scheduler_ids += list(jobs.rounds_of(self._state.job(job_id))) or ([known] if known else [])
        if scheduler_ids:
            scheduler(request.head["scheduler"]).cancel(scheduler_ids)
            self._watch.ask_now()
        return {"cancelled": len(scheduler_ids)}

    def _status(self, request: _Request) -> Dict[str, Any]:
        scheduler_id = jobs.known_scheduler_id(self._state, request.head["job"])
        if scheduler_id is None:
            return {"state": "UNKNOWN"}
        rounds = list(jobs.rounds_of(self._state.job(request.head["job"])))
        if rounds:
            return watch.array_state(request.head["scheduler"], rounds)
        return watch.job_state(request.head["scheduler"], scheduler_id)

    def _output(self, request: _Request) -> Dict[str, Any]:
        job = self._state.job(request.head["job"])
        limit = min(max(0, int(request.head["limit"])), LONGEST_OUTPUT)
        return {"text": jobs.collect_output(job, request.head["stream"], limit)}

    def _follow(self, request: _Request) -> Dict[str, Any]:
        """What a job has written since; as long as there is nothing, the answer waits, but not for ever."""
        head, deadline = request.head, time.time() + FOLLOWED_AT_MOST
        job = self._state.job(head["job"])
        while True:
            is_over = head["is_over"] or not self._watch.is_watched(head["job"])
            parts, request.found = logs.news(job, head["offsets"], is_over)
            if parts or is_over or time.time() > deadline or self._gone.wait(FOLLOW_EVERY):
                return {"parts": parts}

    def _acknowledge(self, request: _Request) -> Dict[str, Any]:
        for job_id in request.head["jobs"]:
            self._watch.forget(job_id)
            jobs.forget(self._state, job_id)
        return {}

    def _discover(self, request: _Request) -> Dict[str, Any]:  # noqa: ARG002 - as above
        return {"jobs": records.records(self._state)}

    def _job(self, request: _Request) -> Dict[str, Any]:
        """What a client needs to fetch a job that it has no entry of: the key, too, as only this account can read it."""
        return {"entry": records.entry(self._state, request.head["job"])}

    def _interpreters(self, _request: _Request) -> Dict[str, Any]:
        """Every Python of the cluster, in the order in which they were found."""
        return {"interpreters": [dict(item._asdict()) for item in interpreters.survey(is_fresh=True)]}

    def _tell(self, what: Union[watch.Began, watch.Ended, watch.News, watch.Notice, watch.Queued]) -> None:
        self._events += 1
        head: Dict[str, Any] = {"id": "e%d" % self._events, "job": what.job_id}
        body: Any = b""
        if isinstance(what, watch.Began):
            head.update(event="began")
        elif isinstance(what, watch.Notice):
            head.update(event="notice", text=what.text)
        elif isinstance(what, watch.Queued):
            head.update(event="queued", **what.turn._asdict())
        elif isinstance(what, watch.Ended):
            head.update(
                event="ended",
                scheduler_id=what.scheduler_id,
                has_result=what.result is not None,
                state=_plain(what.state),
                stdout=what.stdout,
                stderr=what.stderr,
                step=what.step,
                again=what.again,
            )
            body = what.result or b""
        else:
            head.update(event="tasks", dead=[dict(each._asdict(), state=_plain(each.state)) for each in what.dead])
            body = what.log
        try:
            self.stream.send(head, body)
        except BrokenPipeError:
            # The client is gone; the result stays where it is until it comes back.
            return


def _serialization_python(spec: Dict[str, Any], tools: Optional[str]) -> Tuple[Optional[str], List[str]]:
    """The Python that reads and writes for the job in a process of its own, and its modules; None where the job's does.

    "auto" takes the job's own: in another process, nothing would be read that can't be read there.
    """
    if spec["use_two_venv"] is not True:
        return None, []
    nearest = interpreters.choose_interpreter(None, None, tuple(spec["client_python"]))
    # Beside an environment of the user's none of ours is built.
    return tools or nearest.path, list(nearest.modules)


def _plain(state: Optional[JobState]) -> Optional[Dict[str, Any]]:
    return dict(state._asdict()) if state else None


def main(incoming: BinaryIO, outgoing: BinaryIO, state: StatePaths, root: str) -> None:
    """Serve ``incoming`` and ``outgoing`` until the client closes them. ``root`` is where the agent was unpacked."""

    def write(buffer: Any) -> None:
        view = memoryview(buffer)
        while len(view):
            view = view[outgoing.write(view) :]

    stream = Stream(incoming.read, write)
    Agent(stream, state, root).serve()
    stream.close()
