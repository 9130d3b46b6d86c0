"""What RNN, LSTM and GRU share: stacked layers, two directions, state in and out, torch.nn's parameters.

Letters: N nodes, F input channels, H hidden channels, L layers, D directions, B rows of state, G gates, S state width.
"""

import warnings
from dataclasses import replace
from typing import Any, ClassVar, overload

import torch
from scipy.sparse import csr_array
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence
from torch_geometric.typing import OptTensor

from gnnseq.checks import (
    as_edges_by,
    check_one_device,
    check_parameter,
    check_type,
    flag,
    named_as_peers,
    probability,
    whole,
)
from gnnseq.kernels.cell import Cell, CellWeights, suffixes
from gnnseq.kernels.dispatch import choose_kernel
from gnnseq.kernels.equal_path import EqualPaths, equal_path_sweep
from gnnseq.kernels.input_projection import is_index, project_inputs
from gnnseq.kernels.whole_schedules import WholeSchedule
from gnnseq.kernels.whole_sweep import sweep_whole
from gnnseq.layers.initialization import check_init, init_kernels
from gnnseq.layers.recurrent_checks import check_index, check_state
from gnnseq.layers.torch_calls import as_nodes, from_nodes, is_state
from gnnseq.layers.torch_recurrence import in_torch
from gnnseq.layers.zero_gradients import with_zero_gradients
from gnnseq.message_passing import ScheduledMessagePassing, check_settings, is_compiled, needs_messages
from gnnseq.schedule import Schedule, topological
from gnnseq.schedule.reachability import dependence
from gnnseq.tracing import is_recording

__all__ = ["PEERS", "PLACES", "Recurrent"]

State = Tensor | tuple[Tensor, ...]

PLACES = (
    "; by place the order is torch.nn's, num_layers, [nonlinearity of an RNN,] bias, batch_first, dropout, "
    "bidirectional: write bias=, dropout=, bidirectional= by name"
)


PEERS = {"input_size": "in_channels", "hidden_size": "hidden_channels"}  # torch.nn's names


