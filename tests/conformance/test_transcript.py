"""How recorded transcripts are read."""

import re

import pytest
from conformance.transcript import Entry, Rule, normalised, parse

RECORDED = """\
# a remark
$ cat <<EOF
two lines
EOF
--- stdout
two lines
--- stderr
--- exit=0  (0.01s, ended 02:06:39.7)

## node2 is killed
root$ scontrol show job 9
--- stdout
--- stderr
slurm_load_jobs error: Invalid job id specified
--- exit=1
"""


def test_entries_have_their_command_their_answer_and_the_remarks_before_them():
    assert list(parse(RECORDED)) == [
        Entry("cat <<EOF\ntwo lines\nEOF", "two lines\n", "", 0, remarks=("# a remark",)),
        Entry(
            "scontrol show job 9",
            "",
            "slurm_load_jobs error: Invalid job id specified\n",
            1,
            who="root",
            remarks=("## node2 is killed",),
        ),
    ]


def test_a_transcript_that_was_cut_is_refused():
    with pytest.raises(ValueError, match="ends within the answer to"):
        list(parse("$ true\n--- stdout\n--- stderr\n"))


def test_rules_change_the_answer_and_neither_the_command_nor_the_exit_code():
    rule = Rule("ids", re.compile(r"\d+"), "<id>", "they are counted up")
    assert normalised(Entry("show 9", "job 9\n", "9?", 9), [rule]) == Entry("show 9", "job <id>\n", "<id>?", 9)
