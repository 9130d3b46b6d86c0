"""Neighbours drawn from graphs that are larger than a step, behind torch_geometric's interface."""

from gnnseq.sampler.degrees import GraphDegrees
from gnnseq.sampler.neighbor_sampler import NeighborSampler

__all__ = ["GraphDegrees", "NeighborSampler"]
