"""Ridge regression of labels in its dual form: kernels, centring, and a leave-one-out choice of alpha in closed form.

Letters: N people, n of them in training.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studies.disease.folds import Integers

__all__ = ["ALPHAS", "Fitted", "center", "gaussian", "kernel_ridge"]

Array = NDArray[np.float64]
ALPHAS = tuple(10.0 ** (number / 2) for number in range(-6, 7))  # times the kernel's mean diagonal


@dataclass(frozen=True)
class Fitted:
    """Scores of everybody, above zero for the second class.

    Attributes:
        scores: Of whoever is in training by leave-one-out, so that they are no better than those of the others. [N]
        alpha: The penalty that was chosen, as a share of the kernel's mean diagonal.
        error: Mean squared leave-one-out error.
        scale: Standard deviation of the scores in training, 1 if they do not vary.
    """

    scores: Array
    alpha: float
    error: float
    scale: float


def center(kernel: Array, train: Integers, groups: NDArray[np.int64] | None = None, own: bool = False) -> Array:
    """The kernel of features whose mean over the training part is subtracted, or the mean of everybody's group. [N, N]

    A group without anybody in training has the mean of all in training subtracted. With ``own`` a group's mean is that
    of all its people, tested ones too: their features are read, their labels are not.
    """
    is_train = np.zeros(len(kernel), dtype=bool)
    is_train[train] = True
    codes = np.zeros(len(kernel), dtype=np.int64) if groups is None else groups
    averages = np.zeros((codes.max() + 1, len(kernel)))
    for group in range(len(averages)):
        members = codes == group
        counted = members if own and groups is not None else members & is_train
        counted = counted if counted.any() else is_train
        averages[group, counted] = 1 / counted.sum()
    means = averages @ kernel  # [groups, N]
    return np.asarray(kernel - means[codes] - means[codes].T + (means @ averages.T)[np.ix_(codes, codes)])


def gaussian(kernel: Array, train: Integers) -> Array:
    """exp(-d^2 / 2 m) of the distances d that a linear kernel knows, m the median of d^2 in training; centred there."""
    norms = np.diag(kernel)
    squared = np.maximum(norms[:, None] + norms - 2 * kernel, 0)
    width = np.median(squared[np.ix_(train, train)]) or 1.0
    return center(np.exp(-squared / (2 * width)), train)


def kernel_ridge(
    kernel: Array, train: Integers, labels: NDArray[np.bool_], alphas: tuple[float, ...] = ALPHAS
) -> Fitted:
    r"""Ridge regression on a kernel that is centred on the training part, with the alpha of the least squared error.

    .. math:: c = (K + \alpha I)^{-1} (y - \bar y), \qquad
              y_i - \hat y_{-i} = \frac{y_i - \hat y_i}{1 - 1/n - (K (K + \alpha I)^{-1})_{ii}}

    The intercept is the mean of the labels and costs 1/n of leverage. The usual shortcut c_i / ((K + alpha I)^-1)_ii
    counts it as 1 / (alpha n): a centred kernel has the constant vector in its null space, and errors vanish with
    alpha, so that the smallest alpha always wins. scikit-learn's RidgeClassifierCV(scoring="accuracy") gives the first
    alpha, too, for a reason of its own; hence neither is used here.

    Args:
        kernel: Centred so that rows of the training part sum to zero there. [N, N]
        train: Places of those in training; nobody else's label is read. [n]
        labels: [N]
        alphas: To choose from, as shares of the mean diagonal in training.
    """
    inner = kernel[np.ix_(train, train)]
    target = labels[train].astype(np.float64)
    count, mean = len(train), float(target.mean())
    values, vectors = np.linalg.eigh(inner)
    values = np.maximum(values, 0)
    along = vectors.T @ (target - mean)
    unit = float(values.mean()) or 1.0
    best: tuple[float, float, Array, Array] | None = None
    for alpha in alphas:
        inverse = 1 / (values + alpha * unit)
        fitted = vectors @ (values * inverse * along)
        leverage = (vectors**2) @ (values * inverse) + 1 / count
        residual = (target - mean - fitted) / np.maximum(1 - leverage, 1e-9)
        error = float(np.mean(residual**2))
        if best is None or error < best[0]:
            best = error, alpha, vectors @ (inverse * along), target - mean - residual
    assert best is not None
    error, alpha, dual, left_out = best
    scores = kernel[:, train] @ dual
    # The threshold: half way between the classes' labels, seen from the mean.
    scores[train] = left_out
    return Fitted(scores + mean - 0.5, alpha, error, float(left_out.std()) or 1.0)
