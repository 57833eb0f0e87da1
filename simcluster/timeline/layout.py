"""Where everything stands in the chart: places from 0 to 1 along the time axis, and pixels downwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simcluster.timeline.axis import Axis, choose_axis
from simcluster.timeline.facts import Facts
from simcluster.timeline.lanes import Stay, pack, queue_steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simcluster.history import History, NodeHistory
    from simcluster.timeline.spans import TestSpan

__all__ = ["Bar", "Chart", "Label", "Queue", "Stripe", "lay_out"]

AXIS_HEIGHT = 30
_HEADING = 30
_GAP = 6
_SLIM = 18
_QUEUE = 64
_LANE_HEIGHTS = ((24, 18), (60, 12), (160, 7), (600, 4))
_LEAST_LANE = 2


@dataclass(frozen=True)
class Bar:
    """Something that can be pointed at: a run on neighbouring cores of a node, a test, a fault, a node that is down.

    `state` is what it is coloured by; `row` is that of its facts; `x` and `end` are from 0 to 1, the others pixels.
    """

    kind: str
    state: str
    row: int
    x: float
    end: float
    y: float
    height: float


@dataclass(frozen=True)
class Stripe:
    """A part of the background: a node's cores (`node`), or the time of a fault over a whole cluster (`fault`)."""

    kind: str
    x: float
    end: float
    y: float
    height: float


@dataclass(frozen=True)
class Label:
    """A word at the left; `kind` is `heading`, `node` or `note`."""

    kind: str
    text: str
    y: float
    height: float


@dataclass(frozen=True)
class Queue:
    """The number of jobs that wait, from when on; `most` is the greatest."""

    y: float
    height: float
    steps: tuple[tuple[float, int], ...]
    most: int


@dataclass
class Chart:
    """All that is drawn."""

    axis: Axis
    facts: Facts
    height: float = AXIS_HEIGHT
    bars: list[Bar] = field(default_factory=list)
    stripes: list[Stripe] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    queues: list[Queue] = field(default_factory=list)


def lay_out(histories: Sequence[History], tests: Sequence[TestSpan]) -> Chart:
    """The tests above, then one cluster after the other: faults, nodes, queue."""
    axis = choose_axis(histories, tests)
    chart = Chart(axis, Facts(axis))
    if tests:
        _add_tests(chart, tests)
    lane_height = _lane_height(sum(node.cpus for history in histories for node in history.nodes))
    for history in histories:
        _add_cluster(chart, history, lane_height, has_heading=bool(tests) or len(histories) > 1)
    return chart


def _add_tests(chart: Chart, tests: Sequence[TestSpan]) -> None:
    _add_heading(chart, "tests")
    lanes = dict.fromkeys(test.lane for test in tests)
    for name in lanes:
        own = [test for test in tests if test.lane == name]
        stays = [Stay(number, test.start, _end(test.end, chart)) for number, test in enumerate(own)]
        top = chart.height
        blocks, count = pack(stays, 1)
        for block in blocks:
            test = own[block.stay.of]
            row = chart.facts.of_test(test)
            _add_bar(chart, "test", test.outcome, row, block.stay.span, y=top + block.lane * _SLIM, height=_SLIM)
        _close(chart, name, count * _SLIM)


def _add_cluster(chart: Chart, history: History, lane_height: float, *, has_heading: bool) -> None:
    if has_heading:
        _add_heading(chart, history.cluster)
    top = chart.height
    _add_faults(chart, history)
    stays = _stays(chart, history)
    for node in history.nodes:
        _add_node(chart, history, node, stays.get(node.name, ()), lane_height)
    for fault in history.faults:
        x, end = chart.axis.at(fault.start), chart.axis.at(_end(fault.end, chart))
        chart.stripes.append(Stripe("fault", x, end, top, chart.height - top))
    _add_queue(chart, history)


def _add_faults(chart: Chart, history: History) -> None:
    if not history.faults:
        return
    stays = [Stay(number, fault.start, _end(fault.end, chart)) for number, fault in enumerate(history.faults)]
    top = chart.height
    blocks, count = pack(stays, 1)
    for block in blocks:
        row = chart.facts.of_fault(history, history.faults[block.stay.of])
        _add_bar(chart, "fault", "fault", row, block.stay.span, y=top + block.lane * _SLIM, height=_SLIM)
    _close(chart, "faults", count * _SLIM)


def _stays(chart: Chart, history: History) -> dict[str, list[tuple[Stay, str]]]:
    """What was on each node, with its state; `Stay.of` is the row of its facts."""
    stays: dict[str, list[tuple[Stay, str]]] = {}
    for job in history.jobs:
        if not job.runs:
            chart.facts.of_waiting(history, job)
        for number, run in enumerate(job.runs):
            row = chart.facts.of_run(history, job, number)
            end = max(run.start, history.taken if run.end is None else run.end)
            for node, cpus in zip(run.nodes, run.cpus, strict=False):
                stays.setdefault(node, []).append((Stay(row, run.start, end, max(1, cpus)), run.state))
    return stays


def _add_node(
    chart: Chart, history: History, node: NodeHistory, stays: Sequence[tuple[Stay, str]], lane_height: float
) -> None:
    states = {stay.of: state for stay, state in stays}
    blocks, count = pack((stay for stay, _ in stays), node.cpus)
    top, height = chart.height, count * lane_height
    chart.stripes.append(Stripe("node", 0.0, 1.0, top, height))
    for span in node.down:
        row = chart.facts.of_absence(history, node, span)
        _add_bar(chart, "down", "down", row, (span[0], _end(span[1], chart)), y=top, height=height)
    for block in blocks:
        y, thick = top + block.lane * lane_height, block.count * lane_height
        _add_bar(chart, "job", states[block.stay.of], block.stay.of, block.stay.span, y=y, height=thick)
    _close(chart, node.name, height, min(_GAP, lane_height))


def _add_queue(chart: Chart, history: History) -> None:
    steps = queue_steps(history)
    if not history.nodes:
        return
    chart.height += _GAP
    most = max((waiting for _, waiting in steps), default=0)
    places = tuple((chart.axis.at(moment), waiting) for moment, waiting in steps)
    chart.queues.append(Queue(chart.height, _QUEUE, places, most))
    top, middle = chart.height, _QUEUE / 2
    chart.labels += [
        Label("note", "waiting jobs", top, middle),
        Label("note", f"at most {most}", top + middle - 10, middle),
    ]
    chart.height += _QUEUE + _GAP
    chart.height += _GAP


def _add_heading(chart: Chart, text: str) -> None:
    chart.labels.append(Label("heading", text, chart.height, _HEADING))
    chart.height += _HEADING


def _add_bar(
    chart: Chart, kind: str, state: str, row: int, span: tuple[float, float], *, y: float, height: float
) -> None:
    x, end = (chart.axis.at(moment) for moment in span)
    chart.bars.append(Bar(kind, state, row, x, end, y, height))


def _close(chart: Chart, name: str, height: float, gap: float = _GAP) -> None:
    """End a part of the chart that has a name at the left."""
    chart.labels.append(Label("node", name, chart.height, height))
    chart.height += height + gap


def _end(end: float | None, chart: Chart) -> float:
    return chart.axis.end if end is None else end


def _lane_height(lanes: int) -> float:
    return next((height for most, height in _LANE_HEIGHTS if lanes <= most), _LEAST_LANE)
