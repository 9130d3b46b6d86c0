"""Links whose ends are seeds, and links that are made up beside them.

Letters: N nodes; P links, M made-up ones; B seeds.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch_geometric.sampler import EdgeSamplerInput, NegativeSampling

from gnnseq.sampler.times import Times

__all__ = ["LinkSeeds"]


class LinkSeeds(NamedTuple):
    """The ends of links as seeds.

    Attributes:
        seed: Sources of links, and of made-up ones unless they are triplets; then targets of both. [B]
        seed_time: Their times, where there are any. [B]
        link: The link that each is of, or that a made-up one is beside. [B]
        label: Of links and made-up ones, 0 for the latter. [P + M]
        time: The links' times, as they were given, made-up ones' after them. [P + M], or [P] of triplets
        amount: Made-up targets a link of triplets; 0 of others.
    """

    seed: Tensor
    seed_time: Tensor | None
    link: Tensor
    label: Tensor | None
    time: Tensor | None
    amount: int

    @staticmethod
    def of(
        links: EdgeSamplerInput, negatives: NegativeSampling | None, num_nodes: int, times: Times | None, key: int
    ) -> "LinkSeeds":
        """The seeds of links.

        Args:
            links: Sources and targets, checked.
            negatives: How links are made up.
            num_nodes: Number of nodes N.
            times: When nodes or edges came to be.
            key: Decides which are made up.

        Raises:
            ValueError: If labels and made-up ones cannot be told apart, or times are missing or without use.
        """
        if links.time is not None and times is None:
            raise ValueError("edge_label_time without time_attr; expected both, or neither")
        source, target = links.row.long(), links.col.long()
        size = source.numel()
        triplet = negatives is not None and negatives.is_triplet()
        made_up = 0 if negatives is None else math.ceil(size * negatives.amount)
        beside = torch.arange(made_up, device="cpu") % max(size, 1)  # the link that each is beside
        links_time = (
            None if times is None or links.time is None else times.of_seeds(source, links.time, "edge_label_time")
        )
        label = links.label
        if negatives is not None:
            if triplet and label is not None:
                raise ValueError("edge_label with triplets, whose links have no labels; give mode 'binary' or none")
            if label is not None and label.numel() > 0 and not float(label.min()) > 0:  # NaN too
                raise ValueError(f"edge_label holds {label.min().item():g}, and made-up links are labelled 0; expected "
                                 "labels from 0 on, which torch_geometric's loaders count from 1 then")  # fmt: skip
            if label is not None and label.is_floating_point() and bool((label % 1 != 0).any()):
                raise ValueError("edge_label holds fractions, and made-up links are labelled 0; expected whole "
                                 "numbers, kinds of links")  # fmt: skip
            random = torch.Generator("cpu").manual_seed(key & (2**63 - 1))
            if triplet:
                target = torch.cat(
                    [target, _nodes(negatives, "dst", target, beside, links_time, num_nodes, times, random)]
                )
            else:
                more = (_nodes(negatives, end, own, beside, links_time, num_nodes, times, random)
                        for end, own in (("src", source), ("dst", target)))  # fmt: skip
                source, target = (torch.cat(pair) for pair in zip((source, target), more, strict=True))
                label = torch.ones(size, device="cpu") if label is None else label
                label = torch.cat([label, label.new_zeros(made_up, *label.shape[1:])])
        own = torch.arange(size, device="cpu")
        both = torch.cat([own, beside])
        link = torch.cat([own if triplet else both, both])
        seed = torch.cat([source, target])
        seed_time = None
        if times is not None:
            seed_time = times.of_seeds(seed, None if links_time is None else links_time[link], "edge_label_time")
        time = None if links.time is None else links.time if triplet else links.time[both]
        return LinkSeeds(
            seed, seed_time, link, label, time, int(negatives.amount) if negatives is not None and triplet else 0
        )

    def metadata(self, links: EdgeSamplerInput, place: Tensor) -> tuple[Any, ...]:
        """What torch_geometric's LinkLoader hands on: four things of labelled links, five of triplets.

        Args:
            links: The links.
            place: Where each seed is among the sample's nodes. [B]
        """
        if self.amount == 0:
            return links.input_id, place.view(2, -1), self.label, self.time
        source, target, made_up = place.split([links.row.numel(), links.row.numel(), self.amount * links.row.numel()])
        made_up = made_up.view(self.amount, -1).t().contiguous()  # [P, amount]
        return links.input_id, source, target, made_up.squeeze(1) if self.amount == 1 else made_up, self.time


def _nodes(
    negatives: NegativeSampling, end: str, own: Tensor, beside: Tensor, links_time: Tensor | None, num_nodes: int,
    times: Times | None, random: torch.Generator,
) -> Tensor:  # fmt: skip
    """A node for each end of a made-up link, there at the time of the link that it is beside. [M]"""
    weight = negatives.src_weight if end == "src" else negatives.dst_weight
    weight = None if weight is None else weight.cpu()
    size = beside.numel()
    if weight is not None and weight.shape != (num_nodes,):
        raise ValueError(f"{end}_weight has shape {list(weight.shape)}; expected [{num_nodes}], one a node")
    if weight is not None and not (bool((weight >= 0).all()) and 0 < float(weight.double().sum()) < math.inf):
        raise ValueError(f"{end}_weight is negative, not finite or 0 of every node; expected finite weights of 0 or "
                         "more, one above 0")  # fmt: skip
    if times is None or not times.of_nodes:
        if weight is None:
            return torch.randint(num_nodes, (size,), generator=random, device="cpu")
        return torch.multinomial(weight.double(), size, replacement=True, generator=random) if size else own[:0]
    now = times.time[own[beside]] if links_time is None else links_time[beside]
    order = times.ranks.argsort(stable=True)
    there = torch.searchsorted(times.ranks[order].contiguous(), times.rank(now), right=True)  # how many nodes
    mass = torch.ones(num_nodes, dtype=torch.float64, device="cpu") if weight is None else weight.double()[order]
    below = torch.cat([mass.new_zeros(1), mass.cumsum(0)])
    total = below[there]
    if size > 0 and not bool((total > 0).all()):
        late = now[int((total <= 0).nonzero()[0])].item()
        raise ValueError(f"no node is there at time {late}, so that no link can be made up; expected later links, or "
                         "nodes of earlier times")  # fmt: skip
    aim = torch.rand(size, generator=random, dtype=torch.float64, device="cpu") * total
    chosen = torch.searchsorted(below[1:].contiguous(), aim, right=True)
    nodes: Tensor = order[torch.minimum(chosen, there - 1)]
    return nodes
