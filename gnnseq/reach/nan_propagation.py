"""Independence proven by NaN: what stays finite has not been computed from NaN.

Letters: N nodes, C output channels, b forward passes of a chunk.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["passes_nan_on", "touched_by_nan"]

Function = Callable[[Tensor], Tensor]  # x [N, ...] to [N, C]

# Passes that run together: two to four times faster on graphs of a thousand nodes, whose operations are small.
TOGETHER = 64
CHUNK_BYTES = 2**22  # that their features may take
FEWEST = 8  # nodes for which it is worth a try


@torch.no_grad()
def touched_by_nan(function: Function, x: Tensor) -> csr_array:
    """The outputs that NaN reaches from each input node: one forward pass an input node.

    An output that stays finite while all features of node u are NaN has not been computed from them, provided that no
    operation swallows NaN (see :func:`passes_nan_on`). The converse does not hold: a product with a zero carries NaN
    and no information.

    Args:
        function: x [N, ...] -> out [N, C].
        x: Finite features. [N, ...]

    Returns:
        Row v holds the inputs u that may matter to v. Boolean [N, N].

    Example:
        >>> touched_by_nan(lambda x: x.cumsum(0), torch.ones(3, 1)).toarray().astype(int)
        array([[1, 0, 0],
               [1, 1, 0],
               [1, 1, 1]])
    """
    num_nodes = x.size(0)
    several = _together(function, x)
    touched = [np.empty(0, dtype=np.int64)]
    touched += _one_by_one(function, x) if several is None else several
    inputs = np.repeat(np.arange(num_nodes), [len(outputs) for outputs in touched[1:]])
    outputs = np.concatenate(touched)
    return csr_array((np.ones(len(outputs), dtype=bool), (outputs, inputs)), shape=(num_nodes, num_nodes))


def _one_by_one(function: Function, x: Tensor) -> list[NDArray[np.int64]]:
    """The outputs that NaN reaches from each node."""
    probe, touched = x.clone(), []
    for node in range(len(x)):
        probe[node] = torch.nan
        version = probe._version
        touched.append((~function(probe).isfinite()).any(dim=1).nonzero().view(-1).cpu().numpy())
        if probe._version == version:
            probe[node] = x[node]
        else:  # the function works in place on its input
            probe = x.clone()
    return touched


def _together(function: Function, x: Tensor) -> list[NDArray[np.int64]] | None:
    """The same under torch.vmap, many passes a chunk; None if the function does not run so or NaN is swallowed then."""
    chunk = min(TOGETHER, CHUNK_BYTES // max(1, x.numel() * x.element_size()))
    if len(x) < FEWEST or chunk < 2:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # vmap says of some operations that it runs them one by one
        batched = torch.vmap(function, randomness="error")
        if not passes_nan_on(batched, x.expand(2, *x.shape)):
            return None
        touched: list[NDArray[np.int64]] = []
        for nodes in torch.arange(len(x), device=x.device).split(chunk):
            probes = x.repeat(len(nodes), *[1] * x.dim())  # [b, N, ...]
            probes[torch.arange(len(nodes), device=x.device), nodes] = torch.nan
            reached = (~batched(probes).isfinite()).any(dim=2).cpu().numpy()  # [b, N]
            touched += [np.flatnonzero(row) for row in reached]
    return touched


@torch.no_grad()
def passes_nan_on(function: Function, x: Tensor) -> bool:
    """Whether every operation of the function turns NaN into NaN, seen in one forward pass in which all of x is NaN.

    Nor may it draw random numbers: another pass might take another way. Comparisons, argmax, sign, nan_to_num and
    values read into Python (`.item()`) do not pass NaN on, nor do operations of other libraries count as trusted.
    Arrays that leave torch (`.numpy()`) are not seen.

    Example:
        >>> passes_nan_on(lambda x: x.relu() @ torch.ones(2, 2), torch.ones(3, 2))
        True
        >>> passes_nan_on(lambda x: (x > 0).double(), torch.ones(3, 2))
        False
    """
    with _NaNWatch() as watch:
        try:
            function(torch.full_like(x, torch.nan))
        except Exception:  # the module refuses NaN, so no NaN trace will tell anything either
            return False
    return not watch.untrusted


class _NaNWatch(TorchDispatchMode):
    """Looks at every operation that is executed, below autograd, and notes whether one swallows NaN or is random."""

    # Some of these pass NaN on if all operands are NaN and drop it if one is a number.
    PARTIAL = ("fmax", "fmin", "nan_to_num", "nanmedian", "nansum")
    # These overwrite their first operand, which may be fresh memory with any bits in it.
    OVERWRITE = ("bernoulli_", "copy_", "exponential_", "fill_", "normal_", "random_", "uniform_", "zero_")

    # These, like views, move numbers and compute none: NaN that is lost in them was not read. Where x decides what is
    # moved, the decision was made by an operation that loses NaN.
    MOVE = (
        "embedding", "gather", "index", "index_copy", "index_fill", "index_put", "index_select", "masked_fill",
        "masked_scatter", "masked_select", "scatter", "select_scatter", "slice_scatter", "where",
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.untrusted = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        self.untrusted |= torch.Tag.nondeterministic_seeded in func.tags
        namespace, _, name = func._schema.name.partition("::")
        read = args[1:] if name in self.OVERWRITE else args, {k: v for k, v in kwargs.items() if k != "out"}
        had_nan = any(_has_nan(value) for value in tree_leaves(read))
        result = func(*args, **kwargs)
        only_shape = name.startswith("new_") or name.endswith("_like")
        if not had_nan or only_shape or func.is_view or name.rstrip("_") in self.MOVE:
            return result
        results = tree_leaves(result)
        if name.startswith("_embedding_bag"):
            results = results[:1]  # the others say which rows went into which bag
        empty = [value is None or (isinstance(value, Tensor) and value.numel() == 0) for value in results]
        kept = all(none or _has_nan(value) for none, value in zip(empty, results, strict=True))
        self.untrusted |= not kept or name in self.PARTIAL or namespace != "aten"
        return result


def _has_nan(value: Any) -> bool:
    if not isinstance(value, Tensor) or not (value.is_floating_point() or value.is_complex()):
        return False
    if value.layout != torch.strided:
        value = value.to_sparse_coo().coalesce().values()
    return bool(value.isnan().any())
