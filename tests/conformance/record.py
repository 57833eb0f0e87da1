"""Writes down what real Slurm in containers answers, and docs/conformance.md from it: nox -s conformance -- --record."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from conformance.comparing import differences, judge, table
from conformance.scenarios import SCENARIOS
from conformance.sites import RECORDED, load, play, save

__all__ = ["main"]

_PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"


def main() -> None:
    """`--record` needs a Docker engine; `--table` takes what was recorded."""
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--record", action="store_true", help="play on real Slurm and keep the transcripts, then --table")
    what.add_argument("--table", action="store_true", help="play on emulated Slurm and write the page")
    if parser.parse_args().record:
        save(play("docker", SCENARIOS), RECORDED)
    real = load(RECORDED)
    found = differences(real, play("emulated", SCENARIOS))
    _PAGE.write_text(table(real, found), encoding="utf-8")
    sys.exit(judge(found, real) or None)


if __name__ == "__main__":
    main()
