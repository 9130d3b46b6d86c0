"""The receptive field of any torch module on a graph: which inputs an output depends on, how far away, how strongly.

Letters: N nodes, E edges, F input channels, C output channels, n nodes whose derivatives are measured, d a distance.
"""

import copy
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from torch import Tensor, nn

from gnnseq.graphs import as_edge_index
from gnnseq.reach.estimate import ReachEstimate, confirms, estimate_reach, not_excluded
from gnnseq.reach.evaluation import Call, frozen
from gnnseq.reach.hops import adjacency, farthest, mean_by_distance, mean_distance
from gnnseq.reach.jacobian import Jacobian
from gnnseq.reach.norms import block_norms
from gnnseq.reach.sparsity import structure_of
from gnnseq.schedule import Schedule

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ReceptiveField", "receptive_field"]

Integers = NDArray[np.int64]

# What influence may cost by default, in numbers computed (see Jacobian): seconds on one core.
BUDGET = 5 * 10**8
# Fewest nodes in the mean, even if they cost more than the budget.
LEAST = 8


@dataclass(frozen=True, eq=False)
class ReceptiveField:
    """What :func:`receptive_field` found.

    Attributes:
        reach: Row v holds the inputs u that v's output depends on. Boolean [N, N].
        hops: The farthest distance reached by each node, -1 where nothing reaches it. The distance of a pair is the
            number of edges on the shortest directed path u -> ... -> v; of a pair that has none, on the shortest path
            ignoring direction. [N]
        influence: Entry d is the mean Frobenius norm of the block d out_v / d x_u over pairs (v, u) at distance d with
            v among ``influence_nodes``: all pairs with a directed path, those with a zero block included, and the pairs
            of ``reach`` without one. NaN where there is no such pair. [largest hop + 1]
        influence_nodes: The nodes v of that mean. [n]
        method: ``"structure"`` or ``"gradients"``: where ``reach`` comes from.
        certain: Whether ``reach`` is proven.
        possible: ``reach`` and the pairs in doubt, which neither derivatives prove nor NaN excludes. It may lack pairs
            where NaN is swallowed. Boolean [N, N].
        unconnected: Number of pairs in ``reach`` without any path in the graph, which ``hops`` cannot count.
        pair_influence: Entry (i, u) is the Frobenius norm of the block d out_v / d x_u for v = ``influence_nodes[i]``;
            ``influence`` is its mean by distance. [n, N]
        edges: Row v holds the nodes u with an edge u -> v, along which distances are counted. Boolean [N, N].
    """

    reach: csr_array
    hops: Integers
    influence: NDArray[np.float64]
    influence_nodes: Integers
    method: str
    certain: bool
    possible: csr_array
    unconnected: int
    pair_influence: NDArray[np.float64]
    edges: csr_array

    @cached_property
    def range(self) -> NDArray[np.float64]:
        r"""How far away what a node depends on is, on the average: distances weighted by influence. [N]

        .. math:: \mathrm{range}_v = \sum_u \| \partial out_v / \partial x_u \|_F \, dist(u, v) \Big/
                  \sum_u \| \partial out_v / \partial x_u \|_F

        Where ``hops`` says how far a node can look, this says how far it does: k graph convolutions have a range well
        below k. Derivatives are those of the whole graph, distances those of ``hops``; pairs without any path are left
        out. NaN for nodes that are not among ``influence_nodes``, or that depend on nothing. Bamberger et al. 2025,
        https://arxiv.org/abs/2506.05971, with Frobenius norms of blocks in place of sums of absolute values.

        Example:
            >>> from gnnseq.graphs import path_graph
            >>> from gnnseq.layers import GCN
            >>> field = receptive_field(GCN(1, 1), torch.ones(3, 1), path_graph(3).edge_index)
            >>> field.range.round(3).tolist()  # node 1 weighs itself 1 / 2 and node 0 as much
            [0.0, 0.5, 0.414]
        """
        found = np.full(self.reach.shape[0], np.nan)
        found[self.influence_nodes] = mean_distance(self.pair_influence, self.influence_nodes, self.edges)
        return found

    def plot(self, ax: "Axes | None" = None, **line: Any) -> "Axes":
        """Draws influence against hops on a logarithmic axis; distances without influence are left out.

        Args:
            ax: Where to draw; a new figure's axes if None.
            line: Passed on to :meth:`matplotlib.axes.Axes.plot`, such as ``label`` and ``color``.

        Returns:
            The axes; ``axes.figure`` is the figure.
        """
        from gnnseq.plots import plot_influence

        return plot_influence(self.influence, ax, **line)

    def page(
        self,
        path: str | os.PathLike[str],
        *,
        name: str = "the module",
        title: str = "What an output depends on",
        names: Sequence[object] | None = None,
        positions: ArrayLike | None = None,
    ) -> Path:
        """Writes a page that draws the graph and answers clicks: which inputs a node depends on, by hops and influence.

        One HTML file that asks nothing of a network, for up to 10,000 nodes; it needs Bokeh
        (``pip install 'gnnseq[pages]'``). :func:`gnnseq.reach.write_page` puts several networks side by side, with a
        slider for layers or rounds, and tells more.

        Args:
            path: The file, whole or not there; its folder is made.
            name: What the module is called.
            title: The page's heading.
            names: What nodes are called, their numbers if None. [N]
            positions: Where nodes are drawn, by default where the graph's distances put them. [N, 2]

        Returns:
            The path.

        Raises:
            ValueError: If there is no node, or names or positions are not one a node.
            ImportError: If Bokeh is missing.

        Example:
            >>> from tempfile import TemporaryDirectory
            >>> from gnnseq.graphs import path_graph
            >>> from gnnseq.layers import LSTM
            >>> field = receptive_field(LSTM(4, 8), torch.randn(5, 4), path_graph(5).edge_index)
            >>> with TemporaryDirectory() as folder:
            ...     field.page(f"{folder}/words.html", names="the cat sat on it".split()).name
            'words.html'
        """
        from gnnseq.reach.page import write_page

        return write_page({name: self}, path, title=title, names=names, positions=positions)

    def __repr__(self) -> str:
        nodes, pairs, hops = self.reach.shape[0], self.reach.nnz, int(self.hops.max(initial=-1))
        doubt = (
            f"{self.possible.nnz - pairs} pairs in doubt"
            if self.possible.nnz > pairs
            else "NaN is swallowed, or output random"
        )
        doubt = "certain" if self.certain else doubt
        return f"ReceptiveField(nodes={nodes}, pairs={pairs}, hops<={hops}, by {self.method}, {doubt})"


