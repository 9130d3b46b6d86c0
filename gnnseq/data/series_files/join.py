"""A table and a graph become one: nodes of the graph are the table's columns, by name or by place.

Letters: N nodes, E edges.
"""

import io
from pathlib import Path

import networkx as nx
import numpy as np
import torch
from torch import Tensor

from gnnseq.data.graph_files import read_graph
from gnnseq.data.graph_series import GraphSeries
from gnnseq.data.packed import read_arrays, read_unpacked
from gnnseq.data.series_files.tables import pandas_for, read_table

__all__ = ["read_graph_series"]

Graph = tuple[Tensor, Tensor | None]
PLACED = ("MatrixMarket", "npz")  # forms whose nodes have no names but places
MOST_OF_AN_EDGE = 12  # cells of a line of an edge list
MATRICES = (".csv", ".tsv", ".txt", ".npy")


def read_graph_series(
    series: str | Path,
    graph: str | Path | None = None,
    *,
    time: str | None = None,
    heading: bool | None = None,
    feature: int | None = None,
    zeros_missing: bool = False,
    directed: bool | None = None,
    lags: int = 12,
) -> GraphSeries:
    r"""Series of a wide table on the graph of another file, or on none.

    Where every name of the graph is a column, or every column is a name in it, names decide: columns without edges
    stand alone, and nodes without a column are left out. A matrix, and numbers below N, mean the columns' places.

    Args:
        series: The table, see :func:`gnnseq.data.series_files.read_table`.
        graph: A file of :func:`gnnseq.data.graph_files.read_graph`, or a matrix [N, N] of numbers in .csv, .tsv, .txt
            or .npy, in which 0 is no edge and row i, column j is the edge i -> j; None for no edges. Weights are kept.
        time: See ``read_table``.
        heading: See ``read_table``.
        feature: See ``read_table``.
        zeros_missing: Whether a 0 is a missing value, as in records of traffic; it is a number otherwise.
        directed: Whether edges of a list go from the first name to the second.
        lags: See :class:`~gnnseq.data.graph_series.GraphSeries`.

    Raises:
        ValueError: A file is not what it should be, or names of the graph and of the columns do not match.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "speeds.csv").write_text("a,b,c\n" + "64.5,60,1\n" * 9)
        >>> _ = (folder / "roads.csv").write_text("from,to,weight\nb,c,0.5\n")
        >>> read_graph_series(folder / "speeds.csv", folder / "roads.csv", lags=2).graphs
        ((tensor([[1, 2],
                [2, 1]]), tensor([0.5000, 0.5000])),)
    """
    table = read_table(series, time, heading, feature)
    values = np.where(table.values == 0, np.nan, table.values) if zeros_missing else table.values
    edges = (
        (torch.empty(2, 0, dtype=torch.int64), None) if graph is None else _edges(Path(graph), table.names, directed)
    )
    return GraphSeries(values, table.names, (edges,), "step", lags, table.times, gaps=True)


def _edges(path: Path, names: tuple[str, ...], directed: bool | None) -> Graph:
    matrix = _matrix(path, names)
    if matrix is not None:
        source, target = matrix.nonzero()
        return torch.from_numpy(np.stack([source, target])), torch.from_numpy(matrix[source, target]).float()
    found = read_graph(path, directed=directed)
    place = _places(path, found, names)
    arcs = nx.DiGraph(found) if found.is_directed() else found.to_directed()
    kept = [(place[a], place[b], weight) for a, b, weight in arcs.edges(data="weight") if a in place and b in place]
    if not kept:
        return torch.empty(2, 0, dtype=torch.int64), None
    kept.sort(key=lambda arc: arc[:2])
    weights = [weight for *_, weight in kept]
    edge_index = torch.tensor([[a for a, *_ in kept], [b for _, b, _ in kept]])
    if weights[0] is None:
        return edge_index, None
    negative = next((arc for arc in kept if arc[2] < 0), None)
    if negative:
        a, b, weight = negative
        raise ValueError(f"{path}: {names[a]!r} and {names[b]!r} weigh {weight}; expected weights of 0 or more")
    return edge_index, torch.tensor(weights, dtype=torch.float32)


