"""The chart as SVG, stretched along the time axis by percentages, so that it fits any window and can be zoomed."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from simcluster.timeline.facts import plain
from simcluster.timeline.layout import AXIS_HEIGHT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from simcluster.timeline.layout import Bar, Chart, Label, Queue, Stripe

__all__ = ["DENSE", "draw_labels", "draw_plot", "state_class"]

DENSE = 1500
"""With more bars than these, those of one state are one shape."""

_STATES = frozenset(
    (
        *("PENDING", "RUNNING", "SUSPENDED", "COMPLETED", "CANCELLED", "FAILED"),
        *("TIMEOUT", "NODE_FAIL", "PREEMPTED", "OUT_OF_MEMORY"),
        *("passed", "failed", "error", "skipped", "xfailed", "fault", "down"),
    )
)
_LABELS_WIDTH = 120
_LETTER = 6.6
_USUAL_WIDTH = 1000
_HATCH = """\
<defs><pattern id="hatch" width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">\
<rect class="hatch" width="4" height="8"/></pattern></defs>"""
_TICKS = ((1, 8), (4, 32), (16, 128))
_LABELLED_HEIGHT = 11
_FINEST_QUEUE = 4000


def state_class(state: str) -> str:
    """The class of a state, by which it is coloured."""
    return f"s-{state if state in _STATES else 'OTHER'}"


def draw_labels(chart: Chart) -> str:
    """The words at the left."""
    size = f'width="{_LABELS_WIDTH}" height="{chart.height + AXIS_HEIGHT:g}"'
    return f'<svg class="labels" {size} aria-hidden="true">{"".join(_labels(chart.labels))}</svg>'


def draw_plot(chart: Chart) -> str:
    """Everything along the time axis."""
    parts = [
        _HATCH,
        *(_stripe(stripe) for stripe in chart.stripes),
        *_axis(chart),
        *(_queue(queue) for queue in chart.queues),
        *(_dense(chart) if len(chart.bars) > DENSE else (_bar(bar, chart) for bar in chart.bars)),
        '<rect id="chosen" width="0" height="0" hidden=""/><line id="cursor" y1="0" y2="100%" hidden=""/>',
    ]
    height = f"{chart.height + AXIS_HEIGHT:g}"
    return f'<svg id="plot" height="{height}" tabindex="0" role="group" aria-label="Chart: arrow keys go from bar to bar">{"".join(parts)}</svg>'


def _labels(labels: Iterable[Label]) -> Iterator[str]:
    below = 0.0
    for label in labels:
        middle = label.y + label.height / 2
        if label.kind == "heading":
            below = label.y + label.height
            yield f'<text class="heading" x="0" y="{middle + 5:g}">{escape(plain(label.text))}</text>'
        elif middle - 6 >= below:  # where nodes are thin, not each has room for its name
            below = middle + 6
            text = plain(label.text)
            short = text if len(text) <= 17 else text[:16] + "…"
            yield f'<text x="{_LABELS_WIDTH - 8}" y="{middle + 4:g}" text-anchor="end">{escape(short)}</text>'


def _axis(chart: Chart) -> Iterator[str]:
    for zoom, about in _TICKS:
        is_hidden = "" if zoom == 1 else ' hidden=""'
        yield f'<g class="ticks" data-zoom="{zoom}"{is_hidden}>'
        for place, text in chart.axis.ticks(about):
            x, bottom = _percent(place), chart.height
            yield f'<line x1="{x}" x2="{x}" y1="{AXIS_HEIGHT - 6}" y2="{bottom:g}"/>'
            anchor = "start" if place < 0.01 else "end" if place > 0.98 else "middle"
            for y in (AXIS_HEIGHT - 12, bottom + 18):
                yield f'<text x="{x}" y="{y:g}" text-anchor="{anchor}">{text}</text>'
        yield "</g>"


def _stripe(stripe: Stripe) -> str:
    place = f'x="{_percent(stripe.x)}" width="{_percent(stripe.end - stripe.x)}"'
    return f'<rect class="{stripe.kind}-stripe" {place} y="{stripe.y:g}" height="{stripe.height:g}"/>'


