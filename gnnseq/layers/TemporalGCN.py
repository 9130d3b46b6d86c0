"""Graphs in time: a recurrence over time and a graph convolution over relations, in three orders.

Letters: T time steps, N nodes, F input channels, H hidden channels, L layers, E edges of one step's graph.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from gnnseq.checks import as_edges_by, check_one_device, check_type, named_beyond_places, shape_of, whole
from gnnseq.graphs import as_edge_index
from gnnseq.kernels.memo import Memo
from gnnseq.layers.cells import CELLS
from gnnseq.layers.GCN import GCN
from gnnseq.layers.graph_cache import is_learnt
from gnnseq.layers.recurrent_checks import check_state
from gnnseq.normalization import DegreeError
from gnnseq.schedule import Schedule, packed_paths
from gnnseq.schedule.space_time import JoinedGraph, SpaceTimeGraph

__all__ = ["TemporalGCN"]

ORDERS = ("time_then_space", "space_then_time", "space_time")

State = Tensor | tuple[Tensor, ...]
Graph = tuple[Tensor, Tensor | None]  # edge_index [2, E] and edge_weight [E]


class TemporalGCN(nn.Module):
    r"""A recurrence over time and a graph convolution over relations, in one of three orders.

    With :math:`\hat w^t_{ji}` the normalised adjacency of step t's graph, self-loops included
    (:func:`gnnseq.normalization.gcn_normalize`), and Cell an LSTM's, RNN's or GRU's step:

    .. math::
        \text{time\_then\_space:} \quad & h_{t,i} = \mathrm{Cell}(x_{t,i}, h_{t-1,i}), \qquad
            y_{t,i} = W \sum_j \hat w^t_{ji} h_{t,j} + b \\
        \text{space\_then\_time:} \quad & z_{t,i} = \mathrm{relu}\Big(V \sum_j \hat w^t_{ji} x_{t,j} + a\Big), \qquad
            h_{t,i} = \mathrm{Cell}(z_{t,i}, h_{t-1,i}), \qquad y_{t,i} = W h_{t,i} + b \\
        \text{space\_time:} \quad & h_{t,i} = \mathrm{Cell}\big(x_{t,i}, \{(\hat w^t_{ji}, h_{t-1,j})\}_j\big), \qquad
            y_{t,i} = W h_{t,i} + b

    The first is the usual LSTM+GCN, the second the usual evolving graph; in both every node's steps are a path. The
    third is the layer of :mod:`gnnseq.layers` itself on :func:`gnnseq.graphs.space_time_graph`, swept topologically:
    its sum over predecessors is over the graph's edges, and an LSTM has a forget gate for each of them. Without edges
    all three are the recurrence alone, but for a relu or a linear map.

    **Reach.** The output at (i, t) depends on exactly these inputs (j, s), s <= t:

    - ``time_then_space``: j is i, or has an edge to i in the graph of step t: one hop now, whatever the past.
    - ``space_then_time``: j is i, or has an edge to i in the graph of step s: one hop then.
    - ``space_time``: in t - s steps or fewer, edge after edge of the graphs of steps s + 1 to t, j reaches i: a cone
      that widens by one hop with every step back. Today's neighbours are not in it; yesterday's are.

    On a graph that does not change the first two see the same. More layers of the recurrence change none of this. An
    explainer's mask of the relations reaches them in every step that has them, and never a node's own steps of time.

    Args:
        in_channels: Width F of the inputs.
        hidden_channels: Width H of the states.
        out_channels: Width of the outputs.
        order: ``"time_then_space"``, ``"space_then_time"`` or ``"space_time"``.
        recurrent: ``"LSTM"``, ``"RNN"`` or ``"GRU"``.
        num_layers: Layers L of the recurrence, stacked.

    Raises:
        ValueError: If an argument is out of its range.

    Sources: time, then space: Feng et al. 2019, https://arxiv.org/abs/1809.09441; space, then time: Zhao et al. 2019
    (T-GCN), https://arxiv.org/abs/1811.05320; states over edges: Seo et al. 2018, https://arxiv.org/abs/1612.07659,
    with Tai et al. 2015's gate for every edge, https://arxiv.org/abs/1503.00075.

    Example:
        >>> from gnnseq.graphs import path_graph
        >>> layer, x = TemporalGCN(3, 8, 2, order="space_time"), torch.randn(6, 5, 3)
        >>> edges = path_graph(5, undirected=True).edge_index
        >>> y, state = layer(x, edges)
        >>> first, half = layer(x[:4], edges)
        >>> last, _ = layer(x[4:], edges, state=half)  # a stream goes on where it was
        >>> y.shape, torch.allclose(torch.cat([first, last]), y, atol=1e-6)
        (torch.Size([6, 5, 2]), True)
    """

    @named_beyond_places
    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        order: str = "time_then_space",
        recurrent: str = "LSTM",
        *,
        num_layers: int = 1,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels = whole(0, in_channels=in_channels)
        self.hidden_channels = hidden_channels = whole(1, hidden_channels=hidden_channels)
        self.out_channels = out_channels = whole(0, out_channels=out_channels)
        if order not in ORDERS:
            raise ValueError(f"order={order!r}; expected one of {', '.join(map(repr, ORDERS))}")
        if recurrent not in tuple(CELLS):  # a list has no hash
            raise ValueError(f"recurrent={recurrent!r}; expected one of {', '.join(map(repr, CELLS))}")
        self.order = order
        first = hidden_channels if order == "space_then_time" else in_channels
        self.recurrence = CELLS[recurrent](first, hidden_channels, num_layers=num_layers)
        if order != "space_time":  # its edges are steps of time, which no explainer's mask is of
            self.recurrence._explain = False  # unlike torch_geometric's setter, without a method that holds the layer
        if order == "time_then_space":
            self.gcn = GCN(hidden_channels, out_channels)
        else:
            if order == "space_then_time":
                self.gcn = GCN(in_channels, hidden_channels)
            self.lin = nn.Linear(hidden_channels, out_channels)
        self._graph: Memo[SpaceTimeGraph] = Memo()
        self._weighted: Memo[Schedule] = Memo()

    def reset_parameters(self) -> None:
        """Draws all parameters anew, each part in its own way."""
        for part in self.children():
            part.reset_parameters()  # type: ignore[operator]

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor | Sequence[Tensor],
        edge_weight: Tensor | Sequence[Tensor | None] | None = None,
        state: State | None = None,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """The outputs of all steps and the last state; T steps are T calls of one step, each given the state before.

        Args:
            x: Inputs. [T, N, F]
            edge_index: The graph of all steps, or a list of T graphs, each in any form of
                :func:`gnnseq.graphs.as_edge_index`. [2, E]
            edge_weight: Weights of its edges [E], or a list of T such, None for a step whose weights are all 1.
            state: Initial state, zeros if None. [L, N, H], a pair of these for an LSTM.
            mask: Which nodes are there. A node that is not sends and receives nothing, its input is not read, its
                output is 0, and its state is kept until it comes back. Boolean [T, N].

        Returns:
            The outputs [T, N, out_channels] and the state, as it can be given.

        Raises:
            ValueError: If x, a graph, the state or the mask has a wrong shape, type, length or device, or a node of a
                step has a negative degree.
        """
        self._check(x, state, mask)
        if mask is not None:
            x = x.masked_fill(~mask.unsqueeze(2), 0.0)
            mask = None if len(x) == 0 else mask
        graphs = _graphs(x, edge_index, edge_weight)
        try:
            y, state = self._run(x, graphs, state, mask)
        except DegreeError as error:
            step, node = divmod(error.node, x.size(1))  # of the steps' graphs side by side
            where = "" if isinstance(edge_index, Tensor) and mask is None else f"step {step}: "
            raise DegreeError(node, error.end, error.degree, where) from None
        return y if mask is None else y.masked_fill(~mask.unsqueeze(2), 0.0), state

    def _run(self, x: Tensor, graphs: list[Graph], state: State | None, mask: Tensor | None) -> tuple[Tensor, State]:
        """The outputs [T, N, out_channels], unspecified if masked, and the state."""
        if self.order == "time_then_space":
            h, state = self._along_paths(x, state, mask)
            return self._convolve(h, graphs, mask), state
        if self.order == "space_then_time":
            h, state = self._along_paths(torch.relu(self._convolve(x, graphs, mask)), state, mask)
        else:
            h, state = self._through_space_time(x, graphs, state, mask)
        return self.lin(h), state

    def _convolve(self, x: Tensor, graphs: list[Graph], mask: Tensor | None) -> Tensor:
        """One convolution for all steps: of rows T times as wide, or on the steps' graphs side by side."""
        convolved: Tensor
        if len(graphs) == 1 and mask is None:
            convolved = self.gcn(x, *graphs[0])
            return convolved
        steps, nodes, _ = x.shape
        if len(graphs) == 1:  # which nobody has checked yet
            graphs = [as_edge_index(graphs[0][0], nodes, graphs[0][1])]
        if self.gcn.explain:  # a mask is of one step's edges
            there = x.new_ones(steps, nodes) if mask is None else mask.to(x.dtype)
            return torch.stack([self.gcn(x[t], *_present(there[t], *graphs[t % len(graphs)])) for t in range(steps)])
        joined = JoinedGraph.of(graphs, x, mask)
        convolved = self.gcn(x.flatten(0, 1), joined.edge_index, joined.edge_weight)
        return convolved.view(steps, nodes, self.gcn.out_channels)

    def _along_paths(self, x: Tensor, state: State | None, mask: Tensor | None) -> tuple[Tensor, State]:
        """The recurrence along each node's own steps: h [T, N, H], unspecified if masked."""
        steps, nodes, _ = x.shape
        if mask is None:
            return self._sweep(x, packed_paths([steps] * nodes).to(x.device), None, state)
        schedule = packed_paths(mask.sum(0).tolist()).to(x.device)
        # Row b of a step is the path that is b-th longest; a node's own count of steps tells which step it is at.
        offsets = torch.tensor([*schedule.node_offsets, 0], device=x.device)
        place = (offsets[mask.cumsum(0) - 1] + schedule.starts)[mask]
        order = torch.empty_like(place).index_copy(0, place, mask.view(-1).nonzero().view(-1))
        return self._sweep(x, schedule, order, state)

    def _through_space_time(
        self, x: Tensor, graphs: list[Graph], state: State | None, mask: Tensor | None
    ) -> tuple[Tensor, State]:
        """The recurrence whose states go over the edges of each step: h [T, N, H], unspecified if masked."""
        steps, nodes, _ = x.shape
        graphs = [as_edge_index(edges, nodes, weight) for edges, weight in graphs]
        edges, weights = zip(*graphs, strict=True)
        enters = state is not None
        graph = self._graph.get(
            (mask, *edges),
            (steps, nodes, enters),
            lambda: SpaceTimeGraph.of(JoinedGraph.of(graphs, x, mask), (steps, nodes), mask, enters),
        )
        # Degrees are sums of many weights: half precision would lose them.
        dtype = torch.promote_types(x.dtype, torch.float32)

        def weigh() -> Schedule:
            return graph.weighted(JoinedGraph.of(graphs, x, mask), dtype)

        learnt = any(map(is_learnt, weights))
        schedule = weigh() if learnt else self._weighted.get(weights, (dtype, graph), weigh)
        if self.recurrence.explain:
            schedule = self._masked(schedule, graph.edge_id, graphs, x, mask)
        return self._sweep(x, schedule, graph.order, state)

    def _masked(
        self, schedule: Schedule, edge_id: Tensor, graphs: list[Graph], x: Tensor, mask: Tensor | None
    ) -> Schedule:
        """The schedule whose weights an explainer's mask has multiplied, in every step whose edges it was made for."""
        layer = self.recurrence
        own = [layer.mask_factors(layer.mask_places(edges)) for edges, _ in graphs]
        joined = JoinedGraph.of([(edges, factor) for (edges, _), factor in zip(graphs, own, strict=True)], x, mask)
        assert joined.edge_weight is not None
        assert schedule.edge_weight is not None
        factor = functional.pad(joined.edge_weight, (0, joined.num_nodes), value=1.0)[edge_id]
        return schedule.weighted(schedule.edge_weight * factor)

    def _sweep(self, x: Tensor, schedule: Schedule, order: Tensor | None, state: State | None) -> tuple[Tensor, State]:
        """The recurrence, whose node p is row ``order[p]`` of the steps' nodes: h [T, N, H] and the state."""
        steps, nodes, channels = x.shape
        flat = x.reshape(steps * nodes, channels)
        h, state = self.recurrence(flat if order is None else flat.index_select(0, order), schedule, state)
        if order is not None:
            h = h.new_zeros(steps * nodes, h.size(1)).index_copy(0, order, h)
        return h.view(steps, nodes, h.size(1)), state

    def _check(self, x: Tensor, state: State | None, mask: object) -> None:
        weight = self.recurrence.weights("l0").weight_hh
        check_type(x, weight)
        if x.dim() != 3 or x.size(2) != self.in_channels:
            raise ValueError(f"x has shape {list(x.shape)}; expected [T, N, {self.in_channels}]")
        if mask is not None and (not isinstance(mask, Tensor) or mask.dtype != torch.bool or mask.shape != x.shape[:2]):
            kind = f" and type {mask.dtype}" if isinstance(mask, Tensor) else ""
            raise ValueError(f"mask has shape {shape_of(mask)}{kind}; expected {list(x.shape[:2])} of torch.bool, True "
                             "where a node is there")  # fmt: skip
        check_one_device(x=x, mask=x if mask is None else mask, parameters=weight)
        if state is not None:
            check_state(self.recurrence, state, x.size(1), "layers, nodes, hidden_channels")

    def __repr__(self) -> str:
        sizes = f"{self.in_channels}, {self.hidden_channels}, {self.out_channels}"
        layers = "" if self.recurrence.num_layers == 1 else f", num_layers={self.recurrence.num_layers}"
        name = type(self.recurrence).__name__
        return f"{type(self).__name__}({sizes}, order={self.order!r}, recurrent={name!r}{layers})"


