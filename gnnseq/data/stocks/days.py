"""Days from the texts that tables have for them: the exchange's own day, and the time of it."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from gnnseq.data.stocks.panel import DATE

__all__ = ["read_days", "time_zone"]

CLOCK = r"(?P<clock>\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)(?: ?(?P<half>[AaPp]\.?[Mm]\.?))?"
OFFSET = r" ?(?P<offset>Z|UTC|GMT|[+-]\d{2}:?\d{2}|[+-]\d{2})?"
TIME = rf"(?:(?:[T ]|, ){CLOCK}{OFFSET})?"
YEAR_FIRST = re.compile(rf"(?P<y>\d{{4}})(?P<sep>[-/.])(?P<m>\d\d?)(?P=sep)(?P<d>\d\d?){TIME}")
YEAR_LAST = re.compile(rf"(?P<one>\d\d?)(?P<sep>[-/.])(?P<two>\d\d?)(?P=sep)(?P<y>\d{{4}}){TIME}")
NAMED = re.compile(
    rf"(?:(?P<d>\d\d?)[- ](?P<m>[A-Za-z]{{3,9}})|(?P<m2>[A-Za-z]{{3,9}})\.? (?P<d2>\d\d?),?)[- ,]+(?P<y>\d{{4}}){TIME}"
)
COMPACT = re.compile(r"(?P<y>1[89]\d\d|20\d\d)(?P<m>\d\d)(?P<d>\d\d)(?:\.0)?")
EPOCH = re.compile(r"(?P<ticks>\d{9,19})(?:\.0)?")
MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
          "december")  # fmt: skip
EXPECTED = "expected YYYY-MM-DD"
Day = tuple[str, str, str | None]  # ISO date, time of day, offset from UTC as written


def time_zone(name: str | None) -> ZoneInfo | None:
    """The time zone of a name.

    Raises:
        ValueError: There is none of that name.
    """
    try:
        return None if name is None else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"zone={name!r}; expected a time zone's name, such as 'Asia/Tokyo'") from error


def read_days(
    cells: Sequence[str], where: Callable[[int], str], complain: Callable[[str], None], zone: ZoneInfo | None = None
) -> tuple[list[str], list[str]]:
    """ISO dates, and times of the day by which rows of one date are sorted; "" where a cell is no date.

    A day is that of the timestamp as it is written, or that of ``zone``. All cells are written in one way:

    - year first, as in 2024-01-31, 2024/01/31 or 20240131;
    - year last, as in 31/01/2024 or 01/31/2024, if some cell tells which number is the day;
    - with an English month, as in 31-Jan-2024 or Jan 31, 2024;
    - seconds, milliseconds, microseconds or nanoseconds since 1970.

    Instants in UTC that are not midnight belong to an unknown exchange's unknown day and are refused without ``zone``.

    Args:
        cells: Texts.
        where: From row to "file:line".
        complain: Takes what is wrong.
        zone: The exchange's.

    Example:
        >>> read_days(["2024-01-04 00:00:00+09:00", "2024-01-05"], str, print)
        (['2024-01-04', '2024-01-05'], ['00:00:00', ''])
        >>> read_days(["31/01/2024", "01/02/2024"], str, print)[0]
        ['2024-01-31', '2024-02-01']
        >>> read_days(["1704294000"], str, print, ZoneInfo("Asia/Tokyo"))[0]
        ['2024-01-04']
    """
    rows: dict[str, int] = {}
    for row, cell in enumerate(cells):
        rows.setdefault(cell, row)
    known, problem = _known(list(rows))
    if problem is not None:
        cell, reason = problem
        complain(f"{where(rows[cell])}: {reason}")
        return [""] * len(cells), [""] * len(cells)
    local = {offset for _, _, offset in known.values() if offset is not None} - {"+00:00"}
    london = bool(local) and local <= {"+01:00", "-01:00"}  # whose winter, or summer, is UTC
    days: dict[str, tuple[str, str]] = {}
    for cell, row in rows.items():
        day, time, offset = known.get(cell, ("", "", None))
        if day and not _in_calendar(day):
            complain(f"{where(row)}: the date {cell!r} is not in the calendar")
            day = ""
        elif not day:
            complain(f"{where(row)}: the date is {cell!r}; {EXPECTED}")
        elif offset is not None and zone is not None:
            moment = datetime.fromisoformat(f"{day}T{time or '00:00'}{offset}").astimezone(zone)
            day, time = moment.date().isoformat(), moment.time().isoformat()
        elif offset == "+00:00" and not london and time.strip("0:."):
            complain(
                f"{where(row)}: the date is {cell!r}, an instant in UTC, which is another day at some exchanges; "
                "expected days, or give the exchange's zone, such as zone='Asia/Tokyo'"
            )
            return [""] * len(cells), [""] * len(cells)
        days[cell] = (day, time)
    return [days[cell][0] for cell in cells], [days[cell][1] for cell in cells]


def _in_calendar(day: str) -> bool:
    try:
        np.datetime64(day, "D")
    except ValueError:
        return False
    return True


def _known(cells: list[str]) -> tuple[dict[str, Day], tuple[str, str] | None]:
    """The days of texts, or the text that leaves it open what they are, and why."""
    present = [cell for cell in cells if cell]
    if all(map(DATE.fullmatch, present)):
        return {cell: (cell, "", None) for cell in present}, None
    for form, read in ((COMPACT, _fields), (EPOCH, _epoch), (NAMED, _fields)):
        matches = [form.fullmatch(cell) for cell in present]
        if present and all(matches):
            return {match.string: read(match) for match in matches if match is not None}, None
    year_last = [match for cell in present if (match := YEAR_LAST.fullmatch(cell))]
    if len(year_last) == len(present) > 0:
        day_first = any(int(match["one"]) > 12 for match in year_last)
        month_first = any(int(match["two"]) > 12 for match in year_last)
        first = year_last[0].string
        if day_first == month_first:
            which = "some have the day first, others the month" if day_first else "either number may be the month"
            return {}, (first, f"the date is {first!r}, and {which}; {EXPECTED}")
        names = ("one", "two") if day_first else ("two", "one")
        return {match.string: _day(match, match[names[0]], match[names[1]]) for match in year_last}, None
    return {cell: _fields(match) for cell in present if (match := YEAR_FIRST.fullmatch(cell))}, None


def _fields(match: re.Match[str]) -> Day:
    groups = match.groupdict()
    month, day = groups.get("m") or groups["m2"], groups.get("d") or groups["d2"]
    if month.isalpha():
        found = [number for number, name in enumerate(MONTHS, 1) if name.startswith(month.lower())]
        month = str(found[0]) if len(found) == 1 else ("9" if month.lower() == "sept" else "0")
    return _day(match, day, month)


def _day(match: re.Match[str], day: str, month: str) -> Day:
    groups = match.groupdict()
    clock, half, offset = (groups.get(name) for name in ("clock", "half", "offset"))
    if clock:
        hour, rest = clock.split(":", 1)
        number = int(hour) % 12 + 12 * (half[0] in "Pp") if half else int(hour)
        clock = f"{number:02d}:{rest}"
    if offset:
        offset = "+00:00" if offset in ("Z", "UTC", "GMT") else offset[:3] + ":" + (offset[3:].strip(":") or "00")
        offset = "+00:00" if offset == "-00:00" else offset
    return f"{match['y']}-{int(month):02d}-{int(day):02d}", clock or "", offset or None


def _epoch(match: re.Match[str]) -> Day:
    """Seconds to 2128, and thousands of them, by their size."""
    ticks, unit = int(match["ticks"]), 1
    while ticks // unit >= 5_000_000_000:
        unit *= 1000
    moment = datetime.fromtimestamp(ticks // unit, UTC)
    return moment.date().isoformat(), moment.time().isoformat(), "+00:00"
