"""Graphs in time: a recurrence over time and a graph convolution over relations, in three orders.

Letters: B windows, T time steps, N nodes, F input channels, X exogenous channels, H hidden channels, L layers, E edges
of one step's graph.
"""

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from gnnseq.checks import check_map, flag, named_as_peers, probability, whole
from gnnseq.edge_masks import MaskedMessagePassing
from gnnseq.graphs import as_edge_index
from gnnseq.kernels.equal_path import EqualPaths
from gnnseq.kernels.memo import Memo
from gnnseq.kernels.whole_schedules import WholeSchedule, masked_paths
from gnnseq.layers.cells import cell_named
from gnnseq.layers.GCN import GCN
from gnnseq.layers.graph_cache import is_learnt
from gnnseq.layers.step_graphs import Graph, convolve_steps, copies_of, graphs_of_steps, join_steps
from gnnseq.layers.step_loop import loop_over_steps
from gnnseq.layers.torch_calls import paths_of
from gnnseq.layers.windows import Inputs, as_inputs, run_windows
from gnnseq.message_passing import is_compiled, needs_messages
from gnnseq.normalization import DegreeError, append_self_loops
from gnnseq.schedule import Schedule
from gnnseq.schedule.space_time import JoinedGraph, SpaceTimeGraph
from gnnseq.tracing import is_recording

__all__ = ["TemporalGCN"]

ORDERS = ("time_then_space", "space_then_time", "space_time")
NUMBERS = 2**26  # that the windows of a chunk keep for the backward pass

State = Tensor | tuple[Tensor, ...]


