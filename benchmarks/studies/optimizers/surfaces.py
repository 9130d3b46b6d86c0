"""Surfaces and quadratics to go down on, the paths that torch's optimizers take, and how fast theory says they are.

Letters: R learning rates, S starts, K eigenvalues, kappa the largest eigenvalue over the smallest; the largest is 1.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

Function = Callable[[Tensor], Tensor]

SPREAD = 0.2  # of starts around a surface's own
KEPT = 300  # steps of the first learning rate's errors on a quadratic that a result keeps, to be drawn


@dataclass(frozen=True)
class Surface:
    """A function of a point (x, y)."""

    name: str
    f: Function  # from points [..., 2] to heights [...]; 0 at the minimum and above 0 elsewhere
    start: tuple[float, float]  # where descents begin
    minimum: tuple[float, float]
    window: tuple[float, float, float, float]  # what is drawn of it: x from, to, y from, to; 4 : 3, to scale


def valley(points: Tensor) -> Tensor:
    """A valley along x, a hundred times as steep across: kappa = 100."""
    x, y = points.unbind(-1)
    return (x**2 + 100 * y**2) / 2


def turned_valley(points: Tensor) -> Tensor:
    """The same valley along the diagonal, where no weight has a slope of its own."""
    x, y = points.unbind(-1)
    return valley(torch.stack([x + y, y - x], dim=-1) / math.sqrt(2))


def rosenbrock(points: Tensor) -> Tensor:
    """Rosenbrock, The Computer Journal 3, 1960."""
    x, y = points.unbind(-1)
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def beale(points: Tensor) -> Tensor:
    """Beale, "On an iterative method for finding a local minimum of a function of more than one variable", 1958."""
    x, y = points.unbind(-1)
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


TURNED_START = (-2.5 / math.sqrt(2), -1.5 / math.sqrt(2))  # as the valley's, turned by 45 degrees
SURFACES = {
    "valley": Surface("Narrow valley", valley, (-2.0, 0.5), (0, 0), (-2.4, 0.8, -1.2, 1.2)),
    "turned": Surface("The valley, turned", turned_valley, TURNED_START, (0, 0), (-2.4, 0.8, -1.8, 0.6)),
    "rosenbrock": Surface("Rosenbrock", rosenbrock, (-1.2, 1.0), (1, 1), (-1.8, 1.8, -0.6, 2.1)),
    "beale": Surface("Beale", beale, (1.0, 1.5), (3, 0.5), (-0.5, 4.3, -1.4, 2.2)),
}


def heights(surface: Surface, path: np.ndarray) -> np.ndarray:
    """Heights along a path [..., 2], infinite where that is no number."""
    found = surface.f(torch.from_numpy(path)).numpy()
    return np.where(np.isfinite(found), found, np.inf)


def starts(surface: Surface, others: int) -> Tensor:
    """The surface's own start and others around it, always the same. [1 + others, 2]"""
    around = torch.randn(others, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    own = torch.tensor([surface.start], dtype=torch.float64)
    return torch.cat([own, own + SPREAD * around])


def descend(
    f: Function, optimizer: Callable[..., torch.optim.Optimizer], rates: Sequence[float], steps: int, begin: Tensor
) -> np.ndarray:
    """Paths by learning rate, [steps + 1, R, *shape of begin]; a diverging one becomes infinite or NaN for good."""
    points = [begin.clone().requires_grad_() for _ in rates]
    made = optimizer([{"params": [point], "lr": rate} for point, rate in zip(points, rates, strict=True)], lr=1.0)
    path = [torch.stack(points).detach().numpy()]
    for _ in range(steps):
        made.zero_grad()
        f(torch.stack(points)).sum().backward()  # the gradient of a sum is each one's own
        made.step()
        path.append(torch.stack(points).detach().numpy())
    return np.array(path)


def sign_error_adam(surface: Surface, learning_rate: float, steps: int, both: bool = False) -> np.ndarray:
    r"""The path of Adam with the report's minus in equation 21, where a plus belongs. [steps + 1, 2]

    .. math::
        v_t = \beta_1 v_{t-1} - (1 - \beta_1) g_t, \quad s_t = \beta_2 s_{t-1} + (1 - \beta_2) g_t^2, \quad
        \theta_{t+1} = \theta_t - \eta v_t / \sqrt{s_t + \epsilon}

    With ``both``, equation 22 as printed too, with its minus: s becomes negative and its root NaN.
    """
    beta, beta_of_squares, epsilon, sign = 0.9, 0.999, 1e-8, -1 if both else 1
    path = [torch.tensor(surface.start, dtype=torch.float64)]
    v = s = torch.zeros(2, dtype=torch.float64)
    for _ in range(steps):
        point = path[-1].requires_grad_()
        (gradient,) = torch.autograd.grad(surface.f(point), point)
        v = beta * v - (1 - beta) * gradient
        s = beta_of_squares * s + sign * (1 - beta_of_squares) * gradient**2
        path.append(point.detach() - learning_rate * v / (s + epsilon).sqrt())
    return torch.stack(path).detach().numpy()


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
    return {
        "theory": [heavy_ball_rate(eigenvalues, rate, descents.momentum) for rate in descents.learning_rates],
        "measured": measured_rates(errors).tolist(),
        "errors": [float(f"{error:.5g}") for error in errors[: KEPT + 1, 0]],
    }


def heavy_ball_rate(eigenvalues: Sequence[float], learning_rate: float, momentum: float) -> float:
    r"""The factor of heavy ball, :math:`\theta_{t+1} = \theta_t - \alpha g_t + \beta (\theta_t - \theta_{t-1})`.

    The largest modulus of an eigenvalue of the matrices that take :math:`(\theta_t, \theta_{t-1})` a step further along
    each eigenvector, :math:`\begin{pmatrix} 1 + \beta - \alpha\lambda_i & -\beta \\ 1 & 0 \end{pmatrix}`; gradient
    descent's is :math:`\max_i |1 - \alpha\lambda_i|`, for :math:`\beta = 0`. torch's SGD is this iteration. Polyak,
    "Some methods of speeding up the convergence of iteration methods", 1964; Goh, "Why momentum really works", 2017.
    """
    if momentum == 0:
        return max(abs(1 - learning_rate * value) for value in eigenvalues)
    steps = [[[1 + momentum - learning_rate * value, -momentum], [1, 0]] for value in eigenvalues]
    return float(np.abs(np.linalg.eigvals(np.array(steps))).max())


def best_gradient_descent(kappa: float) -> float:
    r"""Its learning rate, :math:`2 / (\lambda_1 + \lambda_K)`, for a factor of (kappa - 1) / (kappa + 1)."""
    return 2 / (1 / kappa + 1)


def best_heavy_ball(kappa: float) -> tuple[float, float]:
    r"""Learning rate, :math:`4 / (\sqrt{\lambda_1} + \sqrt{\lambda_K})^2`, and momentum, the factor's square."""
    root = math.sqrt(kappa)
    return 4 / (1 / root + 1) ** 2, ((root - 1) / (root + 1)) ** 2


def errors_on_quadratic(
    eigenvalues: Sequence[float], learning_rates: Sequence[float], momentum: float, steps: int
) -> np.ndarray:
    """The error's largest coordinate along torch's SGD from (1, ..., 1). [steps + 1, R]"""
    curvatures = torch.tensor(eigenvalues, dtype=torch.float64)
    heavy_ball, start = partial(torch.optim.SGD, momentum=momentum), torch.ones_like(curvatures)
    path = descend(lambda theta: (curvatures * theta**2).sum(-1) / 2, heavy_ball, learning_rates, steps, start)
    return np.asarray(np.abs(path).max(-1))  # not the length: squares of late errors are too small for a float


def measured_rates(errors: np.ndarray) -> np.ndarray:
    """The factor a step, from how the largest of the last tenth compares with that of the tenth at the middle. [R]

    The largest of many, because errors of heavy ball swing; late ones, because only then the slowest part is left.
    """
    steps, tenth = len(errors), len(errors) // 10
    middle, last = errors[steps // 2 - tenth : steps // 2], errors[-tenth:]
    return np.asarray((last.max(0) / middle.max(0)) ** (1 / (steps - steps // 2)))