class Recurrent(ScheduledMessagePassing):
    """Base of the recurrent layers. A subclass defines its rule, in ``message`` and ``update``.

    Attributes:
        cell: What kernels know of the rule.
        inits: Names that ``reset_parameters`` takes.
    """

    cell: Cell
    inits: tuple[str, ...]
    propagate_type: ClassVar[dict[str, Any]] = {
        **ScheduledMessagePassing.propagate_type, "weight_hh": Tensor, "bias_hh": OptTensor
    }  # fmt: skip
    proj_size = 0  # by torch.nn's name: there are no projections
    batch_first = False  # of layers pickled before there was a choice

    @named_as_peers(**PEERS)
    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        init: str = "torch",
        time_scale: float | None = None,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.in_channels = whole(0, in_channels=in_channels)
        self.hidden_channels = whole(1, hidden_channels=hidden_channels)
        self.num_layers = whole(1, num_layers=num_layers)
        if whole(0, proj_size=proj_size) > 0:
            raise ValueError(f"proj_size={proj_size}; expected 0: {type(self).__name__} hands on h as it is; map its "
                             "outputs by a torch.nn.Linear, or use torch.nn.LSTM")  # fmt: skip
        self.bias = flag(PLACES, bias=bias)
        self.batch_first = flag(PLACES, batch_first=batch_first)
        self.bidirectional = flag(PLACES, bidirectional=bidirectional)
        self.dropout = probability(dropout=dropout)
        super().__init__()
        if dropout > 0.0 and self.num_layers == 1:
            callers = 3 if type(self).__init__ is Recurrent.__init__ else 5  # with the frames of each constructor
            warnings.warn(f"dropout={dropout} drops nothing: it is between layers, and there is one; drop from h "
                          "with torch.nn.Dropout, or use num_layers=2", stacklevel=callers)  # fmt: skip
        self.state_channels = self.cell.states * self.hidden_channels
        self.init = init
        self.time_scale = time_scale
        width, linear = self.cell.gates * self.hidden_channels, self.cell.linear

        def empty(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape, device=device, dtype=dtype))

        for layer in range(self.num_layers):
            channels = self.in_channels if layer == 0 else self.hidden_channels * self.num_directions
            for suffix in self._suffixes(layer):
                self.register_parameter(f"weight_ih_{suffix}", empty(width, channels))
                kernel = None if linear else empty(width, self.hidden_channels)
                self.register_parameter(f"weight_hh_{suffix}", kernel)
                self.register_parameter(f"bias_ih_{suffix}", empty(width) if self.bias else None)
                self.register_parameter(f"bias_hh_{suffix}", empty(width) if self.bias and not linear else None)
        self.reset_parameters()

    def reset_parameters(self, init: str | None = None, time_scale: float | None = None) -> None:
        """Draws the parameters anew.

        Args:
            init: One of the names of :func:`gnnseq.layers.initialization.init_kernels`; the constructor's if None.
                All but ``"torch"`` set the biases to zero before anything else.
            time_scale: For ``"chrono"``, the longest dependency in steps; the constructor's if None.

        Raises:
            ValueError: If the name is unknown, or ``"chrono"`` has no time_scale or no biases to set.
        """
        if time_scale is None and init in (None, "chrono"):
            time_scale = self.time_scale
        init = self.init if init is None else init
        check_init(init, self.inits, time_scale)
        if init == "chrono" and not self.bias:
            raise ValueError("init='chrono' sets biases, and bias=False leaves none; use bias=True")
        for layer in range(self.num_layers):
            for suffix in self._suffixes(layer):
                weights = self.weights(suffix)
                init_kernels(weights.weight_ih, init, recurrent=False, gates=self.cell.gates)
                if not self.cell.linear:
                    init_kernels(weights.weight_hh, init, recurrent=True, gates=self.cell.gates)
                for bias in (weights.bias_ih, weights.bias_hh):
                    if bias is not None and init == "torch":
                        nn.init.uniform_(bias, -(self.hidden_channels**-0.5), self.hidden_channels**-0.5)
                    elif bias is not None:
                        nn.init.zeros_(bias)
                if init == "chrono":
                    assert weights.bias_ih is not None
                    assert time_scale is not None
                    self._init_time_scale(weights.bias_ih, time_scale)

    @overload
    def forward(
        self,
        x: Tensor,
        graph: Schedule | Tensor | State | None = None,
        state: State | None = None,
        *,
        hx: State | None = None,
    ) -> tuple[Tensor, State]: ...

    @overload
    def forward(
        self,
        x: PackedSequence,
        graph: State | None = None,
        state: State | None = None,
        *,
        hx: State | None = None,
    ) -> tuple[PackedSequence, State]: ...

    def forward(
        self,
        x: Tensor | PackedSequence,
        graph: Schedule | Tensor | State | None = None,
        state: State | None = None,
        *,
        hx: State | None = None,
    ) -> tuple[Tensor | PackedSequence, State]:
        """Runs all layers over the graph.

        Args:
            x: Inputs of the nodes. [N, F], or integers [N] of 0 to F - 1, each standing for the one-hot row that is 1
                there: the same numbers and gradients, by a look-up in W_ih in place of the product with it.
            graph: A schedule, or ``edge_index`` [2, E] of a directed acyclic graph, which is swept topologically;
                making the schedule once saves its cost on every later call. Of a Batch in which some graph has no
                nodes, make the schedule with ``ptr``, so that this graph has its rows of state too.
            state: Initial state, as torch.nn has it, rows in the order of ``schedule.starts``; zeros if None.
                [L * D, B, H], a pair of these for an LSTM.
            hx: The same, by torch.nn's name.

        Without a graph it is torch.nn's call, with torch.nn's shapes: x is a PackedSequence, a batch [T, B, F]
        ([B, T, F] if ``batch_first``) or one sequence [T, F], and a state may stand in the graph's place. h comes back
        in x's form, rows of states are in the order of the caller's sequences, and that of [T, F] is [L * D, H].

        Returns:
            h [N, H * D], the last layer's output at every node, and the final state, rows in the order of
            ``schedule.ends``. [L * D, B', H]. On paths B' = B and both are torch.nn's h_0 and h_n. In a bidirectional
            layer the backward direction's state enters at the ends and is read at the starts; if these differ in
            number (on a tree), the rows of both are padded with zeros to the larger.

        Raises:
            ValueError: If x, the graph or the state have a wrong shape, type or device, or the graph has a cycle.
        """
        if hx is not None:
            if state is not None:
                raise ValueError("state came twice, as hx too; give one of the two")
            state = hx
        found = in_torch(self, x, graph, state)
        if found is not None:
            return found
        if not isinstance(graph, Schedule | WholeSchedule | EqualPaths):
            if is_state(graph, x, (self.num_layers * self.num_directions, self.hidden_channels)):
                if state is not None:
                    raise ValueError("state came twice, in the graph's place and by name; give one of the two")
                return self.forward(x, None, graph)
            if graph is None:
                weight, see_messages = self.weights("l0").weight_ih, needs_messages(self)
                nodes, schedule, state = as_nodes(x, state, self.batch_first, weight, see_messages)
                h, final = self.forward(nodes, schedule, state)  # type: ignore[arg-type] # what is recorded sweeps otherwise
                return from_nodes(h, final, x, self.batch_first)
        schedule = self._check(x, graph)
        assert isinstance(x, Tensor)
        if not isinstance(schedule, Schedule):
            initial = self._split_state(state, schedule.entering, schedule.leaving)
            h, finals = self._sweep_layers(x, schedule, initial)
            return h, self.join_state(finals)
        schedule = self.masked(schedule)
        if is_recording():
            schedule.prepare(self.bidirectional)
        initial = self._split_state(state, schedule.starts.numel(), schedule.ends.numel())
        h = x if schedule.order is None else x.index_select(0, schedule.order)
        h, finals = self._sweep_layers(h, schedule.in_order, initial)
        if schedule.order is not None:
            h = torch.empty_like(h).index_copy(0, schedule.order, h)
        if schedule.num_nodes == 0 or schedule.rounds == 0:  # nothing has read the parameters
            h, *finals = with_zero_gradients(self, h, *finals)
        return h, self.join_state(finals)

    def _sweep_layers(
        self, h: Tensor, schedule: Schedule | WholeSchedule | EqualPaths, initial: list[Tensor] | None
    ) -> tuple[Tensor, list[Tensor]]:
        """All layers: the last one's output [N, H * D], and every final state [B', S]."""
        finals: list[Tensor] = []
        for layer in range(self.num_layers):
            outputs = []
            for direction, suffix in enumerate(self._suffixes(layer)):
                along = schedule if direction == 0 else schedule.reversed
                rows = along.starts.numel() if isinstance(along, Schedule) else along.entering
                entering = None if initial is None else initial[len(finals)][:rows]
                output, final = self.sweep(h, along, entering, self.weights(suffix))
                outputs.append(output)
                finals.append(final)
            h = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1)
            if self.dropout > 0.0 and layer < self.num_layers - 1:
                h = functional.dropout(h, self.dropout, self.training)
        return h, finals

    def sweep(
        self,
        x: Tensor,
        schedule: Schedule | WholeSchedule | EqualPaths,
        initial: Tensor | None,
        weights: CellWeights,
        mixed: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """One layer in one direction: h [N, H] and the final state [B', S]; mixed as :class:`Cell` says."""
        device = x.device.type
        if torch.amp.autocast_mode.is_autocast_available(device) and torch.is_autocast_enabled(device):
            # Rounding adds up over steps, so that mixed precision leaves states and sums in the parameters' own.
            mixed = torch.get_autocast_dtype(device) == torch.bfloat16
            with torch.autocast(device, enabled=False):
                x = x if is_index(x) else x.to(weights.weight_hh.dtype)
                return self.sweep(x, schedule, initial, weights, mixed)
        if isinstance(schedule, WholeSchedule):
            return sweep_whole(self.cell, x, schedule, initial, weights, mixed)
        if isinstance(schedule, EqualPaths):
            return equal_path_sweep(self.cell, x, schedule, initial, weights)
        if needs_messages(self):
            return self._sweep_step_by_step(x, schedule, initial, weights)
        if schedule.order is not None:  # as a reversed schedule has one of its own
            h, final = self.sweep(x.index_select(0, schedule.order), schedule.in_order, initial, weights, mixed)
            return h.new_empty(h.shape).index_copy(0, schedule.order, h), final
        kernel = choose_kernel(self.cell, x, schedule, initial, weights)
        if kernel is None:
            return self._sweep_step_by_step(x, schedule, initial, weights)
        cell = replace(self.cell, mixed=True) if mixed else self.cell
        return kernel(cell, x, schedule, initial, weights, self.step_by_step)

    def _sweep_step_by_step(
        self, x: Tensor, schedule: Schedule, initial: Tensor | None, weights: CellWeights
    ) -> tuple[Tensor, Tensor]:
        states = self.step_by_step(x, schedule, initial, weights)
        if initial is None:
            initial = states.new_zeros(schedule.starts.numel(), self.state_channels)
        # Row N + b is the untouched initial state.
        row = torch.arange(schedule.ends.numel(), device=x.device) if schedule.passed is None else schedule.passed
        final = torch.cat([states, initial])[torch.where(schedule.ends < 0, row + schedule.num_nodes, schedule.ends)]
        return states[:, : self.hidden_channels], final

    def step_by_step(self, x: Tensor, schedule: Schedule, initial: Tensor | None, weights: CellWeights) -> Tensor:
        """One layer in one direction by the readable loop, that every kernel is held equal to. [N, S]"""
        input_projection = project_inputs(x, weights.weight_ih, weights.bias_ih)
        return self.run(input_projection, schedule, initial, weight_hh=weights.weight_hh, bias_hh=weights.bias_hh)

    @property
    def num_directions(self) -> int:
        """2 if the reversed edges are swept too, else 1."""
        return 2 if self.bidirectional else 1

    def _suffixes(self, layer: int) -> tuple[str, ...]:
        return suffixes(layer, self.num_directions)

    def weights(self, suffix: str) -> CellWeights:
        """The parameters whose names end so: ``"l0"`` is the first layer, ``"l0_reverse"`` its other direction.

        Raises:
            ValueError: If one has another shape or type than the layer was made with.
        """
        names, kept = [f"{name}_{suffix}" for name in CellWeights._fields], self._parameters
        own = CellWeights(*(kept[name] if name in kept else getattr(self, name) for name in names))
        cell, hidden, dtype = self.cell, self.hidden_channels, own.weight_ih.dtype
        width, channels = cell.gates * hidden, self.in_channels
        if suffix != "l0":
            dtype = self.weight_ih_l0.dtype
            channels = channels if suffix == "l0_reverse" else hidden * self.num_directions
        shapes = (width, channels), (width, hidden), (width,), (width,)
        for name, weight, shape in zip(names, own, shapes, strict=True):
            if weight is not None and (weight.shape != shape or weight.dtype != dtype):
                check_parameter(name, weight, shape, dtype)
        return own._replace(weight_hh=own.weight_ih.new_empty(0, hidden)) if cell.linear else own

    def reach(self, graph: Schedule | Tensor, num_nodes: int) -> csr_array:
        """Which inputs each output depends on, by the structure of the schedule alone.

        Returns:
            Row v holds the nodes that v's output depends on, whatever the parameters. Boolean [N, N].
        """
        schedule = graph if isinstance(graph, Schedule) else topological(graph, num_nodes)
        once = dependence(schedule)
        if self.bidirectional:
            once = once + dependence(schedule.reversed)
        reached = once
        for _ in range(self.num_layers - 1):
            reached = once @ reached
        return reached

    def check(self, x: Tensor, schedule: Schedule, state: State | None) -> None:
        """Raises the ValueError that a call with these would."""
        self._check(x, schedule)
        self._split_state(state, schedule.starts.numel(), schedule.ends.numel())

    def _check(self, x: Tensor | PackedSequence, graph: object) -> Schedule | WholeSchedule | EqualPaths:
        check_settings(self)
        weight = self.weight_ih_l0
        assert isinstance(weight, Tensor)
        if isinstance(x, PackedSequence):
            raise ValueError("x is a PackedSequence, which says itself how it is swept, and came with a graph: drop "
                             "the graph, or give x.data and packed_paths(x)")  # fmt: skip
        if not check_index(x, self.in_channels):
            check_type(x, weight)
            if x.dim() != 2 or x.size(1) != self.in_channels:
                raise ValueError(f"x has shape {list(x.shape)}; expected [N, {self.in_channels}], one row a node, or "
                                 "integers [N], the input channel that is 1 at each")  # fmt: skip
        if isinstance(graph, WholeSchedule | EqualPaths):
            return graph
        if not isinstance(graph, Schedule | Tensor):
            raise ValueError(f"graph is a {type(graph).__name__}; expected a Schedule, as of pack_paths, "
                             f"or an edge_index [2, E]{as_edges_by('graph', graph)}")  # fmt: skip
        if not isinstance(graph, Schedule):
            check_one_device(x=x, graph=graph)
            graph = topological(graph, x.size(0))
        if graph.doublings is not None:
            self._check_doubling()
        if is_compiled(self):  # numbers read here would be compiled into what serves every schedule
            check_one_device(x=x, graph=graph.ends, parameters=weight)
            return WholeSchedule.of(graph)
        if graph.num_nodes != x.size(0):
            raise ValueError(f"x has {x.size(0)} rows and the graph {graph.num_nodes} nodes; expected one row a node")
        check_one_device(x=x, graph=graph, parameters=weight)
        return graph

    def _check_doubling(self) -> None:
        name = type(self).__name__
        if not self.cell.linear:
            raise ValueError(f"graph is a doubling schedule; expected a topological one: jumps over edges need a "
                             f"rule that is linear in the state, and {name}'s puts it through a nonlinearity; use "
                             "MinGRU or MinLSTM")  # fmt: skip
        if needs_messages(self):
            raise ValueError(f"graph is a doubling schedule, and {name} has an explainer, a hook or a rule of its own, "
                             "which need the message of every edge, and jumps have none; use "
                             "topological()")  # fmt: skip

    def _split_state(self, state: State | None, entering: int, leaving: int) -> list[Tensor] | None:
        """The rows [B, S] of each layer and direction, of sweeps that B rows of state enter and B' leave."""
        if state is None:
            return None
        rows = max(entering, leaving) if self.bidirectional else entering
        axes = "layers * directions, rows in the order of the schedule's starts, hidden_channels"
        return list(torch.cat(check_state(self, state, rows, axes), dim=2))

    def join_state(self, finals: list[Tensor]) -> State:
        """The state that a call returns, of each layer's and direction's rows [B', S]."""
        most = max(final.size(0) for final in finals)
        rows = [f if f.size(0) == most else functional.pad(f, (0, 0, 0, most - f.size(0))) for f in finals]
        if self.cell.states == 1:
            return torch.stack(rows)
        # Each part its own memory, not half of one: a caller may write into h_n, or view it.
        parts = zip(*(row.split(self.hidden_channels, dim=1) for row in rows), strict=True)
        return tuple(torch.stack(part) for part in parts)

    @property
    def input_size(self) -> int:
        """F, by torch.nn's name."""
        return self.in_channels

    @property
    def hidden_size(self) -> int:
        """H, by torch.nn's name."""
        return self.hidden_channels

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The parameters of each layer and direction, as torch.nn lists them."""
        suffixes = [suffix for layer in range(self.num_layers) for suffix in self._suffixes(layer)]
        names = [[f"{name}_{suffix}" for name in CellWeights._fields] for suffix in suffixes]
        return [[getattr(self, name) for name in own if getattr(self, name) is not None] for own in names]

    def flatten_parameters(self) -> None:
        """Does nothing, for programs written for torch.nn: the parameters are read where they lie."""

    def _init_time_scale(self, bias: Tensor, time_scale: float) -> None:
        raise NotImplementedError(f"{type(self).__name__} has no gates to set from time_scale")

    def __repr__(self) -> str:
        options: dict[str, object] = {"num_layers": 1, "nonlinearity": "tanh", "bias": True, "batch_first": False}
        options |= {"dropout": 0.0, "bidirectional": False}
        named = [f", {k}={getattr(self, k)!r}" for k, usual in options.items() if getattr(self, k, usual) != usual]
        return f"{type(self).__name__}({self.in_channels}, {self.hidden_channels}{''.join(named)})"
