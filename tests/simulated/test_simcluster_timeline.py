"""What the timeline draws where, without a browser."""

import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcluster.history import FaultSpan, History, JobHistory, NodeHistory, Run
from simcluster.timeline import TestSpan, render, write_timeline
from simcluster.timeline.axis import Axis, choose_axis, duration
from simcluster.timeline.chart import DENSE
from simcluster.timeline.lanes import Stay, pack, queue_steps
from simcluster.timeline.layout import lay_out

START = 1767225600.0


def run(start, end, node="node1", cpus=1, state="COMPLETED"):
    return Run((node,), (cpus,), state, START + start, None if end is None else START + end)


def job(number, submitted, *runs, state="COMPLETED", ended=None, **more):
    end = runs[-1].end if runs and state != "PENDING" else ended
    at = START + submitted
    return JobHistory(str(number), more.pop("name", "job"), "ada", state, at, end, runs, **more)


NODES = (NodeHistory("node1", 2), NodeHistory("node2", 2))


def history(*jobs, nodes=NODES, taken=100.0, **more):
    return History("c1", START, START + taken, nodes, jobs, **more)


stays = st.lists(
    st.tuples(st.integers(0, 50), st.integers(1, 20), st.integers(1, 4)).map(lambda t: (t[0], t[0] + t[1], t[2])),
    max_size=40,
)


@given(stays)
def test_no_two_stays_have_the_same_lane_at_once_and_each_gets_all_of_its_lanes(spans):
    blocks, lanes = pack((Stay(number, *span) for number, span in enumerate(spans)), 4)
    taken = [(lane, b.stay) for b in blocks for lane in range(b.lane, b.lane + b.count)]
    for number, (_, _, count) in enumerate(spans):
        assert sum(stay.of == number for _, stay in taken) == count
    for i, (lane, stay) in enumerate(taken):
        assert 0 <= lane < lanes
        for other, later in taken[i + 1 :]:
            assert lane != other or stay.end <= later.start or later.end <= stay.start


@given(stays)
def test_what_comes_later_moves_nothing_that_came_before(spans):
    ordered = [Stay(number, *span) for number, span in enumerate(sorted(spans))]
    all_blocks, _ = pack(ordered, 4)
    for count in range(len(ordered)):
        blocks, _ = pack(ordered[:count], 4)
        assert blocks == all_blocks[: len(blocks)]


def test_a_job_stays_together_where_there_is_room():
    blocks, lanes = pack([Stay(0, 0, 9), Stay(1, 0, 2), Stay(2, 0, 9), Stay(3, 3, 5, 2)], 5)
    assert [(b.stay.of, b.lane, b.count) for b in blocks] == [(0, 0, 1), (1, 1, 1), (2, 2, 1), (3, 3, 2)]
    assert lanes == 5


def test_a_job_that_finds_no_neighbours_is_drawn_in_parts():
    blocks, lanes = pack([Stay(0, 0, 9), Stay(1, 0, 2), Stay(2, 0, 9), Stay(3, 3, 5, 2)], 4)
    assert [(b.lane, b.count) for b in blocks if b.stay.of == 3] == [(1, 1), (3, 1)]
    assert lanes == 4


def test_more_than_there_is_room_for_gets_lanes_beyond():
    _, lanes = pack([Stay(number, 0, 5) for number in range(5)], 2)
    assert lanes == 5


def test_the_queue_counts_who_waits_between_runs_too():
    lost = job(1, 0, run(1, 3, state="NODE_FAIL"), run(6, 9))
    never = job(2, 2, state="CANCELLED", ended=START + 4)
    waits = job(3, 8, state="PENDING")
    steps = [(moment - START, count) for moment, count in queue_steps(history(lost, never, waits))]
    assert steps == [(0, 1), (1, 0), (2, 1), (3, 2), (4, 1), (6, 0), (8, 1)]


def test_a_job_put_back_into_the_queue_waits_from_the_end_of_its_last_run():
    steps = queue_steps(history(job(1, 0, run(1, 3, state="NODE_FAIL"), state="PENDING")))
    assert [(moment - START, count) for moment, count in steps] == [(0, 1), (1, 0), (3, 1)]


@pytest.mark.parametrize(
    ("span", "labels"),
    [
        (0.5, ["0.0 s", "0.1 s", "0.2 s", "0.3 s", "0.4 s", "0.5 s"]),
        (10, ["0 s", "2 s", "4 s", "6 s", "8 s", "10 s"]),
        (95, ["0 s", "15 s", "30 s", "45 s", "1:00 min", "1:15 min", "1:30 min"]),
        (3600, ["0 s", "10 min", "20 min", "30 min", "40 min", "50 min", "1:00 h"]),
        (86400 * 40, ["0 s", "6 d", "12 d", "18 d", "24 d", "30 d", "36 d"]),
    ],
)
def test_ticks_are_round(span, labels):
    assert [label for _, label in Axis(START, START + span).ticks(8)] == labels


