"""The timeline in a real browser: what is drawn where, what pointing at it tells, and that it can be read.

It needs Chromium (Debian: apt-get install chromium fonts-liberation) on PATH or at CHROMIUM. In CI a browser that is missing is a failure.
"""

import os
import re
from itertools import pairwise
from pathlib import Path

import pytest

from simcluster.history import FaultSpan, History, JobHistory, NodeHistory, Run
from simcluster.timeline import TestSpan, render

START = 1767225600.0
SCHEMES = ["light", "dark"]
ENDS = ["COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "SUSPENDED"]
HOSTILE = "</title><script>document.title='owned'</script>"


def job(number, name, state, submitted, *stays):
    runs = tuple(Run(nodes, cpus, state, START + start, end and START + end) for nodes, cpus, start, end in stays)
    ended = runs[-1].end if runs else None
    return JobHistory(str(number), name, "ada", state, START + submitted, ended, runs, "3:0" if ended else None)


def few():
    """Each state once, on two nodes of four cores, the last one on both and with a name that is a program."""
    jobs = [
        job(
            number,
            f"work {state}",
            state,
            number,
            ((f"node{number % 2 + 1}",), (1 + number % 3,), 10 * number, 10 * number + 18),
        )
        for number, state in enumerate(ENDS)
    ]
    wide = job(20, HOSTILE, "RUNNING", 60, (("node1", "node2"), (2, 1), 90, None))
    waiting = job(21, "waits", "PENDING", 70)
    nodes = (NodeHistory("node1", 4), NodeHistory("node2", 4, ((START + 30, START + 40),)))
    faults = (FaultSpan("node.kill", "node2", START + 25, START + 45),)
    return History("slurm-few", START, START + 100, nodes, (*jobs, wide, waiting), faults)


def many():
    """10,000 jobs."""
    jobs = [
        job(n, f"job {n}", ENDS[n % 3], n / 10, ((f"node{n % 8 + 1}",), (1,), n // 32, n // 32 + 1))
        for n in range(10_000)
    ]
    nodes = tuple(NodeHistory(f"node{number}", 4) for number in range(1, 9))
    return History("slurm-many", START, START + 400, nodes, tuple(jobs))


TESTS = [
    TestSpan("tests/test_x.py::test_good", "passed", START + 1, START + 50, "gw0"),
    TestSpan("tests/test_x.py::test_bad", "failed", START + 51, START + 80, "gw0", "AssertionError"),
]


@pytest.fixture
def show(browser, tmp_path):
    """show(histories, ...) opens the page from disk. At the end nothing must have been complained about or fetched."""
    contexts, complaints = [], []

    def show(histories, *more, scheme="light", width=1200):
        file = tmp_path / "run.html"
        file.write_text(render(histories, *more), encoding="utf-8")
        contexts.append(browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800}))
        page = contexts[-1].new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: request.url in {file.as_uri(), "data:,"} or complaints.append(request.url))
        page.goto(file.as_uri())
        return page

    yield show
    for context in contexts:
        for number, page in enumerate(context.pages):
            if pictures := os.environ.get("TIMELINE_PICTURES"):
                page.screenshot(path=Path(pictures) / f"{tmp_path.name}-{number}.png", full_page=True)
        context.close()
    assert complaints == []


def boxes(page, selector):
    """Left, top, right and bottom of each element's own rectangle, in pixels."""
    script = "all => all.map(e => (b => [b.left, b.top, b.right, b.bottom])((e.querySelector('rect') || e).getBoundingClientRect()))"
    return page.eval_on_selector_all(selector, script)


def test_there_is_a_bar_for_each_run_on_each_node(show):
    page = show([few()])
    assert page.locator(".bar.job").count() == len(ENDS) + 2
    assert page.locator(".bar.down").count() == 1
    assert page.locator(".bar.fault").count() == 1
    for state in ENDS:
        assert page.locator(f".bar.s-{state}").count() == 1
    assert page.locator(".labels text").all_text_contents()[:3] == ["faults", "node1", "node2"]


