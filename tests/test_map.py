"""The map in CONTRIBUTING.md is that of the tree: nothing on it is missing, and nothing is missing on it."""

import re

from places import ROOT

# Folders whose every module is on the map; of others, the folder is.
OPEN = ("gnnseq", "gnnseq/schedule", "gnnseq/kernels", "gnnseq/layers", "gnnseq/reach", "benchmarks/harness")
FOLDERS = ("gnnseq", "gnnseq/data", "gnnseq/kernels", "benchmarks", "benchmarks/studies", "tests")
LEFT_OUT = {"__init__.py", "__pycache__", "py.typed"}


def mapped():
    """Every path on the map, by its indentation."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    block = re.search(r"^```\n(gnnseq/ .*?)^```$", text, flags=re.DOTALL | re.MULTILINE)[1]
    paths, above = [], []
    for line in block.splitlines():
        name = line.split()[0]
        depth = (len(line) - len(line.lstrip())) // 2
        above[depth:] = [name]
        paths.append("".join(above).rstrip("/"))
    return paths


def test_everything_on_the_map_is_there():
    assert [path for path in mapped() if not (ROOT / path).exists()] == []


def test_every_place_is_on_the_map_once():
    paths = mapped()
    assert len(set(paths)) == len(paths)
    there = [path for folder in OPEN for path in (ROOT / folder).glob("*.py")]
    there += [path for folder in FOLDERS for path in (ROOT / folder).iterdir() if path.is_dir()]
    wanted = {path.relative_to(ROOT).as_posix() for path in there if path.name not in LEFT_OUT}
    assert wanted - set(paths) == set()
