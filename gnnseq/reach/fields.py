"""Receptive fields laid side by side: every output has a copy of its own of each node that it reads.

Then no two outputs share an input, one backward pass serves all of them, and it does not leave their fields. This is
not the network on a part of the graph: nodes at the rim keep the weights that they have in the whole graph, and layer
by layer only those rows are computed that an output still reads, so that all derivatives are those of the whole graph.

Letters: N nodes, C output channels, n outputs, d layers that have been applied, P_d copies of nodes of which the
outputs read the state after d layers.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array
from torch import Tensor, fx

from gnnseq.reach.sparsity import Structure

__all__ = ["Fields"]

Integers = NDArray[np.int64]


class Fields:
    """What some outputs read, as a function of one copy of its features for each of them.

    Args:
        structure: The module.
        num_nodes: N.
        outputs: The nodes. [n]

    Attributes:
        output: The output that each copy belongs to, a place among the outputs. [P_0]
        node: The node that it is a copy of. [P_0]

    Raises:
        ValueError: If a layer of the module is no weighted sum over neighbours.
    """

    def __init__(self, structure: Structure, num_nodes: int, outputs: Integers) -> None:
        self._structure, self._depth = structure, _depths(structure)
        step = csr_array(eye_array(num_nodes, dtype=bool))
        for weights in structure.weights.values():
            if weights is None:
                raise ValueError("a layer reads more of its neighbours than their weighted sum")
            read = np.ones(len(weights.indices), dtype=bool), weights.indices, weights.indptr
            step = csr_array(step + csr_array(read, shape=weights.shape))
        start = np.ones(len(outputs), dtype=bool), outputs, np.arange(len(outputs) + 1)
        levels = [_Level(csr_array(start, shape=(len(outputs), num_nodes)))]
        for _ in range(max(self._depth.values())):
            levels.append(_Level(csr_array(levels[-1].pairs @ step)))
        self._levels = levels[::-1]
        self.output, self.node = self._levels[0].output, self._levels[0].node

    def __call__(self, x: Tensor) -> Tensor:
        """The outputs. [P_0, ...] to [n, C]"""
        out: Any = _Interpreter(self._structure, self._depth, self._levels).run(x)
        first: Tensor = out[0] if isinstance(out, tuple) else out
        return first.flatten(1)


class _Level:
    """The pairs of an output and a node whose state it reads, in order. [P_d]"""

    def __init__(self, pairs: csr_array) -> None:
        pairs.sort_indices()
        self.pairs, self.node = pairs, pairs.indices.astype(np.int64)
        self.output = np.repeat(np.arange(pairs.shape[0]), np.diff(pairs.indptr))

    def __len__(self) -> int:
        return len(self.node)

    def places(self, output: Integers, node: Integers) -> Tensor:
        """Where these pairs are among all."""
        width = self.pairs.shape[1]
        return torch.from_numpy(np.searchsorted(self.output * width + self.node, output * width + node))


class _Interpreter(fx.Interpreter):
    """Runs operations on the rows that outputs read: each by itself, but for layers, which sum rows of a level."""

    def __init__(self, structure: Structure, depth: dict[fx.Node, int], levels: list[_Level]) -> None:
        super().__init__(structure.root, graph=structure.graph)
        self._depth, self._levels = depth, levels
        self._weights = {node: weights for node, weights in structure.weights.items() if weights is not None}

    def run_node(self, n: fx.Node) -> Any:
        if n.op == "placeholder" or n not in self._depth:
            return super().run_node(n)
        layer = n in self._weights
        depth = self._depth[n] - layer
        args: Any = fx.node.map_arg(n.args, lambda m: self._rows(m, depth))
        kwargs: Any = fx.node.map_arg(n.kwargs, lambda m: self._rows(m, depth))
        if layer:
            return self._sum(n, args[0] if args else kwargs["x"], depth)
        return getattr(self, n.op)(n.target, args, kwargs)

    def _rows(self, m: fx.Node, depth: int) -> Any:
        """The value of an earlier operation, in the rows that are read of it after so many layers."""
        value, before = self.env[m], self._depth.get(m, depth)
        if before == depth or not isinstance(value, Tensor):
            return value
        wanted = self._levels[depth]
        return value.index_select(0, self._levels[before].places(wanted.output, wanted.node).to(value.device))

    def _sum(self, n: fx.Node, x: Tensor, depth: int) -> Tensor:
        """A layer, from one level's rows to the next one's. [P_d, ...] to [P_(d + 1), ...]"""
        weights, sources, targets = self._weights[n], self._levels[depth], self._levels[depth + 1]
        count = np.diff(weights.indptr)[targets.node]
        target = np.repeat(np.arange(len(targets)), count)
        entry = np.arange(len(target)) - np.repeat(np.cumsum(count) - count - weights.indptr[targets.node], count)
        source = sources.places(targets.output[target], weights.indices[entry].astype(np.int64))
        edges = torch.stack([source, torch.from_numpy(target)]).to(x.device)
        weight = torch.from_numpy(weights.data[entry]).to(x.device)
        out: Tensor = self.fetch_attr(str(n.target)).between(x, edges, weight, len(targets))
        return out


def _depths(structure: Structure) -> dict[fx.Node, int]:
    """How many layers stand between x and each result, at most; operations that do not depend on x are left out."""
    depth: dict[fx.Node, int] = {}
    for node in structure.graph.nodes:
        before = [depth[operand] for operand in node.all_input_nodes if operand in depth]
        if node.op == "placeholder" or before:
            depth[node] = max(before, default=0) + (node in structure.weights)
    return depth
