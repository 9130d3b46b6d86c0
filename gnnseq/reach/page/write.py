"""One file that shows receptive fields and answers clicks: data, drawings and scripts, nothing from a network.

Letters: N nodes.
"""

import base64
import html
import json
import os
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from gnnseq.files import whole_file
from gnnseq.reach.page.encode import Blob, MeasuredField, encode_fields
from gnnseq.reach.page.figures import curve_looks, drawings
from gnnseq.reach.page.layout import place_nodes

__all__ = ["write_page"]

# The most nodes: distances of all pairs are looked for, and every node is drawn.
MOST = 10_000


def write_page(
    networks: Mapping[str, MeasuredField | Sequence[MeasuredField]],
    path: str | os.PathLike[str],
    *,
    title: str = "What an output depends on",
    names: Sequence[object] | None = None,
    positions: ArrayLike | None = None,
    depth: str = "layers or rounds",
) -> Path:
    """Writes a page that shows receptive fields of networks side by side and answers clicks: one file, no network.

    A click on a node, or an arrow key, chooses the output v: every panel shows the inputs u that v depends on, by hops
    or by influence, and a table and a chart give the numbers for each distance. A slider goes through the fields of
    each network; a network of one field, such as a sweep's, keeps it. Where no network has more than one, the slider
    goes through hops.

    Reach is shown as it was found, every pair. The influence of a single pair is rounded to one of 255 steps on a
    logarithmic scale, means by distance are not. Where influence is known of some nodes only, or of more than five
    million pairs in all, it is shown for some nodes, and the page says for how many.

    Args:
        networks: By name, the receptive field of a network, or those of 1, 2, ... layers or rounds; all of one graph.
        path: The file, whole or not there; its folder is made.
        title: The page's heading.
        names: What nodes are called, their numbers if None. [N]
        positions: Where nodes are drawn, x and y upwards; by default paths wind, trees have layers, and other graphs
            keep their distances as far as a plane lets them. [N, 2]
        depth: What the slider goes through.

    Returns:
        The path.

    Raises:
        ValueError: If there is no network or no node, fields are of different graphs, or names or positions are not one
            a node.
        TypeError: If something else than receptive fields is given.
        ImportError: If Bokeh is missing.

    Example:
        >>> import torch
        >>> from tempfile import TemporaryDirectory
        >>> from gnnseq import receptive_field, topological
        >>> from gnnseq.graphs import path_graph
        >>> from gnnseq.layers import GCN, LSTM
        >>> x, edges = torch.randn(9, 4), path_graph(9).edge_index
        >>> stack = [torch.nn.ModuleList(GCN(4, 4) for _ in range(k)) for k in (1, 2, 3)]
        >>> def call(layers, x, edges):
        ...     for layer in layers:
        ...         x = layer(x, edges)
        ...     return x
        >>> gcn = [receptive_field(layers, x, edges, call=call) for layers in stack]
        >>> lstm = receptive_field(LSTM(4, 4), x, topological(edges, 9))
        >>> with TemporaryDirectory() as folder:
        ...     page = write_page({"GCN": gcn, "LSTM, sweep": lstm}, f"{folder}/path.html")
        ...     page.name, page.stat().st_size < 2_000_000
        ('path.html', True)
    """
    by_name = _checked(networks)
    fields = [field for group in by_name.values() for field in group]
    num_nodes = fields[0].reach.shape[0]
    labels = _labels(names, num_nodes)
    places = place_nodes(fields[0].edges) if positions is None else _positions(positions, num_nodes)
    looks = curve_looks(len(by_name))
    graph, chart, bokeh = drawings(looks)
    blob = Blob()
    target, source = csr_array(fields[0].edges).nonzero()
    about: dict[str, Any] = {
        "nodes": num_nodes,
        "names": labels,
        "depth": depth,
        "places": blob.add(places.astype(np.float32)),
        "sources": blob.add(source.astype(np.uint32)),
        "targets": blob.add(target.astype(np.uint32)),
        "first": _busiest(by_name),
    }
    encoded = iter(encode_fields(fields, blob))
    about["networks"] = [
        {"name": name, **look, "fields": [next(encoded) for _ in group]}
        for (name, group), look in zip(by_name.items(), looks, strict=True)
    ]
    parts = {
        "title": html.escape(title.encode(errors="replace").decode()),
        "style": _part("page.css"),
        "bokeh": bokeh,
        "about": _json(about),
        "graph": _json(graph),
        "chart": _json(chart),
        "blob": base64.b64encode(blob.compressed()).decode(),
        "script": _part("fields.js") + _part("page.js"),
    }
    return _write(Path(path), _fill(_part("page.html"), parts))


