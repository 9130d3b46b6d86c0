"""The versions that are tested: the lowest that pyproject.toml allows, and those of every commit."""

import re
import tomllib

from places import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NEEDED = [*PROJECT["dependencies"], *(each for extra in PROJECT["optional-dependencies"].values() for each in extra)]
LOWEST = dict(each.split(">=") for each in NEEDED if not each.startswith("gnnseq["))


def pinned(name):
    lines = re.sub(r" *#.*", "", (ROOT / name).read_text(encoding="utf-8")).split()
    return dict(line.split("==") for line in lines)


def test_the_lowest_versions_allowed_are_the_lowest_tested():
    assert pinned("constraints-lowest.txt") == LOWEST


def test_every_requirement_is_pinned():
    assert pinned("constraints.txt").keys() == LOWEST.keys()