def test_bars_stand_in_the_order_of_time_and_do_not_overlap(show):
    page = show([few()], TESTS)
    jobs = boxes(page, ".bar.job")
    by_state = {state: boxes(page, f".bar.s-{state}")[0] for state in ENDS}
    lefts = [by_state[state][0] for state in ENDS]
    assert lefts == sorted(lefts)
    assert len(set(lefts)) == len(lefts)
    for i, (left, top, right, bottom) in enumerate(jobs):
        assert right > left
        assert bottom > top
        for other in jobs[i + 1 :]:
            apart = (
                other[0] >= right - 0.1 or other[2] <= left + 0.1 or other[1] >= bottom - 0.1 or other[3] <= top + 0.1
            )
            assert apart


def test_bars_are_as_long_as_their_jobs_and_as_thick_as_their_cores(show):
    page = show([few()])
    (left, _, right, _) = boxes(page, ".node-stripe")[0]
    second = (right - left) / 100
    for number, state in enumerate(ENDS):
        (bar,) = boxes(page, f".bar.s-{state}")
        assert bar[0] == pytest.approx(left + 10 * number * second, abs=1)
        assert bar[2] - bar[0] == pytest.approx(min(18, 100 - 10 * number) * second, abs=1)
        assert bar[3] - bar[1] == pytest.approx((1 + number % 3) * 18, abs=1)


@pytest.mark.parametrize("histories", [few, many])
def test_pointing_at_a_job_shows_its_facts(show, histories):
    history = histories()
    page = show([history])
    chosen = history.jobs[1]
    (x, y) = page.evaluate(
        """id => {
            const row = data.rows.findIndex(([kind, number]) => kind === "job" && number === id);
            const [, from, to, top, height] = data.bars.find(([of]) => of === row);
            plot.scrollIntoView();
            const box = plot.getBoundingClientRect();
            return [box.left + (from + to) / 2 * box.width, box.top + top + height / 2];
        }""",
        chosen.id,
    )
    page.mouse.move(x, y)
    words = page.locator("#tip").inner_text().split("\n")
    told = dict(zip(words[1::2], words[2::2], strict=False))
    assert words[0] == f"job {chosen.id}"
    assert (told["name"], told["user"], told["state"]) == (chosen.name, "ada", chosen.state)
    assert (told["node"], told["cores"]) == ("node2", str(chosen.runs[0].cpus[0]))
    assert told["exit code"] == "3:0"
    assert {"submitted", "started", "ended", "waited", "ran"} <= set(told)
    tip = page.locator("#tip").bounding_box()
    assert tip["x"] >= 0
    assert tip["x"] + tip["width"] <= 1200
    page.mouse.move(2, 2)
    assert page.locator("#tip").is_hidden()


def test_the_keyboard_gets_to_each_bar(show):
    page = show([few()], TESTS)
    page.locator("#plot").focus()
    seen = []
    for _ in range(page.locator(".bar").count()):
        page.keyboard.press("ArrowRight")
        seen.append(page.locator("#tip strong").inner_text())
    assert seen[:2] == ["test tests/test_x.py::test_good", "test tests/test_x.py::test_bad"]
    assert {f"job {number}" for number in range(len(ENDS))} <= set(seen)
    page.keyboard.press("Escape")
    assert page.locator("#tip").is_hidden()


def test_each_bar_has_a_name_for_those_who_do_not_see_it(show):
    page = show([few()])
    names = page.eval_on_selector_all(".bar", "all => all.map(e => e.getAttribute('aria-label'))")
    assert all(names)
    assert any("work FAILED" in name and "node2" in name for name in names)


def test_a_legend_button_shows_one_state_alone(show):
    page = show([few()])
    page.get_by_role("button", name="FAILED", exact=True).click()
    faded = page.eval_on_selector_all(".bar", "all => all.filter(e => getComputedStyle(e).opacity < 0.5).length")
    assert faded == page.locator(".bar").count() - 1
    page.get_by_role("button", name="FAILED", exact=True).click()
    assert page.eval_on_selector_all(".bar", "all => all.filter(e => getComputedStyle(e).opacity < 0.5).length") == 0


