"""The chart as SVG, stretched along the time axis by percentages, so that it fits any window and can be zoomed."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from simcluster.timeline.facts import plain
from simcluster.timeline.layout import AXIS_HEIGHT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from simcluster.timeline.layout import Bar, Chart, Label, Queue, Stripe

__all__ = ["DENSE", "STATES", "draw_labels", "draw_plot", "state_class"]

DENSE = 1500
"""With more bars than these, those of one state are one shape."""

STATES = (
    *("passed", "failed", "error", "skipped", "xfailed"),
    *("RUNNING", "SUSPENDED", "PENDING", "COMPLETED", "FAILED", "TIMEOUT", "OUT_OF_MEMORY"),
    *("NODE_FAIL", "PREEMPTED", "CANCELLED", "down", "fault"),
)
"""What has a colour of its own, in the order of the legend."""

_LABELS_WIDTH = 120
_FINE = 100_000
_SLIM = 0.003
_HATCH = """\
<defs><pattern id="hatch" width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">\
<rect class="hatch" width="4" height="8"/></pattern></defs>"""
_TICKS = (4, 8, 32, 128)
_USUAL_TICKS = 8
_LABELLED_HEIGHT = 11
_BORDERED_HEIGHT = 5
_FINEST_QUEUE = 4000


def state_class(state: str) -> str:
    """The class of a state, by which it is coloured."""
    return f"s-{state if state in STATES else 'OTHER'}"


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
        elif label.kind == "note":
            yield f'<text x="{_LABELS_WIDTH - 8}" y="{middle + 4:g}" text-anchor="end">{escape(label.text)}</text>'
        elif middle - 6 >= below:  # where nodes are thin, not each has room for its name
            below = middle + 6
            text = plain(label.text)
            short = text if len(text) <= 17 else text[:16] + "…"
            yield f'<text x="{_LABELS_WIDTH - 8}" y="{middle + 4:g}" text-anchor="end">{escape(short)}</text>'


def _axis(chart: Chart) -> Iterator[str]:
    for about in _TICKS:
        is_hidden = "" if about == _USUAL_TICKS else ' hidden=""'
        yield f'<g class="ticks" data-most="{about}"{is_hidden}>'
        for place, text in chart.axis.ticks(about):
            x, bottom = _percent(place), chart.height
            yield f'<line x1="{x}" x2="{x}" y1="{AXIS_HEIGHT - 6}" y2="{bottom:g}"/>'
            anchor = "start" if place < 0.01 else "end" if place > 0.94 else "middle"
            for y in (AXIS_HEIGHT - 12, bottom + 18):
                yield f'<text x="{x}" y="{y:g}" text-anchor="{anchor}">{text}</text>'
        yield "</g>"


def _stripe(stripe: Stripe) -> str:
    place = f'x="{_percent(stripe.x)}" width="{_percent(stripe.end - stripe.x)}"'
    return f'<rect class="{stripe.kind}-stripe" {place} y="{stripe.y:g}" height="{stripe.height:g}"/>'


def _bar(bar: Bar, chart: Chart) -> str:
    facts = chart.facts.rows[bar.row]
    name = escape(", ".join(word for word in facts[1:] if word))
    is_slim = " slim" if bar.end - bar.x < _SLIM else ""
    words = _words(bar, facts) if bar.height >= _LABELLED_HEIGHT and bar.kind != "down" else ""
    place = f'x="{_percent(bar.x)}" width="{_percent(bar.end - bar.x)}" y="{bar.y:g}" height="{bar.height:g}"'
    return (
        f'<svg class="bar {bar.kind} {state_class(bar.state)}{is_slim}" data-row="{bar.row}" {place} role="img" aria-label="{name}">'
        f'<title>{name}</title><rect width="100%" height="100%"/>{words}</svg>'
    )


def _words(bar: Bar, facts: Sequence[str]) -> str:
    """What may stand on a bar; the page shows the one that has room."""
    long = f"{facts[1]} {facts[2]}" if bar.kind in {"job", "fault"} else facts[1]
    short = facts[1].rpartition("::")[2]
    return f'<text x="5" y="{bar.height / 2 + 4:g}" data-long="{escape(long)}" data-short="{escape(short)}"/>'


def _dense(chart: Chart) -> Iterator[str]:
    """One shape for all bars of a kind and state; those too slim for a border apart."""
    shapes: dict[str, list[str]] = {}
    for bar in chart.bars:
        x, width = round(bar.x * _FINE), round((bar.end - bar.x) * _FINE)
        is_slim = " slim" if bar.end - bar.x < _SLIM or bar.height < _BORDERED_HEIGHT else ""
        path = f"M{x} {bar.y:g}h{width}v{bar.height:g}h{-width}z"
        shapes.setdefault(f"{bar.kind} {state_class(bar.state)}{is_slim}", []).append(path)
    height = f"{chart.height + AXIS_HEIGHT:g}"
    view = f'viewBox="0 0 {_FINE} {height}" preserveAspectRatio="none" width="100%" height="{height}"'
    for name, paths in shapes.items():
        yield f'<svg class="dense {name}" {view} aria-hidden="true"><path d="{"".join(paths)}"/></svg>'


def _queue(queue: Queue) -> str:
    """A line that is 0 at first, and steps."""
    most = max(1, queue.most)
    steps = (f"H{place * _FINE:.0f}V{100 - 100 * count / most:.4g}" for place, count in _thinned(queue.steps))
    line = "".join(("M0 100", *steps, f"H{_FINE}"))
    view = (
        f'viewBox="0 0 {_FINE} 100" preserveAspectRatio="none" y="{queue.y:g}" width="100%" height="{queue.height:g}"'
    )
    return (
        f'<svg class="queue" {view} aria-label="At most {queue.most} jobs waited" role="img"><path class="area" d="{line}V100z"/>'
        f'<path class="line" d="{line}"/></svg>'
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
