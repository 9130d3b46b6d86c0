"""Is one forecast better than another, or was it luck?"""

import numpy as np
from numpy.typing import NDArray
from scipy import stats

__all__ = ["corrected_t", "diebold_mariano", "paired_t", "weighted_t"]


def diebold_mariano(losses: NDArray[np.float64], others: NDArray[np.float64], horizon: int = 1) -> tuple[float, float]:
    """Mean difference of two series of losses on the same steps, and the p-value of its being zero, two-sided.

    t = mean(d) / sqrt(V / W),  d = losses - others,  V = gamma_0 + 2 sum_{l=1..m} (1 - l / (m + 1)) gamma_l

    with the autocovariances gamma_l of d over W steps, because neighbouring steps are alike and forecasts h steps ahead
    share h - 1 surprises: m = max(h - 1, W^(1/3)) (Newey and West 1987). t is compared with Student's distribution of
    W - 1 degrees of freedom; p is 1 if d does not vary, from which nothing can be concluded. Diebold and Mariano 1995,
    https://doi.org/10.1080/07350015.1995.10524599.

    Example:
        >>> difference, p = diebold_mariano(np.array([1.0, 2.0, 1.0, 2.0]), np.array([2.0, 2.5, 2.0, 3.5]))
        >>> round(difference, 3), round(p, 3)
        (-1.0, 0.011)
    """
    losses, others = np.asarray(losses, dtype=np.float64), np.asarray(others, dtype=np.float64)
    if losses.ndim != 1 or losses.shape != others.shape or len(losses) < 2:
        shapes = f"losses and others have shapes {losses.shape} and {others.shape}"
        raise ValueError(f"{shapes}; expected one loss a step, of the same two or more steps")
    if not (np.isfinite(losses).all() and np.isfinite(others).all()):
        raise ValueError("losses or others hold NaN or infinity; expected finite losses: leave such steps out of both")
    d = losses - others
    steps, average = len(d), float(d.mean())
    centred = d - average
    reach = min(max(horizon - 1, int(steps ** (1 / 3))), steps - 1)
    variance = centred @ centred / steps
    for lag in range(1, reach + 1):
        variance += 2 * (1 - lag / (reach + 1)) * (centred[lag:] @ centred[:-lag]) / steps
    if variance <= (1e-12 * float(np.abs(d).max())) ** 2:  # equal numbers differ from their mean by rounding
        return average, 1.0
    return average, float(2 * stats.t.sf(abs(average) / np.sqrt(variance / steps), steps - 1))


def paired_t(differences: NDArray[np.float64]) -> float:
    """The p-value of paired differences' mean being zero, two-sided; 1 where there is nothing to test.

    Example:
        >>> round(paired_t(np.array([0.1, 0.3, 0.2])), 3), paired_t(np.array([0.1]))
        (0.074, 1.0)
    """
    untested = len(differences) < 2 or differences.std() == 0
    return 1.0 if untested else float(stats.ttest_1samp(differences, 0.0).pvalue)


def corrected_t(differences: NDArray[np.float64], test_share: float) -> tuple[float, float, float]:
    """Mean of paired differences over repeated folds, its standard error, and the p-value of its being zero, two-sided.

    t = mean(d) / sqrt((1 / J + share / (1 - share)) var(d)),  J - 1 degrees of freedom

    Trainings on overlapping parts are alike, so that J splits are worth fewer than J: Nadeau and Bengio 2003,
    https://doi.org/10.1023/A:1024068626366. p is 1 where there is nothing to test.

    Args:
        differences: One a split, of all repeats. [J]
        test_share: Share of the data that a split tests, .1 for ten folds.

    Example:
        >>> mean, error, p = corrected_t(np.array([0.1, 0.3, 0.2]), test_share=0.1)
        >>> round(mean, 3), round(error, 3), round(p, 3)
        (0.2, 0.067, 0.095)
    """
    if not 0 < test_share < 1:
        raise ValueError(f"test_share={test_share}; expected the share of the data that a split tests, in (0, 1)")
    d = np.asarray(differences, dtype=np.float64)
    count, mean = len(d), float(d.mean())
    spread = float(d.var(ddof=1)) if count > 1 else 0.0
    if spread <= (1e-12 * float(np.abs(d).max())) ** 2:
        return mean, 0.0, 1.0
    error = float(np.sqrt((1 / count + test_share / (1 - test_share)) * spread))
    return mean, error, float(2 * stats.t.sf(abs(mean) / error, count - 1))


def weighted_t(differences: NDArray[np.float64], weights: NDArray[np.float64]) -> tuple[float, float, float]:
    """Weighted mean of paired differences of groups, its standard error, and the p-value of its being zero, two-sided.

    mean = sum(w d) / sum(w),  error^2 = G / (G - 1) sum(w^2 (d - mean)^2) / sum(w)^2,  G - 1 degrees of freedom

    the cluster-robust error of a mean over people who come in G groups; with equal weights, the paired t-test.

    Example:
        >>> mean, error, p = weighted_t(np.array([0.1, 0.3, 0.2]), np.ones(3))
        >>> round(mean, 3), round(error, 3), round(p, 3) == round(paired_t(np.array([0.1, 0.3, 0.2])), 3)
        (0.2, 0.058, True)
    """
    d, w = np.asarray(differences, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    mean, groups = float(np.average(d, weights=w)), len(d)
    around = w * (d - mean)
    if groups < 2 or float(np.abs(around).max()) <= 1e-12 * float(np.abs(w * d).max()):
        return mean, 0.0, 1.0
    error = float(np.sqrt(groups / (groups - 1) * (around @ around)) / w.sum())
    return mean, error, float(2 * stats.t.sf(abs(mean) / error, groups - 1))
