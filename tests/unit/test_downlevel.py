"""What is rewritten for an older Python gives there what the original gives here, with the same lines in tracebacks."""

import sys

import pytest
from downlevel_cases import CASES
from downlevel_pythons import answers, python_of

from clustrix.downlevel import rewrite

OLD = [(3, 6), (3, 7), (3, 8), (3, 9), (3, 10), (3, 11)]
READABLE = {name: text for name, (since, text) in CASES.items() if since <= sys.version_info[:2]}


@pytest.fixture(scope="session")
def expected(tmp_path_factory):
    directory = tmp_path_factory.mktemp("here") / "cases"
    return dict(zip(READABLE, answers(sys.executable, directory, READABLE.values()), strict=True))


@pytest.fixture(scope="session", params=OLD, ids=lambda version: "{}.{}".format(*version))
def under_old(request, tmp_path_factory):
    """(version, answers of the rewritten cases there)"""
    python = python_of(request.param)
    directory = tmp_path_factory.mktemp("old") / "cases"
    texts = [rewrite(text, request.param).text for text in READABLE.values()]
    return request.param, dict(zip(READABLE, answers(python, directory, texts), strict=True))


@pytest.mark.parametrize("case", READABLE)
def test_the_old_python_answers_as_this_one(under_old, expected, case):
    assert under_old[1][case] == expected[case]


@pytest.mark.parametrize("version", OLD)
@pytest.mark.parametrize("case", READABLE)
def test_every_statement_stays_on_its_line(case, version):
    assert rewrite(READABLE[case], version).text.count("\n") == READABLE[case].count("\n")


@pytest.mark.parametrize("case", CASES)
def test_what_a_python_can_read_is_left_as_it_is(case):
    since, text = CASES[case]
    if since > sys.version_info[:2]:
        pytest.skip("this Python can't read it")
    rewritten = rewrite(text, since)
    assert (rewritten.text, rewritten.features) == (text, ())
