"""Gradient descent and heavy ball on a quadratic: the factor by which a step shrinks the error, in theory and measured.

Letters: K eigenvalues, R learning rates, kappa the largest eigenvalue over the smallest; the largest is 1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from studies.optimizers.surfaces import paths

KEPT = 300  # steps of the first learning rate's errors that a result keeps, to be drawn


@dataclass(frozen=True)
class Quadratic:
    """Descents on a valley of eigenvalues 1 / kappa and 1 with torch's SGD."""

    kappa: float
    momentum: float
    learning_rates: tuple[float, ...]
    steps: int


def measure(descents: Quadratic) -> dict[str, Any]:
    """Rates in theory and as measured, [R] each, and the first descent's errors. JSON values."""
    eigenvalues = (1 / descents.kappa, 1.0)
    errors = errors_on_quadratic(eigenvalues, descents.learning_rates, descents.momentum, descents.steps)
    theory = [heavy_ball_rate(eigenvalues, rate, descents.momentum) for rate in descents.learning_rates]
    return {
        "theory": theory,
        "measured": measured_rates(errors).tolist(),
        "errors": [float(f"{error:.5g}") for error in errors[: KEPT + 1, 0]],
    }


def gradient_descent_rate(eigenvalues: Sequence[float], learning_rate: float) -> float:
    r"""The factor of gradient descent, :math:`\max_i |1 - \alpha\lambda_i|`.

    With :math:`\alpha = 2 / (\lambda_1 + \lambda_K)` it is least, :math:`(\kappa - 1) / (\kappa + 1)`.
    """
    return max(abs(1 - learning_rate * eigenvalue) for eigenvalue in eigenvalues)


def heavy_ball_rate(eigenvalues: Sequence[float], learning_rate: float, momentum: float) -> float:
    r"""The factor of heavy ball, :math:`\theta_{t+1} = \theta_t - \alpha g_t + \beta (\theta_t - \theta_{t-1})`.

    The largest modulus of an eigenvalue of the matrices that take :math:`(\theta_t, \theta_{t-1})` a step further along
    each eigenvector,

    .. math:: \begin{pmatrix} 1 + \beta - \alpha\lambda_i & -\beta \\ 1 & 0 \end{pmatrix},

    which is :math:`\sqrt\beta` where :math:`(1 - \sqrt\beta)^2 \le \alpha\lambda_i \le (1 + \sqrt\beta)^2` for all i,
    and gradient descent's where :math:`\beta = 0`. torch's SGD with momentum is this iteration.
    Polyak, "Some methods of speeding up the convergence of iteration methods", 1964; Goh, "Why momentum really works",
    Distill, 2017.
    """
    if momentum == 0:
        return gradient_descent_rate(eigenvalues, learning_rate)
    steps = [[[1 + momentum - learning_rate * value, -momentum], [1, 0]] for value in eigenvalues]
    return float(np.abs(np.linalg.eigvals(np.array(steps))).max())


def best_gradient_descent(kappa: float) -> float:
    """Its learning rate, for eigenvalues 1 / kappa to 1."""
    return 2 / (1 / kappa + 1)


def best_heavy_ball(kappa: float) -> tuple[float, float]:
    r"""Its learning rate and momentum, for eigenvalues 1 / kappa to 1.

    :math:`4 / (\sqrt{\lambda_1} + \sqrt{\lambda_K})^2` and the square of the rate, which is
    :math:`(\sqrt\kappa - 1) / (\sqrt\kappa + 1)`.
    """
    root = math.sqrt(kappa)
    return 4 / (1 / root + 1) ** 2, ((root - 1) / (root + 1)) ** 2


def errors_on_quadratic(
    eigenvalues: Sequence[float], learning_rates: Sequence[float], momentum: float, steps: int
) -> np.ndarray:
    """The error's largest coordinate along torch's SGD from (1, ..., 1), a column a learning rate. [steps + 1, R]

    Not its length: the squares of late errors are too small for a float.
    """
    curvatures = torch.tensor(eigenvalues, dtype=torch.float64)
    points = [torch.ones(len(eigenvalues), dtype=torch.float64, requires_grad=True) for _ in learning_rates]
    groups = [{"params": [point], "lr": rate} for point, rate in zip(points, learning_rates, strict=True)]
    optimizer = torch.optim.SGD(groups, lr=1.0, momentum=momentum)
    path = paths(optimizer, points, lambda theta: (curvatures * theta**2).sum(-1) / 2, steps)
    errors: np.ndarray = np.abs(path).max(-1)
    return errors


def measured_rates(errors: np.ndarray) -> np.ndarray:
    """The factor a step, from how the largest of the last tenth compares with that of the tenth at the middle. [R]

    The largest of many, because errors of heavy ball swing; late ones, because only then the slowest part is left.
    """
    steps = len(errors)
    tenth = steps // 10
    middle, last = errors[steps // 2 - tenth : steps // 2], errors[-tenth:]
    factors: np.ndarray = (last.max(0) / middle.max(0)) ** (1 / (steps - steps // 2))
    return factors