def _checked(networks: Any) -> dict[str, list[MeasuredField]]:
    """Lists of fields by name, all of the same graph."""
    if not isinstance(networks, Mapping):
        raise TypeError(f"networks is a {type(networks).__name__}; expected a dict from a network's name to its "
                        "receptive field, or to those of 1, 2, ... layers or rounds")  # fmt: skip
    by_name: dict[str, list[MeasuredField]] = {}
    for name, given in networks.items():
        group = list(given) if isinstance(given, (list, tuple)) else [given]
        wrong = [type(field).__name__ for field in group if not hasattr(field, "pair_influence")]
        if wrong:
            raise TypeError(
                f"networks[{name!r}] holds a {wrong[0]}; expected what receptive_field returns, one or a list"
            )
        if not group:
            raise ValueError(
                f"networks[{name!r}] is empty; expected at least one receptive field: leave the network out"
            )
        by_name[str(name)] = group
    if not by_name:
        raise ValueError("networks is empty; expected at least one receptive field")
    first_name, first = next((name, group[0].edges) for name, group in by_name.items())
    num_nodes = first.shape[0]
    if not 1 <= num_nodes <= MOST:
        raise ValueError(f"networks are of a graph of {num_nodes} nodes; expected 1..{MOST}, which a page can show: of "
                         "a larger graph take a part, as torch_geometric.utils.k_hop_subgraph does")  # fmt: skip
    for name, group in by_name.items():
        for place, field in enumerate(group):
            if field.edges.shape != first.shape or csr_array(field.edges != first).nnz > 0:
                raise ValueError(f"networks[{name!r}][{place}] is of another graph ({field.edges.shape[0]} nodes, "
                                 f"{field.edges.nnz} edges) than networks[{first_name!r}][0] ({num_nodes} nodes, "
                                 f"{first.nnz} edges); expected one graph, on which networks differ")  # fmt: skip
    return by_name


def _labels(names: Sequence[object] | None, num_nodes: int) -> list[str] | None:
    if names is None:
        return None
    labels = [str(name) for name in names]
    if isinstance(names, str) or len(labels) != num_nodes:
        raise ValueError(f"names has {len(labels)} entries; expected {num_nodes}, one a node")
    return labels


def _positions(positions: ArrayLike, num_nodes: int) -> NDArray[np.float64]:
    """Between 0 and 1, with both axes on one scale. [N, 2]"""
    places = np.asarray(positions, dtype=np.float64)
    if places.shape != (num_nodes, 2) or not np.isfinite(places).all():
        kind = f"shape {list(places.shape)}" if places.shape != (num_nodes, 2) else "NaN or infinity"
        raise ValueError(f"positions has {kind}; expected finite x and y of each node, [{num_nodes}, 2]")
    low, high = places.min(axis=0), places.max(axis=0)
    size = float((high - low).max()) or 1.0
    scaled: NDArray[np.float64] = (places - (low + high) / 2) / size + 0.5
    return scaled


def _busiest(by_name: Mapping[str, Sequence[MeasuredField]]) -> int:
    """The node that depends on most, and whose influence is known if there is such a node."""
    sizes = sum(np.diff(group[-1].reach.indptr) for group in by_name.values())
    known = np.zeros_like(sizes)
    for group in by_name.values():
        known[group[-1].influence_nodes] += 1
    return int(np.lexsort((-sizes, -known))[0])


def _part(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _json(value: Any) -> str:
    """JSON that no text in it can end the script element of, or open a comment in."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _fill(template: str, parts: Mapping[str, str]) -> str:
    """The template with its {{names}} replaced, once, so that nothing in a part is taken for a name."""
    pieces = template.split("{{")
    filled = [pieces[0]]
    for piece in pieces[1:]:
        name, rest = piece.split("}}", 1)
        filled += [parts[name], rest]
    return "".join(filled)


def _write(path: Path, text: str) -> Path:
    with whole_file(path, "page") as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    return path
