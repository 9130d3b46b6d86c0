"""What of the features a ridge reads: correlations in three forms, or numbers as they are; as kernels between people.

Letters: N people, F features, P regions.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["fisher", "logarithm", "matrices", "profile", "views"]

Array = NDArray[np.float64]
SHRINK = 0.7  # of a correlation matrix towards the identity, before its logarithm


def matrices(features: Array) -> Array:
    """Correlation matrices [N, P, P] of their upper triangles [N, P (P - 1) / 2].

    Raises:
        ValueError: The width is that of no triangle, or a number is no correlation.

    Example:
        >>> matrices(np.array([[0.1, 0.2, 0.3]]))[0].tolist()
        [[1.0, 0.1, 0.2], [0.1, 1.0, 0.3], [0.2, 0.3, 1.0]]
    """
    width = features.shape[1]
    regions = round((1 + (1 + 8 * width) ** 0.5) / 2)
    if regions * (regions - 1) // 2 != width:
        raise ValueError(f"{width} features are no upper triangle of a matrix; expected 1, 3, 6, 10, ... of them: none "
                         "may be left out of correlations")  # fmt: skip
    if np.abs(features).max() > 1:
        raise ValueError(f"features of up to {np.abs(features).max():g} are no correlations; expected -1 to 1")
    upper = np.triu_indices(regions, 1)
    made = np.zeros((len(features), regions, regions))
    made[:, upper[0], upper[1]] = features
    made += made.transpose(0, 2, 1)
    made[:, range(regions), range(regions)] = 1
    return made


def fisher(features: Array) -> Array:
    """arctanh(r), of which the spread does not depend on r; |r| is cut at .999. [N, F]"""
    return np.asarray(np.arctanh(np.clip(features, -0.999, 0.999)))


def logarithm(features: Array, shrink: float = SHRINK) -> Array:
    r"""The matrix logarithm of the shrunk correlation matrices, a vector each. [N, P (P + 1) / 2]

    .. math:: \log((1 - s) R + s I)

    Distances between these are log-Euclidean ones (Arsigny et al. 2006), of matrices that shrinking has made positive
    definite; a person's logarithm depends on nobody else. Entries off the diagonal count twice, as in the matrix.

    Raises:
        ValueError: A shrunk matrix has an eigenvalue of zero or less.
    """
    values, vectors = np.linalg.eigh(matrices(features))
    shrunk = (1 - shrink) * values + shrink
    if shrunk.min() <= 0:
        person = int(shrunk.min(1).argmin())
        raise ValueError(f"person {person}: an eigenvalue of {values[person].min():g}; correlations have none below 0")
    logs = (vectors * np.log(shrunk)[:, None, :]) @ vectors.transpose(0, 2, 1)
    row, column = np.triu_indices(logs.shape[1])
    return np.asarray(logs[:, row, column] * np.where(row == column, 1, np.sqrt(2)))


def profile(features: Array) -> Array:
    """Each person's features with mean 0 and standard deviation 1: who is alike in their pattern. [N, F]"""
    centred = features - features.mean(1, keepdims=True)
    spread = centred.std(1, keepdims=True)
    return np.asarray(np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 0))


def views(features: Array, correlations: bool) -> dict[str, Array]:
    """What ridges read, by name; of numbers that are no correlations only themselves, and their profile."""
    if not correlations:
        return {"plain": features, "logarithm": features, "profile": profile(features)}
    plain = fisher(features)
    return {"plain": plain, "logarithm": logarithm(features), "profile": profile(plain)}
