"""Writes down what real Slurm in containers answers, and the pages docs/conformance*.md: nox -s conformance -- --record."""

from __future__ import annotations

import argparse
import sys

from conformance.comparing import SIDES
from conformance.sites import RECORDED, compare, load, page_of, play, save

__all__ = ["main"]


def main() -> None:
    """`--record` needs a Docker engine, `native` Slurm with slurmdbd and MariaDB here."""
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--record",
        nargs="*",
        metavar="SCENARIO",
        help="play all, or these, in containers, keep the transcripts, then --table",
    )
    what.add_argument("--table", nargs="*", choices=SIDES, help="play on these, of all, and write their pages")
    chosen = parser.parse_args()
    if chosen.record is not None:
        kept = load(RECORDED) if chosen.record else {}
        save({**kept, **play("docker", only=chosen.record)}, RECORDED)
    complaints = []
    for backend in chosen.table or SIDES:
        complaint, page = compare(SIDES[backend])
        page_of(SIDES[backend]).write_text(page, encoding="utf-8")
        complaints += [complaint] if complaint else []
    sys.exit("\n\n".join(complaints) or None)


if __name__ == "__main__":
    main()
