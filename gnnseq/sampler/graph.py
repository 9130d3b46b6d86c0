"""A graph as rows to draw from, checked once.

Letters: N nodes, E edges.
"""

import torch
from torch import Tensor
from torch_geometric.data import Data

from gnnseq.graphs import as_edge_index
from gnnseq.kernels.adjacency import CSR
from gnnseq.sampler.rows import MOST, Rows
from gnnseq.sampler.times import Times

__all__ = ["as_rows"]


def as_rows(data: Data | CSR, times: Times | None, weight_attr: str | None) -> Rows:
    """The rows of a graph, sorted by time where there are times.

    Raises:
        ValueError: If the graph is malformed or too large, or the weights are none.
    """
    if isinstance(data, CSR):
        if weight_attr is not None:
            raise ValueError(f"weight_attr={weight_attr!r} of compressed rows, which have none; give a Data")
        rows = Rows(_checked(data))
        rows.edge_id = None if data.edge_id.numel() == 0 else rows.edge_id
        return rows
    edge_index, num_nodes = data.edge_index, data.num_nodes
    if edge_index is None or num_nodes is None:
        raise ValueError("data has no edge_index; expected one, [2, E]: of adj_t, give torch_geometric.utils."
                         "to_edge_index(data.adj_t)[0].flip(0)")  # fmt: skip
    edge_index, _ = as_edge_index(edge_index, num_nodes)
    if max(num_nodes, edge_index.size(1)) > MOST:
        raise ValueError(f"the graph has {num_nodes} nodes and {edge_index.size(1)} edges; expected less than 2^31")
    edge_index = edge_index.detach().cpu()
    weight = None if weight_attr is None else _weights(data, weight_attr, edge_index)
    order = None
    if times is not None:
        order = (times.ranks[edge_index[0]] if times.of_nodes else times.ranks).argsort(stable=True)
    csr = Rows.of(edge_index, num_nodes, order)
    is_sorted = order is None and bool((edge_index[1, 1:] >= edge_index[1, :-1]).all())
    node_time = times.ranks if times is not None and times.of_nodes else None
    edge_time = times.ranks[csr.edge_id.long()] if times is not None and not times.of_nodes else None
    rows = Rows(csr, node_time, edge_time, None if weight is None else weight[csr.edge_id.long()])
    if is_sorted:
        rows.edge_id = None
        rows.csr = csr._replace(edge_id=torch.empty(0, dtype=torch.int32, device="cpu"))
    return rows


def _weights(data: Data, name: str, edge_index: Tensor) -> Tensor:
    """The weights by which edges are drawn. float64 [E]"""
    weight = data.get(name, None)
    if not isinstance(weight, Tensor) or weight.numel() != edge_index.size(1) or weight.is_complex():
        held = "missing" if weight is None else list(weight.shape) if isinstance(weight, Tensor) else type(weight)
        raise ValueError(f"weight_attr={name!r} is {held}; expected an attribute [{edge_index.size(1)}], one weight an "
                         "edge")  # fmt: skip
    weight = weight.detach().cpu().double().view(-1)
    wrong = ~(weight >= 0) | weight.isinf()
    if wrong.any() or weight.sum().isinf():
        edge = int(wrong.nonzero()[0]) if wrong.any() else int(weight.argmax())
        raise ValueError(f"data.{name}[{edge}]={float(weight[edge])}; expected finite weights of 0 or more, which "
                         "neighbours are drawn by")  # fmt: skip
    return weight


def _checked(csr: CSR) -> CSR:
    """Rows of 32-bit numbers on the CPU, those given where they are so."""
    indptr, indices, edge_id = csr.indptr, csr.indices, csr.edge_id
    expected = "expected indptr [N + 1], indices [E] and edge_id [E], of integers on the CPU"
    given: tuple[tuple[str, object], ...] = (("indptr", indptr), ("indices", indices), ("edge_id", edge_id))
    for name, part in given:
        if not isinstance(part, Tensor) or part.dim() != 1 or part.dtype not in (torch.int32, torch.int64):
            shown = f"{list(part.shape)} of {part.dtype}" if isinstance(part, Tensor) else type(part).__name__
            raise ValueError(f"data.{name} is {shown}; {expected}")
    size, num_nodes = indices.numel(), indptr.numel() - 1
    steps = indptr.diff()
    if num_nodes < 0 or int(indptr[0]) != 0 or int(indptr[-1]) != size or bool((steps < 0).any()):
        raise ValueError(f"data.indptr does not go from 0 to E={size} without a step back; {expected}")
    if edge_id.numel() not in (0, size) or max(num_nodes, size) > MOST:
        raise ValueError(f"data.edge_id has {edge_id.numel()} entries for {size} edges of {num_nodes} nodes; {expected}"
                         ", less than 2^31")  # fmt: skip
    for name, places, end in (("indices", indices, num_nodes), ("edge_id", edge_id, MOST)):
        if places.numel() > 0:
            low, high = (int(bound) for bound in torch.aminmax(places))
            if low < 0 or high >= end:
                raise ValueError(f"data.{name} holds {low if low < 0 else high}; expected 0..{end - 1}")
    return csr._replace(
        indptr=indptr.int().cpu().contiguous(), indices=indices.int().cpu().contiguous(),
        edge_id=edge_id.int().cpu().contiguous(),
    )  # fmt: skip
