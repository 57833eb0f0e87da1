"""Functions made by chance of everything that is rewritten: what they answer, they answer under Python 3.6, too."""

import random
import sys

from downlevel_pythons import answers, python_of

from clustrix.downlevel import rewrite

PROGRAMS = 120
# 3.10 has no starred expressions in subscripts.
STARRED = "key[*[{}], {}]" if sys.version_info >= (3, 11) else "(*[{}], {})"
NAMES = ("a", "b", "c", "d")
FRAME = """
log = []
class Key:
    def __getitem__(self, key): return key
key = Key()
def note(x):
    log.append(x)
    return x
def f(a, b=2, /, *rest, c=3):
    d = 4
{body}
    return a, b, c, d, rest
answer = f(1, 5, 6), log
"""


class Program:
    """Expressions are numbers, so that all of them can be combined; some raise, and then both have to."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def text(self):
        return FRAME.format(body="\n".join(self.statement("    ", 2) for _ in range(5)))

    def statement(self, margin, depth):
        kind = self.random.randrange(6 if depth else 3)
        value = self.expression(3)
        if kind == 0:
            return f"{margin}{self.random.choice(NAMES)} = {value}"
        if kind == 1:
            return f"{margin}note({value})"
        if kind == 2:
            return f"{margin}assert {value} != 17, {self.string(2)}"
        inner = "\n".join(self.statement(margin + "    ", depth - 1) for _ in range(2))
        if kind == 3:
            return f"{margin}if {value} > 3:\n{inner}\n{margin}elif {self.expression(2)}:\n{inner}"
        if kind == 4:
            return f"{margin}for {self.random.choice(NAMES)} in 1, *[{value}], 2:\n{inner}"
        decorator = f"[lambda g: g, {value}][0]"
        return f"{margin}@{decorator}\n{margin}def g(x, /, y: list[int] | None = 1):\n{margin}    return (z := x) + y\n{margin}note(g({value}))"

    def expression(self, depth):
        name, inner = self.random.choice(NAMES), lambda: self.expression(depth - 1)
        kind = self.random.randrange(12) if depth else self.random.randrange(2)
        if kind == 0:
            return str(self.random.randrange(20))
        if kind == 1:
            return name
        return (
            lambda: f"(({name} := {inner()}) + {inner()})",
            lambda: (
                f"sum([({name} := i) * {inner()} for i in ({self.expression(0)}, {self.expression(0)}) if (e := i) > 1])"
            ),
            lambda: f"({inner()} if {inner()} > ({name} := {inner()}) else {inner()})",
            lambda: f"len({self.string(depth - 1)})",
            lambda: f"sum({STARRED.format(inner(), inner())})",
            lambda: f"(lambda x, /: (y := x + {inner()}) * y)({inner()})",
            lambda: f"(lambda: ({name} := {inner()}))()",
            lambda: f"note({inner()})",
            lambda: f"({inner()} and ({name} := {inner()}))",
            lambda: f"max({inner()},\n        ({name} := {inner()}))",
        )[kind - 2]()

    def string(self, depth):
        # Quotes within are other ones, as all clients can read them.
        name = self.random.choice(NAMES)
        return self.random.choice(
            (
                f"f'{{{name}=}} {{{self.expression(0)}:>{{{name}}}}}'",
                f"f'{{({name} := {self.expression(0)})!r}} {{{name} = }}'",
                f"f'{{{name}!s:>3}}' 'more' f'{{{name}:02d}}'",
            )
        )


def test_they_answer_the_same_or_are_refused(tmp_path):
    texts = [Program(seed).text() for seed in range(PROGRAMS)]
    rewritten = [rewrite(text, (3, 6)) for text in texts]
    here = answers(sys.executable, tmp_path / "here", texts)
    there = answers(python_of((3, 6)), tmp_path / "there", [item.text for item in rewritten])
    # None of the programs is expected to be; what would be is no answer.
    refused = {number for number, item in enumerate(rewritten) if item.unsupported}
    pairs = [pair for number, pair in enumerate(zip(texts, here, there, strict=True)) if number not in refused]
    assert [pair for pair in pairs if shown(pair[1]) != shown(pair[2])][:1] == []
    assert len(pairs) > PROGRAMS // 2


def shown(answer):
    """The words of an exception differ between Pythons, and so do lines within an expression."""
    if "answer" in answer:
        return answer
    # 3.12 runs comprehensions in the function itself, whose unbound variables are another error.
    kind = answer["error"].partition(":")[0].replace("UnboundLocalError", "NameError")
    return kind, [name for name, _ in answer["places"] if name not in ("<listcomp>", "<lambda>")]
