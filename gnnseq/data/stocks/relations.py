"""Relations among stocks as a typed graph: from a sector table, a group JSON, an edge list, or correlations.

Letters: N stocks, E edges, R types of relation.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gnnseq.data.stocks.prices import read_utf8

__all__ = ["Relations", "join", "load_relations", "nearest"]

NO_GROUP = {"", "n/a", "na", "nan", "none", "other", "unknown"}  # two stocks of no known group are not related by it
TICKER, GROUP = ("ticker", "symbol"), ("sector", "industry", "group")


@dataclass(frozen=True, eq=False)
class Relations:
    """Directed edges, each of one or more types.

    Attributes:
        edge_index: Sources and targets; a symmetric relation has both directions. Sorted by target, then source. [2, E]
        types: Which types hold on an edge, 1 where one does (multi-hot). [E, R]
        names: Of the types. [R]
        left_out: Tickers that the file names and the prices lack.

    Example:
        >>> graph = from_groups({"energy": ["XOM", "CVX"]}, ["AAPL", "CVX", "XOM"])
        >>> graph.edge_index.tolist(), graph.types.tolist(), graph.names
        ([[2, 1], [1, 2]], [[1.0], [1.0]], ('energy',))
    """

    edge_index: Tensor
    types: Tensor
    names: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    @property
    def num_edges(self) -> int:
        """E."""
        return self.edge_index.size(1)


def load_relations(path: str | Path, tickers: Sequence[str]) -> Relations:
    """Relations from whichever of these ``path`` is.

    - ``.json``: an object from group to list of tickers. All members of a group are related, each group is a type.
    - ``.csv`` or ``.tsv`` with a column "ticker" or "symbol" and one "sector", "industry" or "group": the same.
    - ``.csv`` or ``.tsv`` with columns "source", "target" and, if there are types, "type": directed edges.
    - ``.npz``: a packed panel's ``wiki_edge_index`` [2, E], indices of **its** ``tickers``, and ``wiki_edge_type`` [E].

    Tickers may begin with a $. Those that the prices lack are left out and named in the result.

    Args:
        path: The file.
        tickers: Of the prices; their order numbers the stocks.

    Raises:
        ValueError: The form is unknown, a line is wrong, or no edge is left.
        FileNotFoundError: There is no such file.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file; expected relations there")
    if path.suffix == ".json":
        relations = from_groups(_groups_json(path), tickers)
    elif path.suffix in (".csv", ".tsv"):
        relations = _table(path, tickers)
    elif path.suffix == ".npz":
        relations = _packed(path, tickers)
    else:
        raise ValueError(f"{path}: form {path.suffix!r} is unknown; expected .json, .csv, .tsv or .npz")
    if relations.num_edges == 0:
        raise ValueError(f"{path}: relates no two of the {len(tickers)} tickers that have prices")
    return relations


def from_groups(groups: Mapping[str, Iterable[str]], tickers: Sequence[str]) -> Relations:
    """All members of a group are related to each other; every group is a type of its own."""
    listed = set(tickers)
    triples: list[tuple[str, str, str]] = []
    unknown: set[str] = set()
    for name, members in groups.items():
        if name.strip().lower() in NO_GROUP:
            continue
        members = list(members)
        known = [member for member in members if member in listed]
        unknown |= set(members) - listed
        triples += [(one, other, name) for one in known for other in known if one != other]
    return from_triples(triples, tickers, unknown)


def from_triples(
    triples: Iterable[tuple[str, str, str]], tickers: Sequence[str], left_out: Iterable[str] = ()
) -> Relations:
    """Edges from (source, target, type); several types of one edge are joined, loops are dropped."""
    numbers = {ticker: number for number, ticker in enumerate(tickers)}
    unknown = set(left_out)
    held: dict[tuple[int, int], set[str]] = {}
    for source, target, name in triples:
        absent = {source, target} - numbers.keys()
        unknown |= absent
        if not absent and source != target:
            held.setdefault((numbers[target], numbers[source]), set()).add(name)
    names = sorted({name for types in held.values() for name in types})
    columns = {name: column for column, name in enumerate(names)}
    edges = {edge: [columns[name] for name in types] for edge, types in held.items()}
    return _relations(edges, tuple(names), tuple(sorted(unknown)))


