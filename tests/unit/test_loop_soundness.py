"""Generated loops: what is proven gives what the plain loop gives, and of those that are independent most are proven."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loops_by_proof import by_proof, made_function, outcome

HELPERS = """
def sq(x): return x * x
def first(r): return r[0] if isinstance(r, list) and r else r
def grow(r):
    r.append(1)
    return r
def copied(r):
    q = list(r)
    q.append(7)
    return q
TABLE = [1, 2, 3]
def read(i): return TABLE[i % 3]
def written(i):
    TABLE[i % 3] += 1
    return TABLE[0]
"""

BEGINNINGS = [
    "out = []", "out = rows", "out = rows[0]", "total = 0", "total = []", "total = rows[0]", "table = {}", "table = dict(d)", "table = d",
    "best = None", "best = -5", "last = 0", "a = [0] * 20", "a = xs", "a = list(xs)", "grid = [[0] * 4 for _ in range(5)]", "grid = list(rows)",
    "tmp = 1", "out = other = []", "it = iter(xs)", "groups = {k: [] for k in range(5)}", "groups = {k: r for k, r in enumerate(rows)}",
    "where = 0", "x = 3", "y = 2", "rows.append(out)", "rows[0] = a", "grid[0] = rows[1]", "table[9] = rows[1]", "text = ''", "s = set()",
]  # fmt: skip
NUMBERS = [
    "x",
    "i",
    "y",
    "x * 2",
    "sq(i)",
    "a[i % 4]",
    "d.get(0, 0)",
    "rows[i % 3][0]",
    "sum(xs)",
    "total",
    "last",
    "read(i)",
    "tmp",
    "len(out)",
    "xs[0]",
]
VALUES = [
    *NUMBERS, "rows[i % 3]", "first(rows[i % 3])", "copied(rows[i % 3])", "grow(rows[0])", "written(i)", "out", "[i, x]", "[rows[0]]", "(i, y)",
    "grid[i % 3]", "sorted(rows[0])", "[q * 2 for q in xs]", "row", "list(row)", "TABLE", "next(it, 0)", "max(rows)", "rows[0] + [i]", "best", "str(i)",
    "sum(rows, [])", "[*xs, i]", "table.get(i)", "(lambda q: q + i)(1)", "where", "f'{i}:{y}'",
]  # fmt: skip
STATEMENTS = [
    "y = {v}", "row = {v}", "tmp = {v}", "last = {v}", "out.append({v})", "out.extend([{v}])", "total += {v}", "total = total + {v}", "total = max(total, {v})",
    "table[{v}] = {w}", "table[i] = {v}", "a[i % 4] = {v}", "a[i % 3] += {v}", "grid[i % 3][0] = {v}", "grid[i % 3][1] += {v}", "grid[i % 3] = {v}",
    "row.append({v})", "row[0] = {v}", "y += {v}", "row += {v}", "rows[0].append({v})", "xs[0] = {v}", "groups[i % 3].append({v})", "s.add({v})",
    "groups[i % 3] = {v}", "groups.setdefault(i % 4, []).append({v})", "table[i % 2] = table.get(i % 2, 0) + {v}", "y, row = {v}, {w}", "continue",
    "if y > best: best, where = y, i", "if best is None or y > best:\n    best = y", "row = [{v}, {w}]", "row = list({v})", "text += str(i)",
    "if {v}:\n    y = {w}", "if i % 2:\n    out.append({v})\nelse:\n    row = {w}", "for q in rows:\n    y = q\n    out.append({v})", "x += 1",
    "try:\n    y = {v}\nexcept TypeError:\n    tmp = 0", "try:\n    total += {v}\nexcept Exception:\n    tmp = 2",
]  # fmt: skip
HEADS = [
    "for i, x in enumerate(xs):",
    "for i in range(len(xs)):",
    "for i in xs:",
    "for i, row in enumerate(rows):",
    "for i, x in zip(range(n), rows):",
]
ENDS = [
    "out",
    "total",
    "(best, where)",
    "a",
    "(out, total, grid)",
    "(i, x)",
    "(groups, out)",
    "row",
    "(rows, xs)",
    "(out, rows)",
    "(tmp, last)",
]

# Of these each is independent by construction, so is any choice of them.
INDEPENDENT = [
    "out.append({v})", "total += {v}", "table[i] = {v}", "a[i % 4] += {v}", "low = min(low, {v})", "groups.setdefault(i % 3, []).append({v})",
    "y = {v}\nout.append(y)", "if i % 2:\n    out.append({v})", "row = [{v} for q in range(3)]\ntotal += sum(row)", "grid[i % 3][1] = {v}",
    "inner = []\nfor q in xs:\n    inner.append(q + {v})\nout.append(max(inner))", "if {v} > 3:\n    n_large += 1", "text += f'{v}'",
    "k = 0\nwhile k < 3:\n    k += 1\n    total += k", "if i > 7:\n    continue", "try:\n    z = 1 / {v}\nexcept ZeroDivisionError:\n    z = 0\nout.append(z)",
    "seen.add({v})", "counts[i % 2] = counts.get(i % 2, 0) + 1", "if {v} > best:\n    best = {v}\n    where = i",
]  # fmt: skip
OWN = [
    "i",
    "xs[i % 5]",
    "sq(i)",
    "read(i)",
    "d.get(i, 0)",
    "xs[0] * i",
    "len(rows)",
    "sum(xs) - i",
    "rows[i % 3][0]",
    "abs(i - 2)",
    "max(i, 2)",
]
START = "out, total, table, a, low, groups, text = [], 0, {}, [0] * 9, 99, {}, ''\n    grid, best, where, n_large, seen, counts = [[0] * 4 for _ in range(3)], -9, 0, 0, set(), {}"

ARGUMENTS = ([3, 1, 2, 5, 4], [[1, 2], [3, 4], [5, 6]], {0: 1, 2: 7}, 5)


def _function(beginnings: list[str], head: str, statements: list[str], end: str) -> str:
    body = [line for statement in statements for line in statement.split("\n")]
    lines = [
        *(f"    {item}" for item in beginnings),
        f"    {head}",
        *(f"        {line}" for line in body),
        f"    return {end}",
    ]
    return f"{HELPERS}\ndef f(xs, rows, d, n):\n" + "\n".join(lines) + "\n"


@st.composite
def _loops(draw):
    beginnings = draw(st.lists(st.sampled_from(BEGINNINGS), min_size=6, max_size=24, unique=True))
    values = st.sampled_from(draw(st.sampled_from([NUMBERS, NUMBERS, VALUES])))
    statements = [
        item.replace("{v}", draw(values)).replace("{w}", draw(values))
        for item in draw(st.lists(st.sampled_from(STATEMENTS), min_size=1, max_size=4))
    ]
    return _function(beginnings, draw(st.sampled_from(HEADS)), statements, draw(st.sampled_from(ENDS)))


def _gives_the_same(text: str) -> None:
    rewritten = by_proof(made_function(text))
    if rewritten is not None:
        assert outcome(rewritten, ARGUMENTS) == outcome(made_function(text), ARGUMENTS), text


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(_loops())
def test_what_is_proven_gives_what_the_plain_loop_gives(text):
    _gives_the_same(text)


@st.composite
def _independent_loops(draw):
    values = st.sampled_from(OWN)
    statements = draw(st.lists(st.sampled_from(INDEPENDENT), min_size=1, max_size=4, unique=True))
    body = [item.replace("{v}", draw(values)) for item in statements]
    end = "out, total, table, a, low, groups, text, grid, best, where, n_large, seen, counts"
    return _function(
        [START], draw(st.sampled_from(["for i in range(n):", "for i, x in enumerate(xs):", "for i in xs:"])), body, end
    )


def test_seven_of_ten_independent_loops_are_proven():
    met: set[str] = set()
    proven: set[str] = set()

    @settings(max_examples=60, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(_independent_loops())
    def look(text: str) -> None:
        met.add(text)
        if by_proof(made_function(text)) is not None:
            proven.add(text)
            _gives_the_same(text)

    look()
    assert len(met) > 40
    assert len(proven) >= 0.7 * len(met), f"{len(proven)} of {len(met)}"
