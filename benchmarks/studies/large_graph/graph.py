"""A graph in files that are mapped, not read.

Letters: N nodes, E edges, F features.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gnnseq.kernels.adjacency import CSR
from gnnseq.sampler.rows import Rows
from harness.files import read_json, write_json

__all__ = ["LargeGraph", "store"]

Array = npt.NDArray[Any]
PARTS = ("training", "validation", "test")


@dataclass(frozen=True)
class LargeGraph:
    """A graph, its tensors mapped from files.

    Attributes:
        indptr: Where each target's edges begin. int32 [N + 1]
        indices: Their sources. int32 [E]
        x: Features. [N, F]
        y: Labels, -1 where unknown. [N]
        part: 0 training, 1 validation, 2 test, 3 none of them. [N]
        about: What is known of it, as JSON values.
    """

    indptr: Tensor
    indices: Tensor
    x: Tensor
    y: Tensor
    part: Tensor
    about: dict[str, Any]

    @property
    def num_nodes(self) -> int:
        """N."""
        return self.y.numel()

    @property
    def csr(self) -> CSR:
        """Rows by target, in the order in which they lie."""
        return CSR(self.indptr, self.indices, torch.empty(0, dtype=torch.int32))

    def nodes(self, part: int) -> Tensor:
        """The nodes of a part."""
        return (self.part == part).nonzero().view(-1)

    def edge_index(self) -> Tensor:
        """All edges, which takes 16 bytes each. [2, E]"""
        target = torch.repeat_interleave(torch.arange(self.num_nodes), self.indptr.long().diff())
        return torch.stack([self.indices.long(), target])

    @staticmethod
    def load(folder: Path) -> "LargeGraph":
        """What :func:`store` wrote; pages that are written to are this process's own."""
        about = read_json(folder / "about.json")
        names = ("indptr", "indices", "y", "part")
        arrays = {name: torch.from_numpy(np.load(folder / f"{name}.npy", mmap_mode="c")) for name in names}
        x = np.load(about["features"] or folder / "x.npy", mmap_mode="c")
        return LargeGraph(x=torch.from_numpy(x), about=about, **arrays)


def store(
    folder: Path, edge_index: Tensor, x: Array | Path | None, y: Array, part: Array | None, about: dict[str, Any]
) -> None:
    """Writes a graph; ``about.json`` comes last, so that what is whole has one.

    Args:
        folder: Where to.
        edge_index: Edges, both directions where it is undirected. [2, E]
        x: Features [N, F]; an .npy of them stays where it is; None of them if they are in the folder already.
        y: Labels. [N]
        part: See :class:`LargeGraph`; a tenth for training, a tenth for validation and the rest for test if None. [N]
        about: What is known of it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    num_nodes = len(y)
    rows = Rows.of(edge_index, num_nodes)
    size = edge_index.size(1)
    if part is None:
        drawn = np.random.default_rng(1).random(num_nodes)
        part = np.where(drawn < 0.1, 0, np.where(drawn < 0.2, 1, 2))
        part[y < 0] = 3
    np.save(folder / "indptr.npy", rows.indptr.numpy())
    np.save(folder / "indices.npy", rows.indices.numpy())
    np.save(folder / "y.npy", y.astype(np.int64))
    np.save(folder / "part.npy", part.astype(np.int8))
    if isinstance(x, np.ndarray):
        np.save(folder / "x.npy", x.astype(np.float32))
    counted = {name: int((part == number).sum()) for number, name in enumerate(PARTS)}
    width = np.load(x if isinstance(x, Path) else folder / "x.npy", mmap_mode="r").shape[1]
    write_json(folder / "about.json", {
        "nodes": num_nodes, "width": width, "edges": size, "classes": int(y.max()) + 1, **counted,
        "features": str(x.resolve()) if isinstance(x, Path) else "", **about,
    })  # fmt: skip
