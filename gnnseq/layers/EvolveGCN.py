"""A graph convolution whose weights evolve: a recurrence along the path of its weight matrices.

Letters: T time steps, N nodes, F input channels, O output channels, E edges of one step's graph.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gnnseq.checks import check_one_device, check_parameter, check_type, flag, named_as_peers, shape_of, whole
from gnnseq.graphs import as_edge_index
from gnnseq.layers.cells import cell_named
from gnnseq.layers.GCN import GCN
from gnnseq.layers.recurrent_checks import check_state
from gnnseq.layers.step_graphs import convolve_steps, graphs_of_steps
from gnnseq.layers.zero_gradients import with_zero_gradients
from gnnseq.normalization import DegreeError

__all__ = ["EvolveGCN"]

State = Tensor | tuple[Tensor, ...]


class EvolveGCN(nn.Module):
    r"""A graph convolution whose kernel is the state of a recurrence, one step of it a step of time.

    With :math:`\hat w^t_{ji}` the normalised adjacency of step t's graph, self-loops included, and Cell a GRU's or an
    LSTM's step, applied to every row o of the kernel, which is a node of a path over time:

    .. math::
        W_{t,o} = \mathrm{Cell}(z_{t,o}, W_{t-1,o}), \qquad
        y_{t,i} = W_t \sum_j \hat w^t_{ji} x_{t,j}

    - ``"O"``: :math:`z_t = W_{t-1}`. The kernel evolves by itself, whatever the inputs.
    - ``"H"``: row o of :math:`z_t` is :math:`\tanh(s_{t,j}) x_{t,j}` of the node j with the o-th largest score
      :math:`s_{t,j} = p \cdot x_{t,j} / \lVert p \rVert`; of equal scores the first node's.

    The first step's kernel is Cell's of ``weight``, a parameter. The kernel of the last step is returned, and taken to
    go on; the layer itself keeps nothing between calls, in training or evaluation. Rows of :math:`W_t` are the columns
    of the paper's, which it multiplies from the right; biases of the gates are shared by them, as in torch.nn.

    **Reach.** The output at (i, t) depends on the inputs of step t at i and at nodes with an edge to i: one hop, now.
    ``"O"`` has no other input in it. ``"H"`` also reads, through its kernel, every node of every step up to t, wherever
    it is: features of those it chooses, and of the others whether to choose them, which no derivative at one input
    sees.

    Args:
        in_channels: Width F of the inputs.
        out_channels: Width O of the outputs, and, in version ``"H"``, how many nodes are chosen in each step.
        version: ``"O"`` or ``"H"``.
        recurrent: ``"GRU"``, ``"LSTM"``, ``"RNN"``, ``"MinGRU"`` or ``"MinLSTM"``; ``cell`` is
            another name. An LSTM's kernel is its h.
        improved: Whether self-loops weigh 2 instead of 1.

    Raises:
        ValueError: If an argument is out of its range.

    Source: Pareja et al. 2020, https://arxiv.org/abs/1902.10191; there a relu follows each layer, which is left to the
    model here, as with :class:`gnnseq.layers.GCN`.

    Example:
        >>> from gnnseq.graphs import path_graph
        >>> layer, x = EvolveGCN(3, 4, version="H"), torch.randn(6, 5, 3)
        >>> edges = path_graph(5, undirected=True).edge_index
        >>> y, state = layer(x, edges)
        >>> first, half = layer(x[:4], edges)
        >>> last, _ = layer(x[4:], edges, state=half)
        >>> y.shape, torch.allclose(torch.cat([first, last]), y, atol=1e-6)
        (torch.Size([6, 5, 4]), True)
    """

    score: nn.Parameter | None

    @named_as_peers(cell="recurrent")
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        version: str = "O",
        recurrent: str = "GRU",
        *,
        improved: bool = False,
    ) -> None:
        super().__init__()
        self.in_channels = whole(1, in_channels=in_channels)
        self.out_channels = whole(1, out_channels=out_channels)
        if version not in ("O", "H"):
            raise ValueError(f"version={version!r}; expected 'O', a kernel that evolves by itself, or 'H', by inputs")
        self.version = version
        self.weight = nn.Parameter(torch.empty(self.out_channels, self.in_channels))
        self.recurrence = cell_named(recurrent=recurrent)(self.in_channels, self.in_channels)
        self.recurrence._explain = False  # its edges are steps of time, which no explainer's mask is of
        self.register_parameter("score", nn.Parameter(torch.empty(self.in_channels)) if version == "H" else None)
        self.gcn = GCN(self.in_channels, self.in_channels, improved=flag(improved=improved), bias=False)
        self.gcn.lin = nn.Identity()  # type: ignore[assignment]  # sums over neighbours alone
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws all parameters anew: the first kernel as a GCN's, p uniformly within 1 / sqrt(F)."""
        nn.init.xavier_uniform_(self.weight)
        self.recurrence.reset_parameters()
        if self.score is not None:
            nn.init.uniform_(self.score, -(self.in_channels**-0.5), self.in_channels**-0.5)

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor | Sequence[Tensor],
        edge_weight: Tensor | Sequence[Tensor | None] | None = None,
        state: State | None = None,
    ) -> tuple[Tensor, State]:
        """The outputs of all steps and the last kernel; T steps are T calls of one step, each given the state before.

        Args:
            x: Inputs. [T, N, F]
            edge_index: The graph of all steps, or a list of T graphs, each in any form of
                :func:`gnnseq.graphs.as_edge_index`. [2, E]
            edge_weight: Weights of its edges [E], or a list of T such, None for a step whose weights are all 1.
            state: The kernel before the first step, ``weight`` if None. [1, O, F], a pair (h, c) of these for an LSTM,
                whose c begins at zero.

        Returns:
            The outputs [T, N, O] and the state, as it can be given.

        Raises:
            ValueError: If x, a graph or the state has a wrong shape, type, length or device, a node of a step has a
                negative degree, or version ``"H"`` has fewer nodes to choose from than output channels.
        """
        parts = self._check(x, state)
        steps, nodes, _ = x.shape
        graphs = graphs_of_steps(edge_index, edge_weight, steps, nodes, x.device)
        if steps == 0:
            for edges, weight in graphs:
                as_edge_index(edges, nodes, weight)
        try:
            summed = convolve_steps(self.gcn, x, graphs)
        except DegreeError as error:
            step, node = divmod(error.node, nodes)  # of the steps' graphs side by side
            where = "" if isinstance(edge_index, Tensor) else f"step {step}: "
            raise DegreeError(node, error.end, error.degree, where) from None
        kernels, last = self._evolve(x, parts)
        y = summed @ kernels.to(summed.dtype).transpose(1, 2)
        if y.numel() == 0:
            (y,) = with_zero_gradients(self, y)
        return y, last if len(last) > 1 else last[0]

    def _evolve(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The kernels of all steps [T, O, F] and the last state."""
        if self.version == "H":
            kernels, after = self.recurrence(self._choose(x), _as_given(state))
            return kernels, _as_parts(after)
        found = []
        for _ in range(len(x)):
            _, after = self.recurrence(state[0], _as_given(state))
            state = _as_parts(after)
            found.append(state[0])
        return torch.cat(found) if found else state[0][:0], state

    def _choose(self, x: Tensor) -> Tensor:
        """The features of the nodes with the largest scores, weighed by these. [T, O, F]"""
        assert self.score is not None
        x = x.to(self.score.dtype)  # as a recurrence is, also under autocast
        score = (x * (self.score / self.score.norm())).sum(2)  # [T, N]
        place = score.detach().sort(dim=1, descending=True, stable=True).indices[:, : self.out_channels]
        chosen = x.gather(1, place.unsqueeze(2).expand(-1, -1, x.size(2)))
        return torch.tanh(score.gather(1, place)).unsqueeze(2) * chosen

    def _check(self, x: Tensor, state: State | None) -> tuple[Tensor, ...]:
        """The parts of the state."""
        check_parameter("weight", self.weight, (self.out_channels, self.in_channels), self.weight.dtype)
        check_parameter("score", self.score, (self.in_channels,), self.weight.dtype)
        check_type(x, self.weight)
        if x.dim() != 3 or x.size(2) != self.in_channels:
            raise ValueError(f"x has shape {list(x.shape)}; expected [T, N, {self.in_channels}]")
        if self.version == "H" and x.size(1) < self.out_channels:
            raise ValueError(f"x has {x.size(1)} nodes, and version='H' chooses one for each of out_channels="
                             f"{self.out_channels}; expected as many nodes or more: use fewer channels or "
                             "version='O'")  # fmt: skip
        check_one_device(x=x, parameters=self.weight)
        if state is None:
            first = self.weight.unsqueeze(0)
            return (first, torch.zeros_like(first))[: self.recurrence.cell.states]
        given = tuple(state) if isinstance(state, tuple | list) else (state,)
        if any(list(getattr(part, "shape", ())) != [1, *self.weight.shape] for part in given):
            kind = "a pair (h, c), each " if self.recurrence.cell.states == 2 else ""
            raise ValueError(f"state has shape {', '.join(map(shape_of, given))}; expected {kind}"
                             f"{[1, *self.weight.shape]}: 1, out_channels, in_channels")  # fmt: skip
        return check_state(self.recurrence, state, self.out_channels, "1, out_channels, in_channels")

    def __repr__(self) -> str:
        sizes = f"{self.in_channels}, {self.out_channels}, version={self.version!r}"
        improved = ", improved=True" if self.gcn.improved else ""
        return f"{type(self).__name__}({sizes}, recurrent={type(self.recurrence).__name__!r}{improved})"


def _as_given(state: tuple[Tensor, ...]) -> State:
    return state if len(state) > 1 else state[0]


def _as_parts(state: State) -> tuple[Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)
