"""Which columns of a file of contacts are source, target, time and weight."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

from gnnseq.data.contacts.clock import CLOCK, is_date, is_number, is_time, looks_like_epoch, time_of_day

__all__ = ["Columns", "columns_of", "split", "split_all"]

SOURCE = {"source", "src", "from", "sender", "u", "i", "user", "user1", "node1", "person1", "id1"}
TARGET = {"target", "tgt", "to", "dst", "dest", "destination", "receiver", "recipient", "v", "j", "item",
          "user2", "node2", "person2", "id2"}  # fmt: skip
TIME = ("timestamp", "datetime", "unixtime", "unixts", "epoch", "ts", "time", "t", "date", "when", "created",
        "createdat", "sentat", "seconds", "day")  # fmt: skip # the first of several is read
KIND = re.compile(r"(?<=.)(?:node|user|person)?(?:id|name)?$")  # from_id, FromNodeId and the like are from
WEIGHT = {"weight", "weights", "w", "count", "value", "strength", "rating"}
BETWEEN = {None: "blanks", "\t": "tabs", ";": "semicolons", ",": "commas"}
EXPECTED = "source, target, time and perhaps a weight"


@dataclass(frozen=True)
class Columns:
    """Where a line's fields are.

    Attributes:
        delimiter: What is between them; None means blanks.
        width: Fields of a line.
        source: Place of the first name.
        target: Place of the second.
        time: Place of the time.
        weight: Place of the weight, None where every contact weighs 1.
        clock: Place of a time of the day apart from its date, None where there is none.
        heading: The first line's fields, if it is a heading.
        swapped: Whether the weight stands before the time, as only the numbers tell.
    """

    delimiter: str | None
    width: int
    source: int = 0
    target: int = 1
    time: int = 2
    weight: int | None = None
    clock: int | None = None
    heading: tuple[str, ...] | None = None
    swapped: bool = False

    @property
    def unread(self) -> tuple[int, ...]:
        """Places of columns that are not read."""
        read = {self.source, self.target, self.time, self.weight, self.clock}
        return tuple(place for place in range(self.width) if place not in read)

    @property
    def ignored(self) -> tuple[str, ...]:
        """Names of columns that are not read."""
        read = {self.source, self.target, self.time, self.weight, self.clock}
        return tuple(name for place, name in enumerate(self.heading or ()) if place not in read)

    def __str__(self) -> str:
        order = ", with a weight before the time" if self.swapped else "" if self.weight is None else ", with weights"
        return f"{BETWEEN[self.delimiter]} between, {'a heading' if self.heading else 'no heading'}{order}"


def split(line: str, delimiter: str | None) -> list[str]:
    """A line's fields, without the quotes and blanks around them.

    Raises:
        ValueError: A quote does not end, or ends within a field.
    """
    if '"' in line:
        line = line.replace("\t", " ") if delimiter is None else line
        try:
            fields = next(csv.reader([line], delimiter=delimiter or " ", skipinitialspace=True, strict=True))
        except csv.Error as error:
            raise ValueError(f"quotes of {line.strip()[:60]!r} ({error}); expected them around a whole field, and "
                             'doubled inside of it: "Ann ""Lee"" Day"') from None  # fmt: skip
        return [field.strip() for field in fields if field or delimiter is not None]
    return line.split() if delimiter is None else [field.strip() for field in line.split(delimiter)]


def split_all(lines: Sequence[str], delimiter: str | None) -> list[list[str]]:
    """The fields of lines, as :func:`split` cuts them, some hundred thousand lines a second."""
    if any('"' in line for line in lines):
        return [split(line, delimiter) for line in lines]
    if delimiter is None:
        return list(map(str.split, lines))
    return [list(map(str.strip, line.split(delimiter))) for line in lines]


def columns_of(first: str, second: str | None, heading: bool | None) -> Columns:
    """The columns, from the first line, and the second where the first is a heading.

    Args:
        first: The first line that is no comment.
        second: The next one, if any.
        heading: Whether the first is a heading, None for what it says itself.

    Raises:
        ValueError: It holds no contact, and is no heading either; the message names neither file nor line.
    """
    bare = re.sub(r'"[^"]*"', "", first)
    delimiter = next((mark for mark in ("\t", ";", ",") if mark in bare), None)
    fields = split(first, delimiter)
    words = [re.sub(r"[^a-z0-9]", "", field.lower()) for field in fields]
    ends = SOURCE | TARGET
    words = [KIND.sub("", word) if KIND.sub("", word) in ends and word not in ends else word for word in words]
    known = [sum(word in names for word in words) for names in (SOURCE, TARGET, TIME)]
    told = heading
    if heading is None:
        heading = not any(is_time(field) for field in fields) and (known[2] > 0 or min(known[:2]) > 0)
    if not heading:
        return _by_place(fields, delimiter)
    found: dict[str, int] = {}
    times = sorted((place for place, word in enumerate(words) if word in TIME), key=lambda at: TIME.index(words[at]))
    if times:
        found["time"] = times[0]
    for name, among in (("source", SOURCE), ("target", TARGET), ("weight", WEIGHT)):
        places = [place for place, word in enumerate(words) if word in among and place not in found.values()]
        if places:
            found[name] = places[0]
    left = [place for place in range(len(fields)) if place not in found.values() and place not in times]
    lacking = [name for name in ("source", "target", "time") if name not in found and (name != "time" or told)]
    if lacking and len(left) == len(lacking):  # what has no known name, in the usual order
        found.update(zip(lacking, left, strict=True))
    if not {"source", "target", "time"} <= found.keys():
        raise ValueError(f"a heading {first.strip()[:60]!r}; expected columns called source, target and time")
    try:
        body = None if second is None else split(second, delimiter)
    except ValueError:  # it is said where that line is read
        body = None
    clock = _clock(times, body) if body is not None and len(body) == len(fields) else None
    if clock is not None:
        found["time"] = clock[0]
        return Columns(delimiter, len(fields), found["source"], found["target"], clock[0], found.get("weight"),
                       clock[1], tuple(fields))  # fmt: skip
    if body is not None and len(body) == len(fields) + 1 and time_of_day(body, found["time"]):
        shift = {name: place + (place > found["time"]) for name, place in found.items()}
        return Columns(delimiter, len(body), shift["source"], shift["target"], shift["time"], shift.get("weight"),
                       found["time"] + 1,
                       (*fields[: found["time"] + 1], "", *fields[found["time"] + 1 :]))  # fmt: skip
    return Columns(delimiter, len(fields), found["source"], found["target"], found["time"], found.get("weight"),
                   heading=tuple(fields))  # fmt: skip


def _clock(times: list[int], body: list[str]) -> tuple[int, int] | None:
    """Places of a date and of its time of the day, where a heading has a column for each."""
    dates = [place for place in times if is_date(body[place])]
    clocks = [place for place in times if CLOCK.fullmatch(body[place])]
    return (dates[0], clocks[0]) if dates and clocks else None


def _by_place(fields: list[str], delimiter: str | None) -> Columns:
    """Columns without a heading: source, target, time, weight; or weight before time, where the numbers say so."""
    if fields and not fields[-1] and delimiter is not None:  # lines that end with a delimiter
        fields = fields[:-1]
        trailing = 1
    else:
        trailing = 0
    width = len(fields) + trailing
    clock = 3 if time_of_day(fields, 2) else None
    rest = 4 if clock else 3
    if len(fields) < 3 or len(fields) > rest + 1:
        raise ValueError(f"{len(fields)} columns, {' '.join(fields)[:60]!r}; expected {EXPECTED}: other columns need a "
                         "heading that says which they are")  # fmt: skip
    if len(fields) == 4 and clock is None and is_number(fields[2]) and not looks_like_epoch(fields[2]) and (
        looks_like_epoch(fields[3]) or is_date(fields[3])
    ):  # fmt: skip
        return Columns(delimiter, width, time=3, weight=2, swapped=True)
    if not is_time(fields[2]):
        raise ValueError(f"time {fields[2][:40]!r}; expected {EXPECTED}: seconds, milliseconds or a date such as "
                         "2004-04-15 10:56:01; or a heading that names the columns")  # fmt: skip
    return Columns(delimiter, width, weight=rest if len(fields) > rest else None, clock=clock)