def _places(path: Path, graph: nx.Graph, names: tuple[str, ...]) -> dict[str, int]:
    """The column of every node of the graph that has one."""
    columns, nodes = {name: place for place, name in enumerate(names)}, list(graph)
    placed = str(graph.graph.get("form", "")).startswith(PLACED)
    if placed and len(nodes) == len(names):
        return {name: int(name) for name in nodes}
    unknown, without = [n for n in nodes if n not in columns], [n for n in names if n not in graph]
    if not placed and (not unknown or not without):
        return {name: columns[name] for name in nodes if name in columns}
    numbers = [int(name) for name in nodes if name.isascii() and name.isdigit()]
    if not placed and len(unknown) == len(nodes) == len(numbers) and max(numbers) <= len(names):
        first = int(max(numbers) == len(names))  # counted from 1
        if min(numbers) >= first:
            return {name: int(name) - first for name in nodes}
    if placed:
        raise ValueError(
            f"{path}: {len(nodes)} nodes without names, and the series have {len(names)} columns; expected as many"
        )
    raise ValueError(
        f"{path}: {unknown[0]!r} of the graph is no column of the series, and column {without[0]!r} no node of the "
        f"graph ({len(unknown)} and {len(without)} such); expected the same names, or numbers of columns from 0 to "
        f"{len(names) - 1}"
    )


def _matrix(path: Path, names: tuple[str, ...]) -> np.ndarray | None:
    """A square table of numbers, with names or without; None if the file is something else.

    Raises:
        ValueError: It is one and not as the series need it, or it could be a list of edges as well.
    """
    suffix = (Path(path.stem) if path.suffix.lower() == ".gz" else path).suffix.lower()
    if suffix not in MATRICES or not path.is_file():
        return None
    if suffix == ".npy":
        found = read_arrays(path, "expected a matrix of numbers").get("", np.empty(0))
        if found.shape != (len(names), len(names)):
            raise ValueError(
                f"{path}: shape {list(found.shape)}; expected {[len(names)] * 2}, a row a column of the series"
            )
        return _checked(path, found.astype(np.float64))
    content = read_unpacked(path)
    count, width = len(names), _width(content)
    if width not in (count, count + 1):
        if width > MOST_OF_AN_EDGE:
            raise ValueError(
                f"{path}: lines of {width} cells; expected a matrix of {count}, a column of the series each"
            )
        return None
    pandas = pandas_for(path)
    try:
        frame = pandas.read_csv(
            io.BytesIO(content), header=None, sep=None, engine="python", dtype=str, keep_default_na=False
        )
    except (ValueError, pandas.errors.ParserError):
        return None
    cells = frame.to_numpy()
    order = np.arange(count)
    if cells.shape in ((count + 1, count + 1), (count + 1, count)):  # a heading, and row names or none
        heading = [str(cell).strip() for cell in cells[0]][-count:]
        if set(heading) != set(names):
            return None
        if cells.shape[1] > count and [str(cell).strip() for cell in cells[1:, 0]] != heading:
            raise ValueError(f"{path}: names of rows and columns differ; expected the same, in one order")
        order = np.array([heading.index(name) for name in names])
        cells = cells[1:, -count:]
    if cells.shape != (count, count):
        return None
    try:
        matrix = cells.astype(np.float64)
    except ValueError:
        return None
    if count in (2, 3) and (matrix[:, :2] % 1 == 0).all() and len(frame) == count:
        raise ValueError(
            f"{path}: {count} lines of {count} numbers, a matrix or a list of edges; expected a heading: names of the "
            "columns over a matrix, source,target over edges"
        )
    return _checked(path, matrix[np.ix_(order, order)])


def _width(content: bytes) -> int:
    """Cells of the first line."""
    try:
        line = io.StringIO(content.decode("utf-8-sig"), newline=None).readline().strip()
    except UnicodeDecodeError:
        return 0
    between = next((sign for sign in "\t;," if sign in line), None)
    return 0 if line.startswith(("#", "%")) else len(line.split(between))


def _checked(path: Path, matrix: np.ndarray) -> np.ndarray:
    wrong = np.argwhere(~(np.isfinite(matrix) & (matrix >= 0)))
    if len(wrong):
        i, j = wrong[0]
        raise ValueError(f"{path}: {matrix[i, j]} in row {i}, column {j}; expected finite weights of 0 or more")
    return matrix
