r"""Filters of a graph: what removing sites' means is, and what a network has learnt.

On the site graph, where everybody is joined to everybody of the same site and, with self-loops, to themselves, the
normalised adjacency A averages over each site: A^2 = A. The Laplacian L = 1 - A has the eigenvalue 0 for what is equal
within sites and 1 for all else. So 1 - A, subtracting a site's mean, is the high-pass filter g(l) = l; A, one graph
convolution, is the low-pass filter g(l) = 1 - l; and 1 - theta A is g(0) = 1 - theta, g(1) = 1.
Letters: N people, C channels, F inputs, K terms.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from gnnseq.normalization import gcn_normalize
from studies.disease.folds import Integers
from studies.disease.networks import Chebyshev

__all__ = ["FREQUENCIES", "GRID", "response", "site_edges", "site_filter", "spectrum"]

Array = NDArray[np.float64]
GRID = (0.0, 1.0)  # theta: sites' means left, removed
FREQUENCIES = tuple(round(0.05 * step, 2) for step in range(41))  # eigenvalues of L, 0 to 2


def site_edges(sites: Integers) -> torch.Tensor:
    """The site graph: edges between all people of a site, both ways, without self-loops. [2, E]"""
    same = sites[:, None] == sites
    np.fill_diagonal(same, False)
    return torch.from_numpy(np.stack(np.nonzero(same)).astype(np.int64))


def site_filter(kernel: Array, sites: Integers, theta: float) -> Array:
    """The kernel of filtered features (1 - theta A) X on the site graph of all people, with self-loops."""
    averages = (sites[:, None] == np.arange(sites.max() + 1)).astype(np.float64)
    averages /= averages.sum(0)
    means = averages.T @ kernel  # [sites, N]
    both = (means @ averages)[np.ix_(sites, sites)]
    return np.asarray(kernel - theta * (means[sites] + means[sites].T) + theta**2 * both)


def response(layer: Chebyshev, x: Array) -> list[float]:
    r"""How strongly a layer answers each frequency: the root mean square over channels, for inputs spread as x.

    .. math:: g(l)^2 = \sum_f \mathrm{var}(x_f) \sum_c \Bigl( \sum_k T_k(l - 1) W_{k,cf} \Bigr)^2

    over its largest value on :data:`FREQUENCIES`.
    """
    weights = np.stack([linear.weight.detach().numpy() for linear in layer.maps])  # type: ignore[operator]  # [K, C, F]
    polynomials = np.polynomial.chebyshev.chebvander(np.array(FREQUENCIES) - 1, len(weights) - 1)  # [l, K]
    answers = np.einsum("lk,kcf->lcf", polynomials, weights) * x.std(0)
    gains = np.sqrt((answers**2).sum((1, 2)))
    return [round(float(gain), 4) for gain in gains / max(gains.max(), 1e-300)]


def spectrum(edge_index: torch.Tensor, edge_weight: torch.Tensor | None, people: int, self_loops: bool) -> Array:
    """Eigenvalues of 1 - A, ascending; an undirected graph's are real, 0 to 2. [N]"""
    index, weight = gcn_normalize(edge_index, edge_weight, people, add_self_loops=self_loops)
    matrix = np.zeros((people, people))
    np.add.at(matrix, (index[1].numpy(), index[0].numpy()), weight.numpy())
    return np.asarray(1 - np.linalg.eigvalsh(matrix)[::-1])
