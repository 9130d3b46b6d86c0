"""When nodes or edges came to be: ranks, so that times of any type are compared exactly.

Letters: N nodes, E edges; B seeds.
"""

import torch
from torch import Tensor
from torch_geometric.data import Data

from gnnseq.checks import as_tensor
from gnnseq.kernels.adjacency import CSR

__all__ = ["Times"]


class Times:
    """Times of nodes or edges.

    Args:
        time: int64 or float64. [N] or [E]
        of_nodes: Whether they are nodes'.
        name: What the attribute is called.

    Attributes:
        ranks: How many different times are before each. int32
    """

    def __init__(self, time: Tensor, of_nodes: bool, name: str) -> None:
        self.of_nodes, self.name, self.time = of_nodes, name, time
        self._different, ranks = time.unique(return_inverse=True)
        self.ranks = ranks.int()

    @staticmethod
    def of(data: Data | CSR, name: str | None) -> "Times | None":
        """The times that a graph has under a name.

        Raises:
            ValueError: If there are none of this name, if they cannot be told to be nodes' or edges', or are no times.
        """
        if name is None:
            return None
        if isinstance(data, CSR):
            raise ValueError(f"time_attr={name!r} of compressed rows, which have none; give a Data")
        if name not in data:
            raise ValueError(f"time_attr={name!r} is no attribute of the graph; it has {', '.join(data.keys())}")
        time = _as_times(data[name], f"data.{name}", "one time a node or edge")
        nodes, edges = data.num_nodes, data.num_edges
        if time.numel() not in (nodes, edges):
            raise ValueError(f"data.{name} has {time.numel()} times; expected {nodes}, one a node, or {edges}, one an "
                             "edge")  # fmt: skip
        if nodes == edges and "edge" not in name and "node" not in name and name != "time":
            raise ValueError(f"time_attr={name!r} of a graph with as many edges as nodes, {nodes}, may be of either; "
                             f"call it node_{name} or edge_{name}")  # fmt: skip
        return Times(time, "edge" not in name if nodes == edges else time.numel() == nodes, name)

    def of_seeds(self, seed: Tensor, given: Tensor | None, argument: str) -> Tensor:
        """The times after which trees of these seeds read nothing: those given, or the seeds' own. [B]"""
        if given is None:
            if not self.of_nodes:
                raise ValueError(f"time_attr={self.name!r} is of edges, so that seeds have no times of their own; give "
                                 f"{argument}")  # fmt: skip
            return self.time[seed]
        time = _as_times(given, argument, "one time a seed")
        if time.numel() != seed.numel():
            raise ValueError(f"{argument} has {time.numel()} times for {seed.numel()} seeds; expected one each")
        return time

    def rank(self, time: Tensor) -> Tensor:
        """The last rank of no later time; -1 where all are later. int32 [B]"""
        if self._different.is_floating_point():
            time = time.double()
        elif time.is_floating_point():
            time = time.floor().clamp(-(2.0**63), 2.0**63 - 1025).long()
        return (torch.searchsorted(self._different, time, right=True) - 1).int()


def _as_times(time: object, name: str, expected: str) -> Tensor:
    if not isinstance(time, Tensor):
        try:
            time = as_tensor(time)
        except (TypeError, ValueError, RuntimeError):
            raise ValueError(f"{name} is a {type(time).__name__}; expected a tensor, {expected}") from None
    if time.dim() == 2 and time.size(1) == 1:
        time = time.squeeze(1)
    if time.dim() != 1 or time.dtype == torch.bool or time.is_complex():
        raise ValueError(f"{name} has shape {list(time.shape)} and type {time.dtype}; expected {expected}")
    time = time.detach().cpu()
    if not time.is_floating_point():
        return time.long()
    if bool(time.isnan().any()):
        raise ValueError(f"{name}[{int(time.isnan().nonzero()[0])}] is NaN; expected a time: drop it or mend the value")
    return time.double()
