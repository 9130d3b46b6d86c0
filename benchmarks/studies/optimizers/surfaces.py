"""Surfaces to go down on, and the paths that torch's optimizers take.

Letters: R learning rates, S starts.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from studies.palindrome.fit import OPTIMIZERS
from studies.palindrome.runs import Optimizer

SPREAD = 0.2  # of starts around a surface's own


@dataclass(frozen=True)
class Surface:
    """A function of a point (x, y)."""

    name: str
    f: Callable[[Tensor], Tensor]  # from points [..., 2] to heights [...]; 0 at the minimum and above 0 elsewhere
    start: tuple[float, float]  # where descents begin
    minimum: tuple[float, float]
    window: tuple[float, float, float, float]  # what is drawn of it: x from, to, y from, to


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


START = (-2.0, 0.5)  # in the valley, and its like in the turned one
TURNED_START = ((START[0] - START[1]) / math.sqrt(2), (START[0] + START[1]) / math.sqrt(2))

# Windows are 4 : 3, so that a length is the same along both axes of a panel.
SURFACES = {
    "valley": Surface("Narrow valley", valley, START, (0, 0), (-2.4, 0.8, -1.2, 1.2)),
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
    surface: Surface, optimizer: Optimizer, learning_rates: Sequence[float], steps: int, begin: Tensor
) -> np.ndarray:
    """Paths of torch's optimizer in float64 from S points, for every learning rate. [steps + 1, R, S, 2]

    A path that diverges becomes infinite or NaN, and stays it.
    """
    points = [begin.clone().requires_grad_() for _ in learning_rates]
    groups = [{"params": [point], "lr": rate} for point, rate in zip(points, learning_rates, strict=True)]
    return paths(OPTIMIZERS[optimizer](groups, lr=1.0), points, surface.f, steps)


def sign_error_adam(surface: Surface, learning_rate: float, steps: int, both: bool = False) -> np.ndarray:
    r"""The path of Adam with the report's minus in equation 21, where a plus belongs. [steps + 1, 2]

    .. math::
        v_t = \beta_1 v_{t-1} - (1 - \beta_1) g_t, \quad s_t = \beta_2 s_{t-1} + (1 - \beta_2) g_t^2, \quad
        \theta_{t+1} = \theta_t - \eta v_t / \sqrt{s_t + \epsilon}

    With ``both``, equation 22 as printed too, with its minus: s becomes negative and its root NaN.
    """
    beta, beta_of_squares, epsilon = 0.9, 0.999, 1e-8
    sign = -1 if both else 1
    point = torch.tensor(surface.start, dtype=torch.float64, requires_grad=True)
    v = s = torch.zeros(2, dtype=torch.float64)
    path = [point.detach().numpy().copy()]
    for _ in range(steps):
        (gradient,) = torch.autograd.grad(surface.f(point), point)
        v = beta * v - (1 - beta) * gradient
        s = beta_of_squares * s + sign * (1 - beta_of_squares) * gradient**2
        point = (point - learning_rate * v / (s + epsilon).sqrt()).detach().requires_grad_()
        path.append(point.detach().numpy().copy())
    return np.array(path)


def paths(
    optimizer: torch.optim.Optimizer, points: Sequence[Tensor], f: Callable[[Tensor], Tensor], steps: int
) -> np.ndarray:
    """All points side by side: the gradient of a sum is each one's own. [steps + 1, R, *shape of points]"""
    path = [torch.stack(list(points)).detach().numpy()]
    for _ in range(steps):
        optimizer.zero_grad()
        f(torch.stack(list(points))).sum().backward()
        optimizer.step()
        path.append(torch.stack(list(points)).detach().numpy())
    return np.array(path)