def nearest(returns: NDArray[np.float64], k: int) -> Relations:
    """Each stock and the k whose returns correlate most with its own, in both directions.

    Args:
        returns: Of the **training part** only, or the graph knows what comes later; NaN where missing. [T, N]
        k: Neighbours of a stock, before the edges are made symmetric.

    Raises:
        ValueError: k is not from 1 to N - 1.

    Example:
        >>> a, b = np.random.default_rng(0).normal(size=(2, 100))
        >>> nearest(np.stack([a, b, a + 0.1 * b], axis=1), k=1).edge_index.tolist()
        [[2, 2, 0, 1], [0, 1, 2, 2]]
    """
    stocks = returns.shape[1]
    if not 1 <= k < stocks:
        raise ValueError(f"k={k}; expected 1 to {stocks - 1}, fewer than there are stocks")
    present = ~np.isnan(returns)
    means = np.where(present, returns, 0.0).sum(0) / np.maximum(present.sum(0), 1)
    centred = np.where(present, returns - means, 0.0)  # a missing day counts as an ordinary one
    norms = np.sqrt((centred**2).sum(0))
    correlation = centred.T @ centred / np.maximum(np.outer(norms, norms), 1e-300)
    np.fill_diagonal(correlation, -np.inf)
    closest = np.argsort(-correlation, axis=1, kind="stable")[:, :k]
    pairs = {(stock, int(other)) for stock in range(stocks) for other in closest[stock]}
    edges = pairs | {(other, stock) for stock, other in pairs}
    return _relations({edge: [0] for edge in edges}, ("correlation",), ())


def join(several: Sequence[Relations]) -> Relations:
    """All edges and all types; an edge that several name has the types of all."""
    if len(several) == 1:
        return several[0]
    held: dict[tuple[int, int], list[int]] = {}
    names: list[str] = []
    for relations in several:
        for (source, target), row in zip(relations.edge_index.t().tolist(), relations.types, strict=True):
            held.setdefault((target, source), []).extend(len(names) + int(column) for column in row.nonzero())
        names += relations.names
    left_out = sorted({ticker for relations in several for ticker in relations.left_out})
    return _relations(held, tuple(names), tuple(left_out))


def _relations(
    held: Mapping[tuple[int, int], list[int]], names: tuple[str, ...], left_out: tuple[str, ...]
) -> Relations:
    """From (target, source) to the types that hold."""
    edges = sorted(held)
    rows = [row for row, edge in enumerate(edges) for _ in held[edge]]
    types = torch.zeros(len(edges), len(names))
    types[rows, [column for edge in edges for column in held[edge]]] = 1.0
    edge_index = torch.tensor(edges, dtype=torch.long).view(-1, 2).t().flip(0).contiguous()
    return Relations(edge_index, types, names, left_out)


def _once(path: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{path}: the group {twice!r} is there more than once; expected it once, with all its members")
    return found


def _groups_json(path: Path) -> dict[str, list[str]]:
    try:
        groups = json.loads(read_utf8(path), object_pairs_hook=partial(_once, path))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}:{error.lineno}: not JSON ({error.msg})") from error
    if not isinstance(groups, dict) or not all(
        isinstance(members, list) and all(isinstance(member, str) for member in members) for members in groups.values()
    ):
        raise ValueError(f"{path}: expected an object from group to list of tickers")
    return {name: [member.strip().lstrip("$") for member in members] for name, members in groups.items()}


def _table(path: Path, tickers: Sequence[str]) -> Relations:
    reader = csv.reader(io.StringIO(read_utf8(path), newline=""), delimiter="\t" if path.suffix == ".tsv" else ",")
    header = [name.strip().lower() for name in next(reader, [])]
    rows: list[dict[str, str]] = []
    for cells in reader:
        if cells and len(cells) != len(header):
            wrong = f"{len(cells)} cells; expected {len(header)}, as in the header"
            raise ValueError(f"{path}:{reader.line_num}: {wrong}")
        if cells:
            rows.append(dict(zip(header, (cell.strip().lstrip("$") for cell in cells), strict=True)))
    ticker = next((name for name in header if name in TICKER), None)
    group = next((name for name in header if name in GROUP), None)
    if ticker is not None and group is not None:
        groups: dict[str, list[str]] = {}
        for row in rows:
            groups.setdefault(row[group], []).append(row[ticker])
        return from_groups(groups, tickers)
    if "source" in header and "target" in header:
        return from_triples(((row["source"], row["target"], row.get("type", "related")) for row in rows), tickers)
    raise ValueError(
        f"{path}:1: the header is {', '.join(header)!r}; expected a ticker (or symbol) and a sector (or industry, "
        "group), or source, target and type"
    )


def _packed(path: Path, tickers: Sequence[str]) -> Relations:
    with np.load(path, allow_pickle=False) as file:
        missing = {"tickers", "wiki_edge_index", "wiki_edge_type"} - set(file.files)
        if missing:
            raise ValueError(f"{path}: has {', '.join(file.files)}; expected also {', '.join(sorted(missing))}")
        own = [str(ticker) for ticker in file["tickers"]]
        edges, kinds = file["wiki_edge_index"], file["wiki_edge_type"]
    if edges.ndim != 2 or edges.shape[0] != 2 or kinds.shape != edges.shape[1:]:
        raise ValueError(f"{path}: edges {edges.shape} and types {kinds.shape}; expected [2, E] and [E]")
    if edges.size and (edges.min() < 0 or edges.max() >= len(own)):
        raise ValueError(f"{path}: an edge names stock {edges.max()}; expected 0 to {len(own) - 1}")
    triples = ((own[i], own[j], f"wiki {kind:02d}") for (i, j), kind in zip(edges.T.tolist(), kinds, strict=True))
    return from_triples(triples, tickers)
