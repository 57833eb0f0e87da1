"""Every error leads to the section of the documentation that says more about its class."""

import json
import pickle
import re
import subprocess
import sys
import traceback
from concurrent.futures import Future
from pathlib import Path

import pytest

from clustrix import errors
from clustrix.commands.results import print_outcome
from clustrix.remote.wire.exceptions import describe_exception, rebuild_exception

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
# Older Pythons print no notes; the command line shows the link there, too.
PRINTED = 1 if sys.version_info >= (3, 11) else 0

each_class = pytest.mark.parametrize("cls", [getattr(errors, name) for name in errors.__all__])


def printed(error):
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


def test_the_documentation_is_where_the_distribution_says():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["urls"]["Documentation"] == errors.DOCUMENTATION


@each_class
def test_the_page_has_the_section_that_an_error_leads_to(cls):
    page, _, section = cls.help_url.removeprefix(errors.DOCUMENTATION).partition("#")
    text = (ROOT / "docs" / page).with_suffix(".md").read_text(encoding="utf-8")
    titles = [title.lower() for title in re.findall(r"^### (\w+)$", text, re.MULTILINE)]
    assert section in titles or cls is errors.ClustrixError


@each_class
def test_an_error_leads_there_once_however_it_came(cls):
    error = cls("the words")
    ways = [error, pickle.loads(pickle.dumps(error)), rebuild_exception(describe_exception(error), errors.RemoteError)]
    for came in ways * 2:
        with pytest.raises(cls) as caught:
            raise came
        assert str(caught.value) == "the words"
        assert printed(caught.value).count(f"See {cls.help_url}\n") == PRINTED


def test_what_python_prints_at_the_end_has_the_link_and_that_of_others_has_none():
    program = "import clustrix, sys; raise {}"
    for raised, links in (("clustrix.JobTimeoutError('no', job_id='1')", PRINTED), ("ValueError('no')", 0)):
        done = subprocess.run(
            [sys.executable, "-c", program.format(raised)], capture_output=True, text=True, check=False
        )
        assert "Error: no\n" in done.stderr
        assert done.stderr.count(errors.DOCUMENTATION) == links


@pytest.mark.parametrize("is_json", [True, False])
def test_the_command_line_shows_it_on_every_python(is_json, capsys):
    failed = Future()
    failed.set_exception(errors.OutOfMemoryError("too much"))
    with pytest.raises(SystemExit):
        print_outcome(failed, is_json=is_json)
    told = capsys.readouterr()
    if is_json:
        url = errors.OutOfMemoryError.help_url
        assert json.loads(told.out)["error"] == {"type": "OutOfMemoryError", "message": "too much", "help_url": url}
    else:
        assert told.err == f"Error: too much\nSee {errors.OutOfMemoryError.help_url}\n"


def test_a_derived_class_leads_where_its_base_does():
    class Mine(errors.PackagingError):
        pass

    assert Mine.help_url == errors.PackagingError.help_url