def _present(there: Tensor, edge_index: Tensor, edge_weight: Tensor | None) -> Graph:
    """The graph whose edges weigh nothing where an end of theirs is away."""
    source, target = edge_index
    weight = there[source] * there[target]
    return edge_index, weight if edge_weight is None else weight * edge_weight


def _are_graphs(given: object) -> bool:
    """Whether this is a list whose entries can be graphs, and are not sources and targets or pairs of these."""
    if not isinstance(given, Sequence) or isinstance(given, str):
        return False
    if any(isinstance(entry, Tensor) and entry.dim() != 1 for entry in given):
        return True
    return not any(isinstance(entry, Tensor | list | tuple | int) for entry in given)


def _graphs(
    x: Tensor, edge_index: Tensor | Sequence[Tensor], edge_weight: Tensor | Sequence[Tensor | None] | None
) -> list[Graph]:
    """The graphs of the steps, or the one graph of all steps alone."""
    steps, nodes, _ = x.shape
    if isinstance(edge_index, Tensor):
        if edge_weight is not None and not isinstance(edge_weight, Tensor):
            raise ValueError(f"edge_weight is a {type(edge_weight).__name__} and edge_index one graph; expected one "
                             "tensor [E], or a list of graphs too")  # fmt: skip
        return [(edge_index, edge_weight)]
    if not _are_graphs(edge_index):
        raise ValueError(f"edge_index is a {type(edge_index).__name__}; expected a [2, E] tensor of int64, or a list "
                         f"of one a step{as_edges_by('edge_index', edge_index)}")  # fmt: skip
    weights = [None] * steps if edge_weight is None else edge_weight
    for name, given in (("edge_index", edge_index), ("edge_weight", weights)):
        if not isinstance(given, Sequence) or len(given) != steps:
            came = f"{len(given)} entries" if isinstance(given, Sequence) else f"type {type(given).__name__}"
            raise ValueError(f"{name} has {came} and x {steps} steps; expected a list of one a step")
    if steps == 0:
        return [(torch.empty(2, 0, dtype=torch.int64, device=x.device), None)]
    graphs = []
    for t, (edges, weight) in enumerate(zip(edge_index, weights, strict=True)):
        try:
            graphs.append(as_edge_index(edges, nodes, weight))
        except ValueError as error:
            raise ValueError(f"step {t}: {error}") from error
    return graphs
