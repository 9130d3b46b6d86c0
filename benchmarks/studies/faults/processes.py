"""Threads, forks, first builds at once, homes that cannot be written, no compiler, disks that are full."""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

from gnnseq.kernels.native import build
from gnnseq.layers import GCN, GRU, LSTM
from gnnseq.plots import save_figure
from gnnseq.reach import receptive_field, write_page
from gnnseq.schedule import packed_paths, topological
from harness.files import write_json
from studies.faults.children import attempt_all

__all__ = ["try_processes"]

Trial = tuple[str, int, list[str]]
MANY = 8
TRAIN = """
import torch
from gnnseq.kernels.native import library
from gnnseq.layers import LSTM
from gnnseq.schedule import packed_paths
layer, x = LSTM(4, 64), torch.randn(600, 4)
layer(x, packed_paths([200] * 3))[0].sum().backward()
print("compiled" if library() else "torch's")
"""


def _graphs() -> list[tuple[Any, torch.Tensor, Any]]:
    """Layers that several threads share, with a graph for each."""
    work = []
    for layer in (LSTM(4, 32), GRU(4, 32)):
        for number in range(MANY):
            nodes = 200 + 10 * number
            edges = torch.stack([torch.arange(nodes - 1), torch.arange(1, nodes)])
            graph = packed_paths([nodes]) if number % 2 else topological(torch.cat([edges, edges[:, ::2]], 1), nodes)
            work.append((layer, torch.randn(nodes, 4), graph))
    return work


def _threads() -> Trial:
    work = _graphs()
    expected = [layer(x, graph)[0] for layer, x, graph in work]
    fell, tries = [], 20
    with ThreadPoolExecutor(MANY) as pool:
        for _ in range(tries):
            found = pool.map(lambda each: each[0](each[1], each[2])[0], work)
            fell += ["other bits" for h, other in zip(found, expected, strict=True) if not torch.equal(h, other)]
    return "one layer in 8 threads, each with its graph: the same bits", tries * len(work), fell


def _forks() -> Trial:
    work = _graphs()
    expected = [layer(x, graph)[0] for layer, x, graph in work]

    def again(number: int) -> tuple[str, str]:
        layer, x, graph = work[number % len(work)]
        return ("right" if torch.equal(layer(x, graph)[0], expected[number % len(work)]) else "other bits"), ""

    outcomes = [attempt_all([number], again)[0] for number in range(2 * len(work))]
    return "forked after use: the same bits", len(outcomes), [each.what for each in outcomes if each.what != "right"]


def _at_once() -> Trial:
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        return "8 first builds at once make one library", 0, []
    with tempfile.TemporaryDirectory() as folder:
        count = Path(folder, "count")
        script = Path(folder, "counting")
        script.write_text(f'#!/bin/sh\ncase "$*" in *cells0.o*) echo >> {count};; esac\nexec {compiler} "$@"\n')
        script.chmod(0o755)
        os.environ |= {"CC": str(script), "XDG_CACHE_HOME": folder}
        children = []
        for _ in range(MANY):
            child = os.fork()
            if child == 0:
                os._exit(0 if build.library.__wrapped__() is not None else 1)
            children.append(child)
        fell = ["no library" for child in children if os.waitpid(child, 0)[1] != 0]
        if count.read_text().count("\n") > 2:  # compiled, and linked
            fell.append("compiled more than once")
    del os.environ["CC"], os.environ["XDG_CACHE_HOME"]
    return "8 first builds at once make one library", MANY, fell


def _places() -> Trial:
    """Where there is no compiler, or a home or cache that cannot be written to."""
    fell, expected = [], {"no compiler": "torch's"}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "file")
        file.touch()
        cases = {
            "no compiler": {"CC": "no-such-compiler"},
            "a home that is no folder": {"HOME": str(file), "XDG_CACHE_HOME": ""},
            "a home that is not there": {"HOME": "/nowhere/at/all", "XDG_CACHE_HOME": ""},
            "a cache that is no folder": {"XDG_CACHE_HOME": str(file)},
            "temporary files nowhere": {"TMPDIR": "/nowhere/at/all", "XDG_CACHE_HOME": folder},
        }
        for name, environment in cases.items():
            command = [sys.executable, "-W", "error::RuntimeWarning", "-c", TRAIN]
            made = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
            wanted = expected.get(name, "compiled" if shutil.which("cc") and sys.platform == "linux" else "torch's")
            if made.returncode or made.stdout.strip() != wanted:
                fell.append(f"{name}: exit code {made.returncode}, {made.stdout.strip()}")
    return "no compiler, no home, no cache: it runs, compiled where it can be", len(cases), fell


def _writers(folder: Path) -> list[tuple[Path, Callable[[int], object]]]:
    """Of each kind of file that is written its path, and what writes one that is larger, the larger its number."""
    x, edges = torch.zeros(3, 3), torch.tensor([[0, 1], [1, 2]])
    field = receptive_field(GCN(3, 3), x, edges)

    def picture(number: int) -> object:
        figure = Figure()
        figure.add_subplot(title=str(number))
        return save_figure(figure, folder / "figure", ["svg"])

    return [
        (folder / "result.json", lambda number: write_json(folder / "result.json", ["x" * 4096 * (1 + number)])),
        (folder / "figure.svg", picture),
        (folder / "page.html", lambda number: write_page({"GCN": field}, folder / "page.html", title=str(number))),
    ]


def _full() -> Trial:
    """A limit on the size of files, as of a full disk: the file from before is whole, and the next one is written."""
    fell, sizes = [], (0, 4000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with tempfile.TemporaryDirectory() as folder:
        writers = _writers(Path(folder))
        for path, write in writers:
            write(0)
            for size in sizes:
                before, said = path.read_bytes(), ""
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
                try:
                    write(1)
                except OSError as error:
                    said = str(error)
                finally:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
                if str(path) not in said or "make room" not in said:
                    fell.append(f"{path.name}, {size}: {said or 'no error'}")
                if path.read_bytes() != before or any(each.name.startswith(".") for each in path.parent.iterdir()):
                    fell.append(f"{path.name}, {size}: the file from before, or nothing else, is not what is there")
            write(1)
            if path.read_bytes() == before:
                fell.append(f"{path.name}: not written once there was room")
    tried = len(writers) * len(sizes)
    return "a full disk: an error with the remedy, and the file from before is whole", tried, fell


def try_processes(settings: Any) -> list[Trial]:
    """A row for each."""
    return [_threads(), _forks(), _at_once(), _places(), _full()]