class TemporalGCN(nn.Module):
    r"""A recurrence over time and a graph convolution over relations, in one of three orders.

    With :math:`\hat w^t_{ji}` the normalised adjacency of step t's graph, self-loops included
    (:func:`gnnseq.normalization.gcn_normalize`), and Cell the step of an LSTM, RNN, GRU, MinGRU or MinLSTM:

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
        out_channels: Width of the outputs. If None, the outputs are the hidden states of every step,
            :math:`y_{t,i} = h_{t,i}` without W and b; ``time_then_space``, which reads relations after them, is then
            the recurrence alone.
        order: ``"time_then_space"``, ``"space_then_time"`` or ``"space_time"``.
        recurrent: ``"LSTM"``, ``"RNN"``, ``"GRU"``, ``"MinGRU"`` or ``"MinLSTM"``, in capitals or not;
            ``cell`` is another name.
        num_layers: Layers L of the recurrence, stacked.
        exogenous_channels: Width X of features that are known at every step, of every node or shared by all (hours,
            holidays, weather); the layer reads them beside x, as if it had F + X input channels.
        bias: Whether the recurrence, the convolution and the linear map have biases.
        dropout: Probability with which, in training, entries are dropped of what one part hands to the next: z, each
            layer's h to the layer above, and the last layer's h to W. States that are returned are whole.
        improved: Whether self-loops weigh 2 instead of 1 in the normalised adjacency.

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
        >>> windows = torch.randn(64, 12, 5, 3)  # 64 windows of 12 steps
        >>> y, state = layer(windows, edges, observed=torch.rand(64, 12, 5, 3) > 0.1)
        >>> y.shape, state[0].shape
        (torch.Size([64, 12, 5, 2]), torch.Size([1, 64, 5, 8]))
    """

    exogenous_channels, bias, _dropout, _improved = 0, True, 0.0, False  # of layers pickled before there was a choice

    @named_as_peers(cell="recurrent")
    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int | None,
        order: str = "time_then_space",
        recurrent: str = "LSTM",
        *,
        num_layers: int = 1,
        exogenous_channels: int = 0,
        bias: bool = True,
        dropout: float = 0.0,
        improved: bool = False,
    ) -> None:
        super().__init__()
        self.in_channels = whole(0, in_channels=in_channels)
        self.exogenous_channels = whole(0, exogenous_channels=exogenous_channels)
        in_channels = self.in_channels + self.exogenous_channels
        self.hidden_channels = hidden_channels = whole(1, hidden_channels=hidden_channels)
        self.out_channels = out_channels = None if out_channels is None else whole(0, out_channels=out_channels)
        self.bias = bias = flag(bias=bias)
        self._dropout, self._improved = probability(dropout=dropout), flag(improved=improved)
        if order not in ORDERS:
            raise ValueError(f"order={order!r}; expected one of {', '.join(map(repr, ORDERS))}")
        layer = cell_named(recurrent=recurrent)
        self.order = order
        num_layers = whole(1, num_layers=num_layers)
        if dropout > 0.0 and out_channels is None and num_layers == 1 and order != "space_then_time":
            warnings.warn(f"dropout={dropout} drops nothing: it is between parts, and there is one; drop from the "
                          "outputs with torch.nn.Dropout", stacklevel=3)  # fmt: skip
        between = {"dropout": dropout} if num_layers > 1 else {}
        first = hidden_channels if order == "space_then_time" else in_channels
        self.recurrence = layer(first, hidden_channels, num_layers=num_layers, bias=bias, **between)
        if order != "space_time":  # its edges are steps of time, which no explainer's mask is of
            self.recurrence._explain = False  # unlike torch_geometric's setter, without a method that holds the layer
        if order == "space_then_time":
            self.gcn = GCN(in_channels, hidden_channels, improved=improved, bias=bias)
        elif order == "time_then_space" and out_channels is not None:
            self.gcn = GCN(hidden_channels, out_channels, improved=improved, bias=bias)
        if order != "time_then_space" and out_channels is not None:
            self.lin = nn.Linear(hidden_channels, out_channels, bias=bias)
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
        *,
        observed: Tensor | None = None,
        exogenous: Tensor | None = None,
        chunk_size: int | None = None,
    ) -> tuple[Tensor, State]:
        """The outputs of all steps and the last state; T steps are T calls of one step, each given the state before.

        Windows [B, T, N, F] are B calls of one window each; of them x, mask, observed, exogenous and the outputs begin
        with B, a state is [L, B, N, H], and the graph or the T graphs are the same for all. They run in chunks. From
        two chunks on the backward pass computes each chunk once more, so that beside inputs, outputs and states a step
        of training holds one chunk.

        Args:
            x: Inputs. [T, N, F], or windows [B, T, N, F].
            edge_index: The graph of all steps, or a list of T graphs, each in any form of
                :func:`gnnseq.graphs.as_edge_index`. [2, E]
            edge_weight: Weights of its edges [E], or a list of T such, None for a step whose weights are all 1.
            state: Initial state, zeros if None. [L, N, H], a pair of these for an LSTM.
            mask: Which nodes are there. A node that is not sends and receives nothing, its input is not read, its
                output is 0, and its state is kept until it comes back. Boolean [T, N].
            observed: Which values of x are known. One that is not is read as 0, whatever it holds, NaN too, of a node
                that goes on as any other: 0 should be a usual value, as it is of standardised features. Boolean
                [T, N, F]. Where the layer should know what is missing, give ``observed.to(x.dtype)`` as exogenous.
            exogenous: The exogenous features, of every node [T, N, X] or shared by all [T, X].
            chunk_size: Most windows at once; None for as many as need about 256 MB in float32.

        Returns:
            The outputs [T, N, out_channels], or [T, N, H] if out_channels is None, and the state, as it can be given.

        Raises:
            ValueError: If x, a graph, the state or another input has a wrong shape, type, length or device, or a node
                of a step has a negative degree.
        """
        channels = self.in_channels, self.exogenous_channels
        inputs = as_inputs(self.recurrence, channels, x, state, mask, observed, exogenous)
        if self.out_channels is not None and self.order != "time_then_space":
            dtype = self.recurrence.weights("l0").weight_ih.dtype
            check_map("lin", self.lin, (self.out_channels, self.hidden_channels), dtype)
        steps, nodes = x.shape[-3:-1]
        graphs = graphs_of_steps(edge_index, edge_weight, steps, nodes, x.device)
        in_windows = x.dim() == 4
        if chunk_size is not None:
            chunk_size = whole(1, chunk_size=chunk_size)
            if not in_windows:
                raise ValueError(f"chunk_size={chunk_size} and x has shape {list(x.shape)}; expected windows "
                                 "[B, T, N, F], or chunk_size=None")  # fmt: skip
        if in_windows or self._reads_no_relations:
            graphs = [as_edge_index(edges, nodes, weight) for edges, weight in graphs]
        changing = not isinstance(edge_index, Tensor)
        if not in_windows:
            return self._run(inputs, graphs, nodes, None, changing)

        def run(inputs: Inputs, first: int) -> tuple[Tensor, State]:
            copies = inputs.x.size(1) // max(nodes, 1)
            return self._run(inputs, [copies_of(graph, copies, nodes) for graph in graphs], nodes, first, changing)

        if self._is_explained:  # whose mask is of one window's edges
            chunk_size = 1
        return run_windows(run, inputs, chunk_size or self._windows_at_once(steps, nodes, graphs))

    def _run(
        self, inputs: Inputs, graphs: list[Graph], nodes: int, first: int | None, changing: bool
    ) -> tuple[Tensor, State]:
        """The outputs [T, C * N, out_channels] and the state of a history, or of windows side by side.

        Args:
            inputs: Of the history.
            graphs: Its graphs.
            nodes: N.
            first: Number of the first window; None of a history that is in no window.
            changing: Whether there is a graph for every step.
        """
        x, mask = inputs.features(), inputs.mask
        mask = None if x.size(0) == 0 else mask
        state = inputs.state
        try:
            y, last = self._sweep_and_convolve(x, graphs, state if state is None or len(state) > 1 else state[0], mask)
        except DegreeError as error:
            step, place = divmod(error.node, max(x.size(1), 1))  # of the steps' graphs side by side
            window, node = divmod(place, nodes)
            where = f"step {step}: " if changing or mask is not None else ""
            if first is not None and mask is not None:
                where = f"window {first + window}, {where}"
            raise DegreeError(node, error.end, error.degree, where) from None
        return y if mask is None else y.masked_fill(~mask.unsqueeze(2), 0.0), last

    def _sweep_and_convolve(
        self, x: Tensor, graphs: list[Graph], state: State | None, mask: Tensor | None
    ) -> tuple[Tensor, State]:
        """The outputs [T, N, out_channels], unspecified if masked, and the state."""
        if self.order == "space_then_time":
            z = torch.relu(convolve_steps(self.gcn, x, graphs, mask))
            h, state = self._along_paths(self._drop(z), state, mask)
        elif self.order == "space_time":
            h, state = self._through_space_time(x, graphs, state, mask)
        else:
            h, state = self._along_paths(x, state, mask)
        if self.out_channels is None:
            return h, state
        h = self._drop(h)
        y = convolve_steps(self.gcn, h, graphs, mask) if self.order == "time_then_space" else self.lin(h)
        return y, state

    def _drop(self, h: Tensor) -> Tensor:
        return functional.dropout(h, self._dropout, self.training) if self._dropout > 0.0 else h

    def _windows_at_once(self, steps: int, nodes: int, graphs: list[Graph]) -> int:
        """As many as keep about NUMBERS numbers for the backward pass, one at least."""
        cell, width = self.recurrence.cell, self.hidden_channels
        channels = self.in_channels + self.exogenous_channels + (self.out_channels or 0) + 2 * width
        channels += self.recurrence.num_layers * (cell.gates + cell.states + 2) * width
        edges = sum(edge_index.size(1) for edge_index, _ in graphs) * (steps if len(graphs) == 1 else 1)
        wide = self.recurrence.num_layers * cell.states * width if self.order == "space_time" else 0
        return max(NUMBERS // max(steps * nodes * channels + edges * (wide + 8), 1), 1)

    @property
    def _reads_no_relations(self) -> bool:
        return self.order == "time_then_space" and self.out_channels is None

    @property
    def _is_explained(self) -> bool:
        return any(bool(part.explain) for part in self.children() if isinstance(part, MaskedMessagePassing))

    @property
    def dropout(self) -> float:
        """The probability of dropping what one part hands to the next."""
        return self._dropout

    @dropout.setter
    def dropout(self, dropout: float) -> None:
        self._dropout = probability(dropout=dropout)
        if self.recurrence.num_layers > 1:
            self.recurrence.dropout = dropout

    @property
    def improved(self) -> bool:
        """Whether self-loops weigh 2."""
        return self._improved

    @improved.setter
    def improved(self, improved: bool) -> None:
        self._improved = flag(improved=improved)
        if "gcn" in self._modules:
            self.gcn.improved = improved

    def _along_paths(self, x: Tensor, state: State | None, mask: Tensor | None) -> tuple[Tensor, State]:
        """The recurrence along each node's own steps: h [T, N, H], unspecified if masked."""
        steps, nodes, _ = x.shape
        if mask is None:
            return self._sweep(x, paths_of(steps, nodes, x.device, needs_messages(self.recurrence)), None, state)
        if is_compiled(self.recurrence):
            return self._sweep(x, WholeSchedule.masked_paths(mask), None, state)
        if is_recording() and steps > 0 and not needs_messages(self.recurrence):
            own = torch.arange(nodes, device=x.device).expand(2, -1)  # each node reads its own last state
            return loop_over_steps(self.recurrence, x, [(own, x.new_ones(nodes))], state, mask)
        return self._sweep(x, *masked_paths(mask), state)

    def _through_space_time(
        self, x: Tensor, graphs: list[Graph], state: State | None, mask: Tensor | None
    ) -> tuple[Tensor, State]:
        """The recurrence whose states go over the edges of each step: h [T, N, H], unspecified if masked."""
        steps, nodes, _ = x.shape
        graphs = [as_edge_index(edges, nodes, weight) for edges, weight in graphs]
        edges, weights = zip(*graphs, strict=True)
        enters = state is not None
        # Degrees are sums of many weights: half precision would lose them.
        dtype = torch.promote_types(x.dtype, torch.float32)
        if is_compiled(self.recurrence):
            whole = WholeSchedule.space_time(
                join_steps(graphs, x, mask), (steps, nodes), mask, enters, dtype, self.improved
            )
            return self._sweep(x, whole, None, state)
        if is_recording() and steps > 0 and not needs_messages(self.recurrence):
            number = steps if mask is not None else len(graphs)
            joined = [
                join_steps([graphs[t % len(graphs)]], x[:1], None if mask is None else mask[t : t + 1])
                for t in range(number)
            ]
            weighted = [
                (append_self_loops(each.edge_index, nodes), each.normalized(dtype, self.improved)) for each in joined
            ]
            return loop_over_steps(self.recurrence, x, weighted, state, mask)
        graph = self._graph.get(
            (mask, *edges),
            (steps, nodes, enters),
            lambda: SpaceTimeGraph.of(JoinedGraph.of(graphs, x, mask), (steps, nodes), mask, enters),
        )

        def weigh() -> Schedule:
            return graph.weighted(JoinedGraph.of(graphs, x, mask), dtype, self.improved)

        learnt = any(map(is_learnt, weights))
        schedule = weigh() if learnt else self._weighted.get(weights, (dtype, graph, self.improved), weigh)
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

    def _sweep(
        self, x: Tensor, schedule: Schedule | WholeSchedule | EqualPaths, order: Tensor | None, state: State | None
    ) -> tuple[Tensor, State]:
        """The recurrence, whose node p is row ``order[p]`` of the steps' nodes: h [T, N, H] and the state."""
        steps, nodes, channels = x.shape
        flat = x.reshape(steps * nodes, channels)
        h, state = self.recurrence(flat if order is None else flat.index_select(0, order), schedule, state)
        if order is not None:
            h = h.new_zeros(steps * nodes, h.size(1)).index_copy(0, order, h)
        return h.view(steps, nodes, h.size(1)), state

    def __repr__(self) -> str:
        usual = {"num_layers": 1, "exogenous_channels": 0, "bias": True, "dropout": 0.0, "improved": False}
        given = {name: getattr(self if name != "num_layers" else self.recurrence, name) for name in usual}
        named = "".join(f", {name}={value!r}" for name, value in given.items() if value != usual[name])
        sizes = f"{self.in_channels}, {self.hidden_channels}, {self.out_channels}"
        return (
            f"{type(self).__name__}({sizes}, order={self.order!r}, recurrent={type(self.recurrence).__name__!r}{named})"
        )