def test_zooming_in_makes_bars_longer_and_ticks_finer(show):
    page = show([few()])
    before, ticks = boxes(page, ".bar.s-FAILED")[0], page.locator(".ticks:visible text").count()
    page.locator("#in").click()
    page.locator("#in").click()
    after = boxes(page, ".bar.s-FAILED")[0]
    assert after[2] - after[0] > 3.5 * (before[2] - before[0])
    assert page.locator(".ticks:not([hidden]) text").count() > ticks
    page.locator("#fit").click()
    assert boxes(page, ".bar.s-FAILED")[0] == pytest.approx(before, abs=1)


def test_words_stay_in_view_when_their_bar_begins_left_of_it(show):
    page = show([few()])
    for _ in range(3):
        page.locator("#in").click()
    words = page.evaluate(
        """() => {
            const edges = scroll.getBoundingClientRect();
            const bars = [...plot.querySelectorAll(".bar.job")].map((bar) => [bar.querySelector("rect"), bar.querySelector("text")]);
            const inView = bars.filter(([bar]) => (b => b.left < edges.left && b.right > edges.left + 200)(bar.getBoundingClientRect()));
            return inView.map(([, text]) => [text.textContent, text.getBoundingClientRect().left - edges.left]);
        }"""
    )
    assert words
    assert all(text and 0 <= left < 20 for text, left in words)


@pytest.mark.parametrize("width", [420, 1200])
def test_ticks_have_room_for_their_words(show, width):
    page = show([few()], width=width)
    ticks = sorted(boxes(page, ".ticks:not([hidden]) text:nth-of-type(odd)"))
    assert len(ticks) >= 3
    for before, after in pairwise(ticks):
        assert before[2] < after[0]


def test_the_queue_is_a_line_under_its_nodes(show):
    page = show([few()])
    assert page.locator(".queue .line").count() == 1
    assert boxes(page, ".queue")[0][1] >= max(box[3] for box in boxes(page, ".node-stripe"))


def test_words_that_look_like_a_program_are_not_run(show):
    page = show([few()])
    assert page.title() == "slurm-few"
    page.locator("summary").click()
    assert HOSTILE in page.locator("table").first.inner_text()


def test_ten_thousand_jobs_are_a_few_shapes(show):
    page = show([many()])
    assert page.locator(".dense.job").count() <= 6
    assert page.locator(".bar").count() == 0
    assert page.locator("#plot *").count() < 1500


def test_nothing_is_cut_off_on_a_narrow_screen(show):
    page = show([few()], TESTS, width=420)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_colours_can_be_told_from_the_page_and_words_from_their_bars(show, scheme):
    """WCAG 2: 3 to 1 for what is drawn, 4.5 to 1 for words."""
    page = show([few()], TESTS, scheme=scheme)
    ground = colour(page, "body", "backgroundColor")
    assert (luminance(ground) > 0.5) == (scheme == "light")
    for words in ("h1", "header p", "summary", "button"):
        assert contrast(colour(page, words, "color"), ground) >= 4.5
    stripe = colour(page, ".node-stripe", "fill")
    for state in (*ENDS, "RUNNING", "passed"):
        bar = colour(page, f".bar.s-{state} rect", "fill")
        assert contrast(bar, ground) >= 3, state
        assert contrast(bar, stripe) >= 3, state
        assert contrast(colour(page, f".bar.s-{state} text", "fill"), bar) >= 4.5, state
    assert contrast(colour(page, ".labels text", "fill"), ground) >= 4.5
    assert contrast(colour(page, ".bar.fault rect", "stroke"), ground) >= 3
    page.locator(".bar.job").first.hover()
    assert contrast(colour(page, "#tip dt", "color"), colour(page, "#tip", "backgroundColor")) >= 4.5


@pytest.mark.parametrize("histories", [[], [History("new", START, START + 1, (NodeHistory("node1", 2),), ())]])
def test_where_nothing_happened_nothing_is_drawn(show, histories):
    page = show(histories)
    assert page.locator(".bar").count() == 0
    page.locator("#plot").hover()
    page.keyboard.press("Tab")


def colour(page, selector, attribute):
    text = page.eval_on_selector(selector, f"e => getComputedStyle(e).{attribute}")
    return [int(number) for number in re.findall(r"\d+", text)[:3]]


def luminance(rgb):
    parts = [value / 255 for value in rgb]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first, second):
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
