"""The HTML page around the chart: title, legend, facts, and the little program that shows them."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from datetime import datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from simcluster.timeline.chart import STATES, draw_labels, draw_plot, state_class
from simcluster.timeline.facts import KEYS, plain
from simcluster.timeline.layout import lay_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from simcluster.history import History
    from simcluster.timeline.layout import Chart
    from simcluster.timeline.spans import TestSpan

__all__ = ["make_page"]

_WORDS = {"OTHER": "other", "NODE_FAIL": "NODE FAIL", "OUT_OF_MEMORY": "OUT OF MEMORY"}


def make_page(histories: Sequence[History], tests: Sequence[TestSpan], title: str) -> str:
    """The whole page. Its policy lets nothing run or load but what is written here."""
    chart = lay_out(histories, tests)
    style, program = (_beside(name) for name in ("page.css", "page.js"))
    policy = f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(program)}'; img-src data:"
    name = escape(plain(title))
    return f"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{name}</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>{name}</h1>
<p>{"<br>".join(_summary(chart, histories, tests))}</p>
</header>
<div class="tools">
<div class="legend" role="group" aria-label="Show one state alone">{"".join(_legend(chart))}</div>
<div class="zoom" role="group" aria-label="Zoom">
<button type="button" id="out" title="Zoom out" aria-label="Zoom out">&minus;</button>
<button type="button" id="fit" title="Show all">fit</button>
<button type="button" id="in" title="Zoom in" aria-label="Zoom in">+</button>
</div>
</div>
<main>
{draw_labels(chart)}
<div id="scroll">{draw_plot(chart)}</div>
</main>
<div id="tip" role="status" aria-live="polite" hidden></div>
<details id="all"><summary>Everything as a table</summary><div></div></details>
<script type="application/json" id="data">{_data(chart)}</script>
<script>{program}</script>
</body>
</html>
"""


def _summary(chart: Chart, histories: Sequence[History], tests: Sequence[TestSpan]) -> Iterable[str]:
    begin = datetime.fromtimestamp(chart.axis.start).astimezone()
    yield f"The time axis starts at <time>{begin.strftime('%Y-%m-%d %H:%M:%S %Z')}</time>."
    if tests:
        yield f"{_count(len(tests), 'test')}: {_tally(test.outcome for test in tests)}."
    for history in histories:
        cores = sum(node.cpus for node in history.nodes)
        jobs = _count(len(history.jobs), "job")
        started = datetime.fromtimestamp(history.started).astimezone().strftime("%H:%M:%S")
        what = f"{_count(len(history.nodes), 'node')}, {_count(cores, 'core')}, {jobs}"
        tally = f": {_tally(job.state for job in history.jobs)}" if history.jobs else ""
        yield f"<b>{escape(plain(history.cluster))}</b>, up since {started}: {what}{tally}."


def _tally(states: Iterable[str]) -> str:
    return ", ".join(f"{count} {escape(plain(state))}" for state, count in Counter(states).most_common())


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _legend(chart: Chart) -> Iterable[str]:
    states = {state_class(bar.state).removeprefix("s-") for bar in chart.bars}
    for state in (state for state in (*STATES, "OTHER") if state in states):
        word = escape(_WORDS.get(state, state))
        yield f'<button type="button" aria-pressed="false" data-state="{state}"><i class="s-{state}"></i>{word}</button>'


def _data(chart: Chart) -> str:
    """What the program needs: facts and places. `<` can't end the element, for there is none."""
    places = [
        [bar.row, round(bar.x, 6), round(bar.end, 6), round(bar.y, 1), round(bar.height, 1)] for bar in chart.bars
    ]
    zone = datetime.fromtimestamp(chart.axis.start).astimezone().utcoffset()
    data = {
        "start": chart.axis.start,
        "end": chart.axis.end,
        "zone": zone.total_seconds() if zone else 0,
        "keys": KEYS,
        "rows": chart.facts.rows,
        "bars": places,
    }
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def _beside(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
