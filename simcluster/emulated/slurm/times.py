"""Times and durations as Slurm reads and writes them."""

from __future__ import annotations

import contextlib
import re
import time
from datetime import datetime, timedelta

__all__ = ["clock_text", "limit_text", "long_limit_text", "parse_limit", "parse_time", "stamp", "time_used"]

_LONGEST = 1 << 32
"""Minutes of a limit, and seconds since 1970, that Slurm can count."""

_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
_NAMED = {"midnight": (0, 0), "noon": (12, 0), "fika": (15, 0), "teatime": (16, 0)}


def parse_limit(text: str) -> int | None:
    """Seconds of a `--time`, in whole minutes as Slurm has it; 0 for no limit, None for what is no time."""
    if text.upper() in {"UNLIMITED", "INFINITE"} or text == "-1":
        return 0
    if re.fullmatch(r"-\d+", text):
        return ((1 << 32) + int(text) * 1440 + 1) * 60  # taken for days, in an unsigned number of minutes
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", f"{text}0" if re.fullmatch(r"\d+-", text) else text)
    if match is None:
        return None
    days, first, second, third = (int(group) if group else 0 for group in match.groups())
    if match[1] is not None:
        seconds = days * 86400 + first * 3600 + second * 60 + third
    elif match[4] is not None:
        seconds = first * 3600 + second * 60 + third
    else:
        seconds = first * 60 + second
    return min(-(-seconds // 60), _LONGEST) * 60


def parse_time(text: str, now: float) -> float | None:
    """Unix seconds of a `--begin` or `--starttime`; None for what is no time."""
    lower = text.strip().lower()
    if match := re.fullmatch(r"now(?:([+-])(\d+)([a-z]*))?", lower):
        if match[1] is None:
            return now
        unit = next(
            (value for name, value in _UNITS.items() if name.startswith(match[3].rstrip("s") or "second")), None
        )
        return None if unit is None else float(max(0, min(int(now) + int(match[1] + match[2]) * unit, _LONGEST)))
    today = datetime.fromtimestamp(now).replace(hour=0, minute=0, second=0, microsecond=0)  # noqa: DTZ006
    if lower in {"today", "tomorrow"}:
        return (today + timedelta(days=lower == "tomorrow")).timestamp()
    if lower in _NAMED or re.match(r"\d{1,2}:", lower):
        return _time_of_day(lower, today, now)
    return _date(text.strip(), today)


def _time_of_day(text: str, today: datetime, now: float) -> float | None:
    if text in _NAMED:
        hour, minute, second = *_NAMED[text], 0
    else:
        match = re.fullmatch(r"(\d{1,2}):(\d{2})(?::(\d{2}))?\s*([ap]m)?", text)
        if match is None:
            return None
        hour, minute, second = int(match[1]), int(match[2]), int(match[3] or 0)
        hour = hour % 12 + 12 * (match[4] == "pm") if match[4] else hour
        if hour > 23 or minute > 59 or second > 59:
            return None
    moment = today.replace(hour=hour, minute=minute, second=second)
    return (moment if moment.timestamp() > now else moment + timedelta(days=1)).timestamp()


def _date(text: str, today: datetime) -> float | None:
    with_year = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d", "%m/%d/%y", "%m%d%y", "%m.%d.%y")
    # Without a year it is this one's: parsed with it, for a leap day is a day only of some years.
    for words, form in [*((text, form) for form in with_year), (f"{text}/{today.year}", "%m/%d/%Y")]:
        with contextlib.suppress(ValueError):
            return datetime.strptime(words, form).timestamp()  # noqa: DTZ007
    return None


def stamp(moment: float | None, unknown: str = "Unknown", form: str = "") -> str:
    """`2026-11-21T02:04:01` in local time; `form` is SLURM_TIME_FORMAT."""
    if moment is None:
        return unknown
    known = {"": "%Y-%m-%dT%H:%M:%S", "standard": "%Y-%m-%dT%H:%M:%S", "relative": "%H:%M:%S"}
    return time.strftime(known.get(form, form), time.localtime(moment))


def clock_text(moment: float) -> str:
    """`Sat Nov 21 02:08:12 2026`, above `-l` tables."""
    return time.strftime("%a %b %d %H:%M:%S %Y", time.localtime(moment))


def time_used(seconds: float) -> str:
    """`0:04`, `1:02:03`, `2-00:00:00`: squeue's way."""
    days, rest = divmod(int(seconds), 86400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    if days:
        return f"{days}-{hours:02}:{minutes:02}:{left:02}"
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def limit_text(seconds: int | None) -> str:
    """A limit as squeue shows it."""
    return "UNLIMITED" if seconds is None else time_used(seconds)


def long_limit_text(seconds: float | None) -> str:
    """`01:02:03`, `1-02:03:04`: scontrol's and sacct's way."""
    if seconds is None:
        return "UNLIMITED"
    days, rest = divmod(int(seconds), 86400)
    text = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days}-{text}" if days else text
