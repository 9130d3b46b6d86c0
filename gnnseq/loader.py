"""Batches of a graph that is larger than a step: torch_geometric's loaders, with a sampler that installs.

Letters: N nodes of the graph; B seeds of a batch; n nodes and m edges of a batch.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.loader import LinkLoader, NodeLoader

from gnnseq.checks import as_tensor, whole
from gnnseq.sampler import NeighborSampler

__all__ = ["LinkNeighborLoader", "NeighborLoader", "layerwise"]

SAMPLER_OPTIONS = (
    "replace", "subgraph_type", "disjoint", "temporal_strategy", "time_attr", "weight_attr", "is_sorted", "seed",
)  # fmt: skip


class NeighborLoader(NodeLoader):
    """torch_geometric's NeighborLoader, arguments and batches, with :class:`gnnseq.sampler.NeighborSampler`.

    Every epoch draws one number of torch's, or of ``generator``, and a batch's sample follows from that and its seeds:
    so ``torch.manual_seed`` repeats an epoch, with any number of workers. Only ``persistent_workers``, which learn of
    no epoch, draw from their own numbers, repeated with as many workers.

    Args:
        data: A graph, with ``edge_index`` unless ``neighbor_sampler`` is given.
        num_neighbors: How many neighbours of a node are drawn in each hop; -1 for all.
        input_nodes: The nodes that are seeds, numbers or a mask [N]; all if None. Of none there are no batches.
        input_time: Times of the seeds, after which nothing is read, one for each of ``input_nodes``.
        neighbor_sampler: Draws in place of one that is made of ``num_neighbors`` and the other options.
        kwargs: The sampler's other options, and those of torch_geometric's NodeLoader and torch's DataLoader, such as
            ``batch_size``, ``shuffle``, ``drop_last``, ``num_workers`` and ``generator``.

    Shapes: of a batch ``n_id`` [n], of which the first ``batch_size`` are the seeds, ``edge_index`` [2, m] into it,
    ``e_id`` [m], ``input_id`` [B], ``num_sampled_nodes`` and ``num_sampled_edges``, one number a hop; with trees
    ``batch`` [n] and with times ``seed_time`` [B]; and the graph's attributes, cut to nodes and edges.

    Raises:
        ValueError: If an argument is out of its range or the graph malformed.

    Example:
        >>> from gnnseq.graphs import path_graph
        >>> loader = NeighborLoader(path_graph(100), [2, 2], input_nodes=torch.arange(50, 100), batch_size=20)
        >>> [batch.batch_size for batch in loader]
        [20, 20, 10]
    """

    def __init__(
        self,
        data: Data,
        num_neighbors: Sequence[int],
        input_nodes: Tensor | None = None,
        input_time: Tensor | None = None,
        *,
        neighbor_sampler: NeighborSampler | None = None,
        **kwargs: Any,
    ) -> None:
        neighbor_sampler = _sampler(data, num_neighbors, neighbor_sampler, kwargs)
        nodes = _as_nodes(input_nodes, neighbor_sampler)
        size = neighbor_sampler.num_nodes if nodes is None else _size_of(nodes)
        if input_time is not None:
            if not neighbor_sampler.is_temporal:
                raise ValueError("input_time without time_attr; expected both, or neither")
            input_time = as_tensor(input_time)
            if input_time.shape != (size,):
                raise ValueError(f"input_time has shape {list(input_time.shape)}; expected [{size}], one time a seed")
        super().__init__(data, neighbor_sampler, nodes, input_time, **_of_examples(size, kwargs))

    def __iter__(self) -> Iterator[Data]:
        _begin_epoch(self, self.node_sampler)
        return super().__iter__()  # type: ignore[no-any-return]

    def filter_fn(self, out: Any) -> Data:
        """The sample with what the graph knows of its nodes and edges."""
        return _with_edges(super().filter_fn(out), out)


class LinkNeighborLoader(LinkLoader):
    """torch_geometric's LinkNeighborLoader, arguments and batches, with :class:`gnnseq.sampler.NeighborSampler`.

    Args:
        data: A graph, with ``edge_index`` unless ``neighbor_sampler`` is given.
        num_neighbors: How many neighbours of a node are drawn in each hop; -1 for all.
        edge_label_index: Sources and targets of the links; all edges if None. Of none there are no batches. [2, P]
        edge_label: Their labels, whole numbers from 0 on where links are made up: these are then 0, and true ones from
            1 on. [P]
        edge_label_time: Their times, after which nothing is read. [P]
        neighbor_sampler: Draws in place of one that is made of ``num_neighbors`` and the other options.
        kwargs: The sampler's other options, and those of torch_geometric's LinkLoader, such as ``neg_sampling``, and
            torch's DataLoader.

    Raises:
        ValueError: If an argument is out of its range or the graph malformed.

    Example:
        >>> from gnnseq.graphs import path_graph
        >>> loader = LinkNeighborLoader(path_graph(50), [2], batch_size=7, neg_sampling="binary")
        >>> next(iter(loader)).edge_label.tolist()
        [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """

    def __init__(
        self,
        data: Data,
        num_neighbors: Sequence[int],
        edge_label_index: Tensor | None = None,
        edge_label: Tensor | None = None,
        edge_label_time: Tensor | None = None,
        *,
        neighbor_sampler: NeighborSampler | None = None,
        **kwargs: Any,
    ) -> None:
        neighbor_sampler = _sampler(data, num_neighbors, neighbor_sampler, kwargs)
        if (edge_label_time is not None) != neighbor_sampler.is_temporal:
            raise ValueError("edge_label_time and time_attr; expected both, or neither")
        links = data.edge_index if edge_label_index is None else edge_label_index
        if not isinstance(links, Tensor) or links.dim() != 2 or links.size(0) != 2:
            shown = list(links.shape) if isinstance(links, Tensor) else type(links).__name__
            raise ValueError(f"edge_label_index is {shown}; expected a tensor [2, P], sources above targets")
        neighbor_sampler.check_seeds("edge_label_index", links.reshape(-1))
        for name, given in (("edge_label", edge_label), ("edge_label_time", edge_label_time)):
            if given is not None and len(given) != links.size(1):
                raise ValueError(f"{name} has {len(given)} entries; expected {links.size(1)}, one a link")
        kwargs = _of_examples(links.size(1), kwargs)
        super().__init__(data, neighbor_sampler, edge_label_index, edge_label, edge_label_time, **kwargs)

    def __iter__(self) -> Iterator[Data]:
        _begin_epoch(self, self.link_sampler)
        return super().__iter__()  # type: ignore[no-any-return]

    def filter_fn(self, out: Any) -> Data:
        """The sample with what the graph knows of its nodes and edges."""
        return _with_edges(super().filter_fn(out), out)


def layerwise(
    layers: Iterable[Callable[[Tensor, Data], Tensor]], x: Tensor | np.ndarray[Any, Any], loader: NodeLoader
) -> Tensor:
    """What layers make of a whole graph, one layer after another and of each one batch of nodes after another.

    Each node is computed once a layer; with samples of k hops, once for every batch that reads it. Memory is that of
    two layers' outputs and a batch.

    Args:
        layers: Each called with the rows of a batch [n, F], seeds first, and the batch; the rows of its seeds are
            kept. [n, H]
        x: The first one's inputs, of all nodes; an array of NumPy too, mapped from a file. [N, F]
        loader: Batches of one hop with all neighbours, ``NeighborLoader(data, [-1], batch_size=...)``, in which every
            node is once a seed.

    Returns:
        [N, H]

    Raises:
        ValueError: If a node is no seed, or more than once.

    Example:
        >>> from gnnseq.graphs import path_graph
        >>> from gnnseq.layers import GCN
        >>> from gnnseq.sampler import GraphDegrees
        >>> data = path_graph(9, undirected=True)
        >>> one, two, degrees = GCN(4, 8, normalize=False), GCN(8, 2, normalize=False), GraphDegrees(data.edge_index, 9)
        >>> loader = NeighborLoader(data, [-1], batch_size=2)
        >>> layerwise(
        ...     [lambda x, b: one(x, *degrees.normalize(b)).relu(), lambda x, b: two(x, *degrees.normalize(b))],
        ...     torch.ones(9, 4), loader).shape
        torch.Size([9, 2])
    """
    size = len(x)
    h: Tensor | np.ndarray[Any, Any] = x
    for layer in layers:
        made: Tensor | None = None
        seen = torch.zeros(size, dtype=torch.int32, device="cpu")
        for batch in loader:
            rows = h[batch.n_id] if isinstance(h, Tensor) else torch.from_numpy(h[batch.n_id.numpy()])
            with torch.no_grad():
                out = layer(rows, batch)[: batch.batch_size]
            made = out.new_empty(size, *out.shape[1:]) if made is None else made
            seeds = batch.n_id[: batch.batch_size]
            made[seeds] = out
            seen.index_add_(0, seeds.cpu(), torch.ones(seeds.numel(), dtype=torch.int32, device="cpu"))
        if made is None or bool((seen != 1).any()):
            node = int((seen != 1).nonzero()[0]) if size else 0
            raise ValueError(f"loader has node {node} {int(seen[node]) if size else 0} times as a seed; expected every "
                             "node once: leave out input_nodes and drop_last")  # fmt: skip
        h = made
    if not isinstance(h, Tensor):
        raise ValueError("layers is empty; expected one or more")
    return h


def _sampler(
    data: Data, num_neighbors: Sequence[int], given: NeighborSampler | None, kwargs: dict[str, Any]
) -> NeighborSampler:
    """The sampler of a loader; takes its options out of kwargs."""
    options = {name: kwargs.pop(name) for name in SAMPLER_OPTIONS if name in kwargs}
    if given is None:
        return NeighborSampler(data, num_neighbors, **options)
    if options:
        raise ValueError(f"neighbor_sampler came with {', '.join(options)}; these are the sampler's: give them to it")
    if not isinstance(given, NeighborSampler):
        raise ValueError(f"neighbor_sampler is a {type(given).__name__}; expected gnnseq.sampler's NeighborSampler: "
                         "give others to torch_geometric's NodeLoader or LinkLoader")  # fmt: skip
    return given


def _as_nodes(nodes: object, sampler: NeighborSampler) -> Tensor | None:
    """Numbers of nodes, or a mask of all, as a tensor; torch_geometric takes a mask in a list for nodes 0 and 1."""
    if nodes is None:
        return None
    try:
        nodes = as_tensor(nodes)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"input_nodes is a {type(nodes).__name__}; expected numbers of nodes or a mask") from None
    if nodes.dtype == torch.bool:
        if nodes.shape != (sampler.num_nodes,):
            raise ValueError(f"input_nodes is a mask of shape {list(nodes.shape)}; expected [{sampler.num_nodes}], an "
                             "entry a node")  # fmt: skip
        return nodes
    if nodes.shape == (0,):  # an empty list is of no type
        nodes = nodes.long()
    return sampler.check_seeds("input_nodes", nodes)


def _of_examples(size: int, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The options of a loader of so many seeds or links: of none it has no batches, where torch shuffles none."""
    if "batch_size" in kwargs:
        kwargs = kwargs | {"batch_size": whole(1, batch_size=kwargs["batch_size"])}
    return kwargs | {"shuffle": False} if size == 0 and kwargs.get("shuffle") else kwargs


def _size_of(nodes: Tensor) -> int:
    return int(nodes.sum()) if nodes.dtype == torch.bool else nodes.numel()


def _begin_epoch(loader: "NeighborLoader | LinkNeighborLoader", sampler: NeighborSampler) -> None:
    sampler.epoch = None if loader.persistent_workers else _drawn(loader.generator)


def _drawn(generator: torch.Generator | None) -> int:
    device = "cpu" if generator is None else generator.device
    return int(torch.randint(2**62, (), generator=generator, device=device))


def _with_edges(batch: Data, out: Any) -> Data:
    """The batch, with its edges where the graph's were given as rows alone."""
    if batch.edge_index is None:
        batch.edge_index = torch.stack([out.row, out.col])
    return batch