@given(st.floats(0.5, 1e8), st.sampled_from([8, 32, 128]))
def test_ticks_are_few_and_within(span, about):
    ticks = Axis(0.0, span).ticks(about)
    assert 1 < len(ticks) <= about + 1
    assert all(0 <= place <= 1.0001 for place, _ in ticks)


def test_the_axis_leaves_out_what_was_idle_long_before_and_after():
    axis = choose_axis([history(job(1, 5000, run(5001, 5030)), taken=90000.0)], [])
    assert (axis.start, axis.end) == (START + 5000, pytest.approx(START + 5030.6))
    axis = choose_axis([history(job(1, 3, run(4, 30)), taken=90000.0)], [])
    assert (axis.start, axis.end) == (START, pytest.approx(START + 30.6))


def test_what_still_lasts_lasts_until_now():
    axis = choose_axis([history(job(1, 3, run(4, None), state="RUNNING"))], [])
    assert axis.end == START + 100


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.049, "0.05 s"),
        (7, "7 s"),
        (12.34, "12.3 s"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (3720, "1 h 2 min"),
        (90000, "1 d 1 h"),
    ],
)
def test_durations_read_well(seconds, words):
    assert duration(seconds) == words


def test_jobs_tests_faults_and_nodes_that_were_down_stand_where_they_belong():
    wide = JobHistory(
        "7",
        "wide",
        "ada",
        "FAILED",
        START,
        START + 50,
        (Run(("node1", "node2"), (2, 1), "FAILED", START + 25, START + 50),),
    )
    down = (NodeHistory("node1", 2), NodeHistory("node2", 2, ((START + 50, None),)))
    chart = lay_out(
        [history(wide, nodes=down, faults=(FaultSpan("node.kill", "node2", START + 45, START + 60),))],
        [TestSpan("tests/x.py::test_a", "passed", START, START + 75, "gw0")],
    )
    bars = {(bar.kind, bar.state): (bar.x, bar.end) for bar in chart.bars}
    assert bars == {
        ("test", "passed"): (0, 0.75),
        ("fault", "fault"): (0.45, 0.6),
        ("job", "FAILED"): (0.25, 0.5),
        ("down", "down"): (0.5, 1),
    }
    heights = [bar.height for bar in chart.bars if bar.kind == "job"]
    assert heights[0] == 2 * heights[1]
    assert [label.text for label in chart.labels if label.kind != "note"] == [
        "tests",
        "gw0",
        "c1",
        "faults",
        "node1",
        "node2",
    ]


class Page(HTMLParser):
    """The elements of a page; it complains about nothing, so what must not be there is looked for."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self._inside, self.data = [], [], None, ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        self._inside = dict(attributes).get("id")

    def handle_data(self, data):
        if self._inside == "data":
            self.data += data

    def handle_endtag(self, tag):
        self._inside = None


HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"' \u202egnp\x00\ud800 &amp;"


def test_hostile_names_are_text_and_nothing_else(tmp_path):
    wicked = JobHistory(
        HOSTILE, HOSTILE, HOSTILE, HOSTILE, START, START + 9, (run(1, 9, state=HOSTILE),), HOSTILE, HOSTILE
    )
    down = (NodeHistory("node1", 1), NodeHistory(HOSTILE, 1, ((START, None),)))
    faults = (FaultSpan(HOSTILE, HOSTILE, START, None),)
    evil = History(HOSTILE, START, START + 10, down, (wicked,), faults)
    text = write_timeline(
        tmp_path / "x.html", [evil], [TestSpan(HOSTILE, HOSTILE, START, None, HOSTILE, HOSTILE)]
    ).read_text(encoding="utf-8")
    page = Page(text)
    assert page.tags.count("script") == 2
    assert "img" not in page.tags
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "\u202e" not in text
    assert any("</script><script>alert(1)" in word for row in json.loads(page.data)["rows"] for word in row)


def test_the_page_needs_nothing_from_elsewhere():
    page = Page(render([history(job(1, 0, run(1, 2)))]))
    links = [value for name, value in page.attributes if name in {"src", "href", "action", "data"}]
    assert links == ["data:,"]
    assert any(name == "content" and value.startswith("default-src 'none'") for name, value in page.attributes)


def test_ten_thousand_jobs_make_a_page_of_few_elements():
    jobs = [job(n, n / 10, run(n, n + 2, node=f"node{n % 2 + 1}")) for n in range(10_000)]
    text = render([history(*jobs, taken=11_000.0)])
    assert len(jobs) > DENSE
    assert len(Page(text).tags) < 1000
    assert len(text) < 4_000_000
    assert len(json.loads(Page(text).data)["bars"]) == 10_000


@pytest.mark.parametrize("histories", [[], [history()], [history(nodes=())]])
def test_an_empty_history_is_a_page_too(histories):
    assert "</html>" in render(histories)


def test_each_number_of_the_page_is_one():
    text = render([history(job(1, 0, run(1, 1)), taken=0.0)])
    assert not re.search(r'"(nan|inf)[%"]', text)
