"""Relations among stocks as a typed graph: from a sector table, a group JSON, an edge list, or correlations.

Letters: N stocks, E edges, R types of relation.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gnnseq.data.packed import read_arrays
from gnnseq.data.stocks.relation_tables import GIVEN, read_relation_table
from gnnseq.data.stocks.tables import read_utf8

__all__ = ["Relations", "join", "load_relations", "nearest"]

NO_GROUP = {"", "n/a", "na", "nan", "none", "other", "unknown"}  # two stocks of no known group are not related by it


@dataclass(frozen=True, eq=False)
class Relations:
    """Directed edges, each of one or more types.

    Attributes:
        edge_index: Sources and targets; a symmetric relation has both directions. Sorted by target, then source. [2, E]
        types: Which types hold on an edge, 1 where one does (multi-hot), or its weight where the file gives one. [E, R]
        names: Of the types. [R]
        left_out: Tickers that the file names and the prices lack.
        edge_weight: Of each edge the largest of its types' weights; None where all are 1. [E]

    Example:
        >>> graph = from_groups({"energy": ["XOM", "CVX"]}, ["AAPL", "CVX", "XOM"])
        >>> graph.edge_index.tolist(), graph.types.tolist(), graph.names
        ([[2, 1], [1, 2]], [[1.0], [1.0]], ('energy',))
    """

    edge_index: Tensor
    types: Tensor
    names: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    edge_weight: Tensor | None = None

    @property
    def num_edges(self) -> int:
        """E."""
        return self.edge_index.size(1)


def load_relations(path: str | Path, tickers: Sequence[str], *, columns: Mapping[str, str] | None = None) -> Relations:
    r"""Relations from whichever of these ``path`` is.

    - ``.json``: an object from group to list of tickers. All members of a group are related, each group is a type.
    - A table, ``.csv``, ``.tsv`` or ``.parquet``, with a column "ticker" or "symbol" and **one** of sectors, industries
      or groups: the same. Where there are several, ``columns`` says which.
    - A table with columns "source", "target" and, if there are, "type" and "weight": directed edges. Weights are
      positive, and 0 is no edge; they stand in ``types`` in place of 1.
    - ``.npz``: a packed panel's ``wiki_edge_index`` [2, E], indices of **its** ``tickers``, and ``wiki_edge_type`` [E].

    Tickers may begin with a $, and may differ from those of the prices in case. Those that the prices lack are left out
    and named in the result.

    Args:
        path: The file.
        tickers: Of the prices; their order numbers the stocks.
        columns: Names of a table's columns of ``"ticker"``, ``"group"``, ``"source"``, ``"target"``, ``"type"`` and
            ``"weight"``, where theirs do not tell.

    Raises:
        ValueError: The form is unknown, a line is wrong, or no edge is left; then it names a ticker of each side.
        FileNotFoundError: There is no such file.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "sectors.csv"
        >>> _ = path.write_text("Symbol,Sector,Industry\nXOM,Energy,Oil\nCVX,Energy,Oil\nNEE,Energy,Power\n")
        >>> load_relations(path, ["XOM", "CVX", "NEE"], columns={"group": "Industry"}).edge_index.tolist()
        [[1, 0], [0, 1]]
    """
    path, given = Path(path), dict(columns or {})
    if unknown := given.keys() - set(GIVEN):
        raise ValueError(f"columns: got {', '.join(sorted(unknown))}; expected some of {', '.join(GIVEN)}")
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file; expected relations there")
    suffix = path.suffix.lower()
    if suffix == ".json":
        relations = from_groups(_groups_json(path), tickers)
    elif suffix in (".csv", ".tsv", ".parquet", ".pq"):
        relations = _table(path, tickers, given)
    elif suffix == ".npz":
        relations = _packed(path, tickers)
    else:
        raise ValueError(f"{path}: form {path.suffix!r} is unknown; expected .json, .csv, .tsv, .parquet or .npz")
    if relations.num_edges == 0:
        left = relations.left_out
        sides = f": it has, for example, {left[0]!r}, and the prices {tickers[0]!r}" if left and len(tickers) else ""
        raise ValueError(f"{path}: relates no two of the {len(tickers)} tickers that have prices{sides}")
    return relations


def from_groups(groups: Mapping[str, Iterable[str]], tickers: Sequence[str]) -> Relations:
    """All members of a group are related to each other; every group is a type of its own."""
    known = _Tickers(tickers)
    triples: list[tuple[str, str, str]] = []
    unknown: set[str] = set()
    for name, members in groups.items():
        if name.strip().lower() in NO_GROUP:
            continue
        members = list(members)
        listed = list(dict.fromkeys(tickers[known[member]] for member in members if member in known))
        unknown |= {member for member in members if member not in known}
        triples += [(one, other, name) for one in listed for other in listed if one != other]
    return from_triples(triples, tickers, unknown)


def from_triples(
    triples: Iterable[tuple[str, str, str]],
    tickers: Sequence[str],
    left_out: Iterable[str] = (),
    weights: Iterable[float] | None = None,
) -> Relations:
    """Edges from (source, target, type); several types of one edge are joined, loops are dropped.

    Raises:
        ValueError: One edge has two weights.
    """
    known = _Tickers(tickers)
    unknown = set(left_out)
    held: dict[tuple[int, int], dict[str, float]] = {}
    for (source, target, name), weight in zip(triples, repeat(1.0) if weights is None else weights, strict=False):
        absent = {ticker for ticker in (source, target) if ticker not in known}
        unknown |= absent
        if not absent and known[source] != known[target] and weight:
            before = held.setdefault((known[target], known[source]), {}).setdefault(name, weight)
            if before != weight:
                raise ValueError(f"{source} to {target}, {name!r}: weights {before:g} and {weight:g}; expected one")
    names = sorted({name for types in held.values() for name in types})
    columns = {name: column for column, name in enumerate(names)}
    edges = {edge: {columns[name]: weight for name, weight in types.items()} for edge, types in held.items()}
    return _relations(edges, tuple(names), tuple(sorted(unknown)))


class _Tickers:
    """Numbers of tickers by their names, in whichever case where that leaves no doubt."""

    def __init__(self, tickers: Sequence[str]) -> None:
        self._numbers = {ticker: number for number, ticker in enumerate(tickers)}
        self._small: dict[str, int | None] = {}
        for ticker, number in self._numbers.items():
            small = ticker.casefold()
            self._small[small] = None if small in self._small else number

    def __contains__(self, ticker: str) -> bool:
        return ticker in self._numbers or self._small.get(ticker.casefold()) is not None

    def __getitem__(self, ticker: str) -> int:
        number = self._numbers.get(ticker, self._small.get(ticker.casefold()))
        assert number is not None
        return number


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
    return _relations({edge: {0: 1.0} for edge in edges}, ("correlation",), ())


def join(several: Sequence[Relations]) -> Relations:
    """All edges and all types; an edge that several name has the types of all."""
    if len(several) == 1:
        return several[0]
    held: dict[tuple[int, int], dict[int, float]] = {}
    names: list[str] = []
    for relations in several:
        for (source, target), row in zip(relations.edge_index.t().tolist(), relations.types, strict=True):
            own = held.setdefault((target, source), {})
            own |= {len(names) + int(column): float(row[column]) for column in row.nonzero()}
        names += relations.names
    left_out = sorted({ticker for relations in several for ticker in relations.left_out})
    return _relations(held, tuple(names), tuple(left_out))


def _relations(
    held: Mapping[tuple[int, int], Mapping[int, float]], names: tuple[str, ...], left_out: tuple[str, ...]
) -> Relations:
    """From (target, source) to the types that hold, and their weights."""
    edges = sorted(held)
    rows = [row for row, edge in enumerate(edges) for _ in held[edge]]
    types = torch.zeros(len(edges), len(names), device="cpu")
    weights = torch.tensor([weight for edge in edges for weight in held[edge].values()], device="cpu")
    types[rows, [column for edge in edges for column in held[edge]]] = weights
    edge_index = torch.tensor(edges, dtype=torch.long, device="cpu").view(-1, 2).t().flip(0).contiguous()
    weighted = bool((weights != 1).any())
    return Relations(edge_index, types, names, left_out, types.max(1).values if weighted else None)


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
    except RecursionError as error:
        raise ValueError(f"{path}: JSON within JSON too often; expected an object of lists") from error
    if not isinstance(groups, dict) or not all(
        isinstance(members, list) and all(isinstance(member, str) for member in members) for members in groups.values()
    ):
        raise ValueError(f"{path}: expected an object from group to list of tickers")
    return {name: [member.strip().lstrip("$") for member in members] for name, members in groups.items()}


def _table(path: Path, tickers: Sequence[str], columns: Mapping[str, str]) -> Relations:
    table = read_relation_table(path, columns)
    if table.triples is None:
        return from_groups(table.groups, tickers)
    try:
        return from_triples(table.triples, tickers, weights=table.weights)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _packed(path: Path, tickers: Sequence[str]) -> Relations:
    arrays = read_arrays(path, "not packed relations of plain arrays")
    missing = {"tickers", "wiki_edge_index", "wiki_edge_type"} - arrays.keys()
    if missing:
        raise ValueError(f"{path}: has {', '.join(arrays)}; expected also {', '.join(sorted(missing))}")
    own = [str(ticker) for ticker in arrays["tickers"].reshape(-1)]
    edges, kinds = arrays["wiki_edge_index"], arrays["wiki_edge_type"]
    if edges.ndim != 2 or edges.shape[0] != 2 or kinds.shape != edges.shape[1:]:
        raise ValueError(f"{path}: edges {edges.shape} and types {kinds.shape}; expected [2, E] and [E]")
    if edges.dtype.kind not in "iu" or kinds.dtype.kind not in "iu":
        raise ValueError(f"{path}: edges are {edges.dtype} and types {kinds.dtype}; expected integers")
    if edges.size and (edges.min() < 0 or edges.max() >= len(own)):
        raise ValueError(f"{path}: an edge names stock {edges.max()}; expected 0 to {len(own) - 1}")
    triples = ((own[i], own[j], f"wiki {kind:02d}") for (i, j), kind in zip(edges.T.tolist(), kinds, strict=True))
    return from_triples(triples, tickers)