def receptive_field(
    module: nn.Module,
    x: Tensor,
    edge_index: Any,
    *,
    call: Call | None = None,
    influence_nodes: int | Sequence[int] | None = None,
    use_structure: bool = True,
    draws: int = 24,
    seed: int = 0,
) -> ReceptiveField:
    r"""Which inputs each node's output depends on, how far away they are, and how strongly they act.

    .. math:: \mathrm{reach}_{vu} = [\, out_v \text{ depends on } x_u \,], \qquad
              \mathrm{influence}_d = \operatorname{mean}_{dist(u, v) = d} \| \partial out_v / \partial x_u \|_F

    on the whole graph, for a copy of the module in evaluation mode; in float64 wherever the module can be converted.
    The module, its gradients, modes and buffers, and the random states are left as they were.

    **By structure.** A module built of gnnseq's layers and of row-wise operations is traced, and its reach follows from
    its schedules (:mod:`gnnseq.reach.sparsity`). The derivatives of ``influence_nodes`` are compared with it. Where a
    derivative is missing, as with weights that cancel, the module is measured like any other; a derivative that fades
    below the smallest number of its type on the way to a far node is not taken for missing.

    **By gradients.** Any other module is measured, from both sides:

    - A derivative that is not zero proves dependence. Each output node takes one backward pass with a random cotangent,
      so that a block d out_v / d x_u that is not zero shows with probability one. At one input units may be off, so
      nodes with pairs in doubt are tried on up to ``draws`` further random inputs of scales from 1e-6 to 1e6: a
      random zero can delay a pair, not remove it.
    - An output that stays finite when a node's features are NaN has not been computed from that node.

    ``certain`` says that both sides agree, and that no operation was seen that swallows NaN (comparisons, argmax) or
    draws random numbers.
    Where they disagree, ``reach`` is what is proven and ``possible`` what is not excluded: products with zeros that
    only the numbers know of, such as a dense adjacency computed from x, and units that no input turns on, leave pairs
    in doubt. Derivatives say what floating-point numbers do: a term that cancels but for rounding counts. They are
    autograd's, which has x - x.detach() depend on x.

    This takes N backward and N forward passes. By structure it takes the passes for ``influence`` alone.

    Args:
        module: Called as module(x, edge_index).
        x: Features. [N, ...], floating point.
        edge_index: The graph: [2, E], an EdgeIndex, a torch.sparse adjacency [N, N], or a Schedule.
        call: How to call the module where that is not enough: call(module, x, edge_index), of which the output [N, ...]
            is taken, or the first element of a tuple. It must use the module that it is given.
        influence_nodes: Output nodes whose derivatives are taken in full, for ``influence``: their numbers, or how many
            to draw at random. By default all, or as many as a fixed number of operations allows.
        use_structure: Whether to look for the structure first; False measures in any case.
        draws: Most further random inputs.
        seed: Of the random inputs, cotangents and nodes.

    Returns:
        The receptive field.

    Raises:
        ValueError: If x, the graph, influence_nodes or the module's output are not as described.
        RuntimeError: If a derivative contradicts the structure, which is an error in gnnseq.

    Example:
        >>> from gnnseq.graphs import path_graph
        >>> from gnnseq.layers import GCN
        >>> field = receptive_field(GCN(4, 8), torch.randn(5, 4), path_graph(5).edge_index)
        >>> field
        ReceptiveField(nodes=5, pairs=9, hops<=1, by structure, certain)
        >>> field.reach[[3]].indices.tolist(), field.hops.tolist()
        ([2, 3], [0, 1, 1, 1, 1])
    """
    num_nodes = _check(x)
    _check_module(module)
    edges = adjacency(_edges(edge_index, num_nodes), num_nodes)
    generator = torch.Generator("cpu").manual_seed(seed)
    if num_nodes == 0:
        nobody = _integers([])
        return ReceptiveField(edges, nobody, np.empty(0), nobody, "structure", True, edges, 0, np.empty((0, 0)), edges)
    with frozen(module, call or _call, edge_index, x) as plain:
        _check_output(plain(plain.x))  # the module's own errors come first, and lazy parameters get their shapes
        double = plain.in_double()
        jacobian = Jacobian(double, double.x)
        nodes = _choose(influence_nodes, jacobian, generator)
        known = None
        if use_structure and plain.copied:
            known = structure_of(double.call_on, copy.deepcopy(double.module), double.x, jacobian.out)
        possible, trusted = (known.reach, True) if known is not None else not_excluded(plain, double)
        norms = block_norms(jacobian, nodes, double.x, known, possible if trusted else None)
        if known is not None and confirms(known.reach, double, nodes, norms, draws, generator):
            found = ReachEstimate(known.reach, known.reach, "structure", certain=True)
        else:
            found = estimate_reach(possible, trusted, plain, double, nodes, norms, draws, generator)
    hops, unconnected = farthest(found.reach, edges)
    influence = mean_by_distance(norms, nodes, found.reach, edges, int(hops.max()))
    reach = csr_array(found.reach.tocsc().tocsr())  # columns in order
    possible = reach if found.possible is found.reach else csr_array(found.possible.tocsc().tocsr())
    return ReceptiveField(
        reach, hops, influence, nodes, found.method, found.certain, possible, unconnected, norms, edges
    )


