"""The user's graph: arrays in files, or a folder of OGB's, read from disk.

Letters: N nodes, E edges, F features.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy.sparse import load_npz

from gnnseq.data.packed import DAMAGED, read_arrays
from studies.large_graph.graph import store

__all__ = ["own_graph"]

Array = npt.NDArray[Any]
PARTS = ("train", "valid", "test")


def own_graph(folder: Path, graph: Path, features: Path | None, labels: Path | None, directed: bool) -> None:
    """Writes the user's graph into a folder, checked.

    Args:
        folder: Where to.
        graph: Edges, or a folder of OGB's.
        features: Rows of features; an .npy stays where it is, and is mapped.
        labels: Whole numbers, -1 or NaN where unknown.
        directed: Whether edges keep their directions.

    Raises:
        ValueError: If a file is none of what it should be; with its name.
        FileNotFoundError: If one is missing.
    """
    part = None
    if graph.is_dir():
        edges_from = _one_of(graph, "edge.csv", "edge.csv.gz")
        labels = labels or _one_of(graph, "node-label.csv", "node-label.csv.gz")
        features = features or _one_of(graph, "node-feat.csv", "node-feat.csv.gz")
    else:
        edges_from = graph
    assert features is not None
    assert labels is not None
    y = _labels(labels)
    x, num_nodes = _features(features), len(y)
    if len(x) != num_nodes:
        raise ValueError(f"{features}: {len(x)} rows for {num_nodes} labels in {labels}; expected one each a node")
    if graph.is_dir():
        part = _split(graph, y)
    edges = _csv(edges_from).T if graph.is_dir() else _edges(graph, num_nodes)
    edge_index = _checked(edges_from, edges, num_nodes, directed)
    about = {"name": graph.stem or graph.name, "directed": directed}
    is_mapped = features.suffix == ".npy" and x.dtype == np.float32
    store(folder, torch.from_numpy(edge_index), features if is_mapped else x, y, part, about)


def _one_of(folder: Path, *names: str) -> Path:
    """A file of OGB's, in the folder or in its raw/."""
    for place in (folder, folder / "raw"):
        for name in names:
            if (place / name).is_file():
                return place / name
    raise FileNotFoundError(f"{folder}: neither it nor its raw/ holds {names[0]} or {names[-1]}, as OGB's folders do")


def _csv(path: Path, row_a_node: bool = False) -> Array:
    """Numbers in rows, without a heading; an empty line says nothing, or of a node that its number is missing."""
    try:
        table = pd.read_csv(path, header=None, skip_blank_lines=not row_a_node)
    except (ValueError, EOFError, OSError, UnicodeDecodeError, pd.errors.ParserError) as error:
        raise ValueError(f"{path}: {error}; expected numbers between commas, without a heading") from error
    words = [column for column in table if table[column].dtype.kind not in "iuf"]
    if words:
        raise ValueError(f"{path}: column {words[0]} holds {table[words[0]].iloc[0]!r}; expected numbers, without a "
                         "heading")  # fmt: skip
    array: Array = table.to_numpy()
    return array


def _array(path: Path, name: str) -> Array:
    """The array of an .npy, or the one of an .npz under a name, or alone."""
    if path.suffix not in (".npy", ".npz"):
        raise ValueError(f"{path}: expected .npy or .npz")
    found = read_arrays(path, "no whole file of NumPy's arrays of numbers")
    if "" in found:
        return found[""]
    if name not in found and len(found) != 1:
        raise ValueError(f"{path} holds {', '.join(found)}; expected an array {name}")
    return found[name] if name in found else next(iter(found.values()))


def _edges(path: Path, num_nodes: int) -> Array:
    """Sources above targets."""
    if path.suffix == ".npz" and {"format", "shape"} <= set(read_arrays(path, "no whole .npz")):
        try:
            matrix = load_npz(path).tocoo()
        except DAMAGED as error:
            raise ValueError(f"{path}: {error}; expected a matrix as scipy.sparse.save_npz writes it") from error
        if matrix.shape != (num_nodes, num_nodes):
            raise ValueError(f"{path} is a matrix of shape {matrix.shape} for {num_nodes} labels; expected a row and a "
                             "column a node")  # fmt: skip
        return np.stack([matrix.col, matrix.row])  # a row is a target, as in torch_geometric
    edges = _array(path, "edge_index")
    if edges.ndim != 2 or 2 not in edges.shape:
        raise ValueError(f"{path} has shape {list(edges.shape)}; expected [2, E] or [E, 2]")
    return edges if len(edges) == 2 else edges.T


