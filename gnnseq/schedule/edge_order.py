"""An order of edges that does not depend on how they were listed, so that no sum does either."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gnnseq.checks import as_array

__all__ = ["canonical_order"]


def canonical_order(edges: NDArray[np.int64], edge_weight: Tensor | None) -> Tensor:
    """The sorting of edges [2, E] by target, then source, then weight. [E]"""
    keys = [edges[0], edges[1]]
    if edge_weight is not None:
        keys.insert(0, as_array(edge_weight.double(), "edge_weight"))
    return torch.from_numpy(np.lexsort(keys))