def _call(module: nn.Module, x: Tensor, edge_index: Any) -> Any:
    return module(x, edge_index)


def _check(x: Any) -> int:
    """The number of nodes."""
    if not isinstance(x, Tensor) or not x.is_floating_point():
        kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise ValueError(f"x is {kind}; expected floating-point features, which derivatives can be taken by: use "
                         "x.float(), or the embedding of categories")  # fmt: skip
    if x.dim() < 2:
        raise ValueError(f"x has shape {list(x.shape)}; expected [N, F], one row a node: use x.unsqueeze(-1)")
    if not bool(x.isfinite().all()):
        node = int((~x.isfinite()).nonzero()[0, 0])
        raise ValueError(f"x has NaN or infinity at node {node}; expected finite features: replace them")
    return len(x)


def _check_module(module: object) -> None:
    if not isinstance(module, nn.Module):
        raise ValueError(f"module is a {type(module).__name__}; expected a torch.nn.Module")


def _check_output(y: Tensor) -> None:
    wrong = (~y.isfinite()).flatten(1).any(1).nonzero().view(-1).tolist()
    if wrong:
        raise ValueError(f"module's output is NaN or infinite at {len(wrong)} of {len(y)} nodes, the first of which is "
                         f"{wrong[0]}, though x is finite; expected finite outputs, as nothing tells what NaN was "
                         "computed from: look for diverged weights, 0 / 0 or log(0)")  # fmt: skip


def _edges(graph: Any, num_nodes: int) -> Integers:
    """Sources above targets. [2, E]"""
    if isinstance(graph, Schedule):
        if graph.num_nodes != num_nodes:
            raise ValueError(f"edge_index is a schedule of {graph.num_nodes} nodes and x has {num_nodes} rows; "
                             "expected one row a node")  # fmt: skip
        edge_index = graph.edge_index
    else:
        edge_index, _ = as_edge_index(graph, num_nodes)
    return edge_index.cpu().numpy()


def _choose(chosen: int | Sequence[int] | None, jacobian: Jacobian, generator: torch.Generator) -> Integers:
    """The nodes whose derivatives are taken in full, in ascending order. [n]"""
    num_nodes = jacobian.num_nodes
    if chosen is None:
        chosen = min(num_nodes, max(LEAST, BUDGET // max(1, jacobian.channels * jacobian.cost)))
    if isinstance(chosen, int):
        if not 1 <= chosen <= num_nodes:
            raise ValueError(f"influence_nodes={chosen}; expected 1..{num_nodes} nodes, or their numbers")
        return _integers(torch.randperm(num_nodes, generator=generator, device="cpu")[:chosen].sort().values)
    nodes = np.unique(_integers(chosen))
    if nodes.ndim != 1 or len(nodes) == 0 or nodes[0] < 0 or nodes[-1] >= num_nodes:
        raise ValueError(f"influence_nodes={chosen}; expected one or more of the nodes 0..{num_nodes - 1}, or how many")
    return nodes


def _integers(values: Any) -> Integers:
    return np.asarray(values, dtype=np.int64)
