"""Which messages an explainer's mask is of.

torch_geometric's explainers lay one mask, of one list of edges, on every layer of a model. The layers of a model may go
over other graphs too, as time and relations are, and then the mask is of some of them only.

Letters: E edges of a layer's list, M edges of the mask, e messages.
"""

import inspect

import torch
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.nn import MessagePassing

__all__ = ["RULE", "MaskedMessagePassing"]

RULE = ("message", "aggregate", "update")


class MaskedMessagePassing(MessagePassing):
    """Base of all layers: a mask multiplies the messages of the edges that it was made for, and no others.

    They are known by their ends, in any order and along either direction; self-loops may have been added, dropped or
    moved to the end since, and are not masked then.

    Attributes:
        has_own_rule: Whether a user's subclass has overridden a part of the rule, of which no kernel knows.
    """

    has_own_rule = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        known = ("gnnseq.", "torch_geometric.")
        cls.has_own_rule = any(not getattr(cls, name).__module__.startswith(known) for name in RULE)

    def __prepare_scriptable__(self) -> None:
        """Refuses ``torch.jit.script``, which could not compile what layers remember and check.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot be scripted; use torch.compile, torch.export or "
                                  "torch.jit.trace")  # fmt: skip

    @property
    def _loop_mask(self) -> Tensor | None:
        """Which of the mask's edges are no self-loops, as torch_geometric's ``set_masks`` says. [M]"""
        found: Tensor | None = self.__dict__.get("_no_loop")
        return found

    @_loop_mask.setter
    def _loop_mask(self, no_loop: Tensor | None) -> None:
        self.__dict__["_no_loop"] = no_loop
        self.__dict__["_masked_edges"] = None if no_loop is None else _edges_of_caller()

    def mask_places(self, edge_index: Tensor) -> Tensor:
        """The place in the mask of each edge of a list, -1 where the mask was made for another edge. [E]"""
        number = edge_index.size(1)
        place = torch.full((number,), -1, device=edge_index.device)
        mask, edges = self._edge_mask, self.__dict__.get("_masked_edges")
        if mask is None or (edges is None and mask.numel() != number):
            return place
        edges = edge_index if edges is None else edges.to(edge_index.device)  # a mask set by hand is believed
        if _are_same(edge_index, edges):
            return torch.arange(number, device=edge_index.device)
        kept, there = edge_index[0] != edge_index[1], edges[0] != edges[1]
        mine, theirs = edge_index[:, kept], edges[:, there]
        if mine.shape != theirs.shape:
            return place
        listed = there.nonzero().view(-1)
        if not _are_same(mine, theirs):
            sorting, sorted_as = _by_ends(mine), _by_ends(theirs)
            if not torch.equal(mine[:, sorting], theirs[:, sorted_as]):
                return place
            listed = torch.empty_like(listed).index_copy(0, sorting, listed[sorted_as])
        place[kept] = listed
        return place

    def mask_factors(self, place: Tensor) -> Tensor:
        """What the messages of edges at these places in the mask are multiplied by; 1 at -1. [e]

        Raises:
            ValueError: If there is no mask.
        """
        mask = self._edge_mask
        if mask is None:
            raise ValueError("explain is True and no mask is set; set one with torch_geometric's set_masks, or "
                             "explain=None")  # fmt: skip
        mask = mask.sigmoid() if self._apply_sigmoid else mask
        return torch.cat([mask, mask.new_ones(1)])[place]

    def explain_message(self, inputs: Tensor, edge_id: Tensor) -> Tensor:
        """Masks the messages [..., e, F] of the edges at these places in the mask; those at -1 stay."""
        return inputs * self.mask_factors(edge_id).unsqueeze(-1)


def _edges_of_caller() -> Tensor | None:
    """The edges that ``set_masks`` was called with.

    It hands layers a mask and which of its edges are self-loops, but not the edges; where two graphs of a model have
    equally many, nothing else tells whose the mask is.
    """
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_name != "set_masks":
        frame = frame.f_back
    edges = None if frame is None else frame.f_locals.get("edge_index")
    if isinstance(edges, EdgeIndex):
        edges = edges.as_tensor()
    return edges if isinstance(edges, Tensor) else None


def _are_same(edges: Tensor, others: Tensor) -> bool:
    """Whether two lists hold the same edges in the same order, or all of them reversed."""
    return torch.equal(edges, others) or torch.equal(edges, others.flip(0))


def _by_ends(edges: Tensor) -> Tensor:
    """The order of edges by source, then target, then place. [E]"""
    order = edges[1].argsort(stable=True)
    return order[edges[0, order].argsort(stable=True)]