def _bar(bar: Bar, chart: Chart) -> str:
    facts = chart.facts.rows[bar.row]
    name = escape(", ".join(word for word in facts[1:] if word))
    is_slim = " slim" if bar.end - bar.x < 0.003 else ""
    fill = ' fill="url(#hatch)"' if bar.kind == "down" else ""
    text = _fitting(facts, (bar.end - bar.x) * _USUAL_WIDTH) if bar.height >= _LABELLED_HEIGHT else ""
    words = (
        f'<text x="5" y="{min(bar.height, 24) / 2 + 4:g}">{escape(text)}</text>'
        if bar.height >= _LABELLED_HEIGHT
        else ""
    )
    place = f'x="{_percent(bar.x)}" width="{_percent(bar.end - bar.x)}" y="{bar.y:g}" height="{bar.height:g}"'
    return (
        f'<svg class="bar {bar.kind} {state_class(bar.state)}{is_slim}" data-row="{bar.row}" {place} role="img" aria-label="{name}">'
        f'<title>{name}</title><rect width="100%" height="100%"{fill}/>{words}</svg>'
    )


def _fitting(facts: Sequence[str], width: float) -> str:
    """As much of number and name as has room; the page does the same when its width changes."""
    long = f"{facts[1]} {facts[2]}" if facts[0] == "job" else facts[1]
    return next((text for text in (long, facts[1]) if len(text) * _LETTER + 9 <= width), "")


def _dense(chart: Chart) -> Iterator[str]:
    """One shape for all bars of a kind and state."""
    shapes: dict[tuple[str, str], list[str]] = {}
    for bar in chart.bars:
        x, width = round(bar.x * 100_000), round((bar.end - bar.x) * 100_000)
        path = f"M{x} {bar.y:g}h{width}v{bar.height:g}h{-width}z"
        shapes.setdefault((bar.kind, state_class(bar.state)), []).append(path)
    height = f"{chart.height + AXIS_HEIGHT:g}"
    for (kind, name), paths in shapes.items():
        fill = ' fill="url(#hatch)"' if kind == "down" else ""
        view = f'viewBox="0 0 100000 {height}" preserveAspectRatio="none" width="100%" height="{height}"'
        yield f'<svg class="dense {kind} {name}" {view} aria-hidden="true"><path d="{"".join(paths)}"{fill}/></svg>'


def _queue(queue: Queue) -> str:
    """A line that is 0 at first, and steps; the axis's right end is the last step's end."""
    most = max(1, queue.most)
    points, waiting = ["M0 100"], 0
    for place, count in _thinned(queue.steps):
        points.append(f"H{place * 100_000:.0f}V{100 - 100 * count / most:.4g}")
        waiting = count
    line = "".join([*points, "H100000"])
    view = f'viewBox="0 0 100000 100" preserveAspectRatio="none" y="{queue.y:g}" width="100%" height="{queue.height:g}"'
    scale = f'<text class="scale" x="100%" dx="4" y="{queue.y + 8:g}">{queue.most}</text>' if queue.most else ""
    empty = "" if queue.most or waiting else f'<text class="scale" x="4" y="{queue.y + queue.height - 6:g}">none</text>'
    return (
        f'<svg class="queue" {view} aria-label="At most {queue.most} jobs waited" role="img"><path class="area" d="{line}V100z"/>'
        f'<path class="line" d="{line}"/></svg>{scale}{empty}'
    )


def _thinned(steps: Sequence[tuple[float, int]]) -> Sequence[tuple[float, int]]:
    """Of steps that stand too close to be told apart, the highest and the last."""
    if len(steps) <= _FINEST_QUEUE:
        return steps
    thinned: list[tuple[float, int]] = []
    groups: dict[int, list[tuple[float, int]]] = {}
    for step in steps:
        groups.setdefault(int(step[0] * _FINEST_QUEUE), []).append(step)
    for group in groups.values():
        thinned += dict.fromkeys((max(group, key=lambda step: step[1]), group[-1]))
    return thinned


def _percent(place: float) -> str:
    return f"{100 * place:.4f}".rstrip("0").rstrip(".") + "%"
