"""Commands of schedulers that answer what real ones answered."""

import os

import pytest


@pytest.fixture
def answers(tmp_path, monkeypatch):
    """answers(command, stdout, stderr, code): from now on ``command`` answers so; its arguments go to the file that is returned."""
    monkeypatch.setenv("PATH", str(tmp_path) + os.pathsep + os.environ["PATH"])

    def answer(command, stdout="", stderr="", code=0):
        (tmp_path / (command + ".out")).write_text(stdout)
        (tmp_path / (command + ".err")).write_text(stderr)
        (tmp_path / (command + ".code")).write_text("%d" % code)
        path = tmp_path / command
        if not path.exists():
            script = '#!/bin/sh\necho "$@" >> {0}.calls\ncat {0}.out\ncat {0}.err >&2\nexit $(cat {0}.code)\n'
            path.write_text(script.format(path))
            path.chmod(0o755)
        return tmp_path / (command + ".calls")

    return answer