def _checked(path: Path, edges: Array, num_nodes: int, directed: bool) -> Array:
    """Edges without doubles, and with their reverses unless directed. int64 [2, E]"""
    if edges.dtype.kind not in "iu":
        whole = edges.astype(np.int64) if edges.dtype.kind == "f" and np.isfinite(edges).all() else None
        if whole is None or (whole != edges).any():
            raise ValueError(f"{path} has type {edges.dtype}; expected whole numbers of nodes")
        edges = whole
    if edges.ndim != 2 or len(edges) != 2:
        raise ValueError(f"{path} has shape {list(edges.T.shape)}; expected two columns, source and target")
    edges = edges.astype(np.int64)
    if edges.size and (edges.min() < 0 or edges.max() >= num_nodes):
        wrong = edges.min() if edges.min() < 0 else edges.max()
        raise ValueError(f"{path} holds node {wrong}; expected 0..{num_nodes - 1}, one a label")
    if not directed:
        edges = np.concatenate([edges, edges[::-1]], axis=1)
    key = np.unique(edges[1] * num_nodes + edges[0])
    return np.stack([key % num_nodes, key // num_nodes])


def _features(path: Path) -> Array:
    """Numbers of any type that are finite as float32, which networks read. [N, F]"""
    if path.suffix == ".npy":
        try:
            x = np.load(path, mmap_mode="r")
        except (ValueError, EOFError, OSError) as error:
            raise ValueError(f"{path}: {error}; expected a whole .npy of numbers") from error
    else:
        x = _csv(path, row_a_node=True) if path.name.endswith((".csv", ".csv.gz")) else _array(path, "x")
    if x.ndim != 2 or x.dtype.kind not in "fiu" or x.shape[1] == 0:
        raise ValueError(f"{path} has shape {list(x.shape)} and type {x.dtype}; expected numbers [N, F]")
    for first in range(0, len(x), 1 << 16):  # a mapped file goes through memory in parts
        with np.errstate(over="ignore"):
            bad = ~np.isfinite(x[first : first + (1 << 16)].astype(np.float32)).all(1)
        if bad.any():
            raise ValueError(f"{path}: row {first + int(bad.argmax())} holds a number that is not finite, or not as a "
                             "float32; mend or drop it")  # fmt: skip
    array: Array = x
    return array


def _labels(path: Path) -> Array:
    """One a node, -1 where unknown. int64 [N]"""
    y = _csv(path, row_a_node=True) if path.name.endswith((".csv", ".csv.gz")) else _array(path, "y")
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y.ndim != 1 or len(y) == 0 or y.dtype.kind not in "fiu":
        raise ValueError(f"{path} has shape {list(y.shape)} and type {y.dtype}; expected a whole number a node")
    known = np.where(np.isnan(y), -1, y) if y.dtype.kind == "f" else y
    whole: Array = np.clip(known, -1, 2**31).astype(np.int64)
    if (whole != known).any() or whole.max() < 1 or whole.max() >= 10_000:
        raise ValueError(f"{path}: labels from {known.min()} to {known.max()}; expected whole numbers from 0 on, of "
                         "two classes or more, and -1 or NaN where unknown")  # fmt: skip
    return whole


def _split(folder: Path, y: Array) -> Array | None:
    """OGB's split, the first there is; None without one."""
    base = folder if (folder / "split").is_dir() else folder.parent
    found = sorted(path.parent for path in (base / "split").glob("*/train.csv*"))
    if not found:
        return None
    part = np.full(len(y), 3)
    for number, name in enumerate(PARTS):
        path = _one_of(found[0], f"{name}.csv", f"{name}.csv.gz")
        table = _csv(path)
        nodes = table[:, 0]
        is_list = table.shape[1] == 1 and len(nodes) > 0 and nodes.dtype.kind in "iu"
        if not is_list or nodes.min() < 0 or nodes.max() >= len(y) or (part[nodes] != 3).any():
            raise ValueError(f"{path}: expected nodes of 0..{len(y) - 1}, a whole number a line, each in one part")
        part[nodes] = number
    part[y < 0] = 3
    return part
