"""Surfaces and their minima, what turning does to optimizers, the report's sign error, and rates as theory has them."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from studies.optimizers import surfaces
from studies.optimizers.surfaces import (
    SURFACES,
    best_gradient_descent,
    best_heavy_ball,
    errors_on_quadratic,
    heavy_ball_rate,
    heights,
    measured_rates,
    sign_error_adam,
    starts,
)
from studies.palindrome.fit import OPTIMIZERS

TURN = np.array([[1, -1], [1, 1]]) / math.sqrt(2)  # the valley's points to the turned one's
RATES = {"sgd": 0.01, "momentum": 0.01, "rmsprop": 0.03, "adam": 0.1}


def gradient_descent_rate(eigenvalues, learning_rate):
    return max(abs(1 - learning_rate * eigenvalue) for eigenvalue in eigenvalues)


def own(surface):
    return starts(surface, 0)


def descend(surface, optimizer, *rest):
    return surfaces.descend(surface.f, OPTIMIZERS[optimizer], *rest)


@pytest.mark.parametrize("name", SURFACES)
def test_a_surface_is_zero_and_level_at_its_minimum_and_higher_elsewhere(name):
    surface = SURFACES[name]
    minimum = torch.tensor(surface.minimum, dtype=torch.float64, requires_grad=True)
    height = surface.f(minimum)
    assert height.item() == 0
    assert torch.autograd.grad(height, minimum)[0].abs().max() == 0
    around = starts(surface, 500) - torch.tensor(surface.start) + minimum.detach()
    assert surface.f(around)[1:].min() > 0
    left, right, bottom, top = surface.window
    assert right - left == pytest.approx(4 / 3 * (top - bottom))
    for x, y in (surface.start, surface.minimum):
        assert left < x < right
        assert bottom < y < top


def test_surfaces_have_their_published_values():
    def height(name, *point):
        return SURFACES[name].f(torch.tensor(point, dtype=torch.float64)).item()

    assert height("valley", -2, 0.5) == 14.5
    assert height("rosenbrock", -1.2, 1) == pytest.approx(24.2, rel=1e-12)
    assert height("beale", 0, 0) == 1.5**2 + 2.25**2 + 2.625**2


def test_paths_side_by_side_are_those_of_each_alone():
    surface = SURFACES["beale"]
    begin = starts(surface, 2)
    for optimizer in OPTIMIZERS:
        together = descend(surface, optimizer, [1e-3, 3e-3], 20, begin)
        assert together.shape == (21, 2, 3, 2)
        for row, rate in enumerate((1e-3, 3e-3)):
            for start in range(3):
                alone = descend(surface, optimizer, [rate], 20, begin[start : start + 1])
                np.testing.assert_allclose(together[:, row, start], alone[:, 0, 0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_sgd_and_momentum_turn_with_the_surface_and_the_others_do_not(optimizer):
    along, turned = (SURFACES[name] for name in ("valley", "turned"))
    expected = descend(along, optimizer, [RATES[optimizer]], 50, own(along)) @ TURN.T
    found = descend(turned, optimizer, [RATES[optimizer]], 50, own(turned))
    np.testing.assert_allclose(found[0], expected[0], atol=1e-12)
    if optimizer in ("sgd", "momentum"):
        np.testing.assert_allclose(found, expected, atol=1e-12)
    else:
        assert np.abs(found - expected).max() > 0.1


def test_rmsprop_with_a_giant_rate_is_newtons_method_along_the_axes():
    # The first step leaves sqrt(v) = curvature * rate, so from the third on a step is gradient / curvature.
    valley, turned = (SURFACES[name] for name in ("valley", "turned"))
    found = heights(valley, descend(valley, "rmsprop", [1e4], 4, own(valley))[:, 0, 0])
    assert found[1] > 1e11
    assert found[-1] < 1e-4
    assert heights(turned, descend(turned, "rmsprop", [1e4], 4, own(turned))[:, 0, 0])[-1] > 1


def test_a_path_that_diverges_is_infinitely_high():
    valley = SURFACES["valley"]
    assert heights(valley, descend(valley, "sgd", [1.0], 200, own(valley))[:, 0, 0])[-1] == np.inf


@pytest.mark.parametrize("name", SURFACES)
def test_the_reports_minus_sends_adam_up(name):
    surface = SURFACES[name]
    wrong = heights(surface, sign_error_adam(surface, 0.1, 100))
    assert (np.diff(wrong[:5]) > 0).all()
    assert wrong[-1] > 10 * wrong[0]
    assert heights(surface, descend(surface, "adam", [0.1], 100, own(surface)))[-1] < heights(
        surface, own(surface).numpy()
    )


def test_the_path_with_the_sign_error_is_the_mended_ones_mirror_image():
    # On a plane, whose gradient is the same everywhere, the minus is nothing but the other direction.
    def plane(points):
        return points.sum(-1)

    slope = SURFACES["valley"].__class__("plane", plane, (0.0, 0.0), (0, 0), (-1, 1, -1, 1))
    path = sign_error_adam(slope, 0.1, 3)
    v, s, theta = 0.0, 0.0, 0.0
    for point in path[1:]:
        v, s = 0.9 * v + 0.1, 0.999 * s + 0.001
        theta -= 0.1 * v / math.sqrt(s + 1e-8)
        assert point == pytest.approx([-theta, -theta], rel=1e-12)


def test_with_both_equations_as_printed_the_first_step_is_no_number():
    assert np.isnan(sign_error_adam(SURFACES["valley"], 0.1, 1, both=True)[1]).all()


@given(
    eigenvalues=st.lists(st.floats(0.01, 1), min_size=1, max_size=5),
    rate=st.floats(0.01, 3.5),
    momentum=st.floats(0, 0.95),
)
def test_torchs_sgd_is_polyaks_two_step_iteration(eigenvalues, rate, momentum):
    curvatures = np.array(eigenvalues)
    before = theta = np.ones(len(eigenvalues))
    expected = [1.0]
    for _ in range(30):
        before, theta = theta, theta - rate * curvatures * theta + momentum * (theta - before)
        expected.append(np.abs(theta).max())
    found = errors_on_quadratic(eigenvalues, [rate], momentum, 30)[:, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12 * max(expected))


@given(kappa=st.floats(1.1, 1e4))
def test_the_best_settings_have_the_rates_of_the_textbook_and_no_others_are_better(kappa):
    eigenvalues, root = (1 / kappa, 1.0), math.sqrt(kappa)
    rate = best_gradient_descent(kappa)
    least = heavy_ball_rate(eigenvalues, rate, 0.0)
    assert least == pytest.approx((kappa - 1) / (kappa + 1), abs=1e-12)
    for other in (0.99 * rate, 1.01 * rate):
        assert heavy_ball_rate(eigenvalues, other, 0.0) > least
    rate, momentum = best_heavy_ball(kappa)
    least = heavy_ball_rate(eigenvalues, rate, momentum)
    assert least == pytest.approx((root - 1) / (root + 1), abs=1e-6)  # a double eigenvalue: the root of 1e-16, and more
    for factor in (0.9, 1.1):
        assert heavy_ball_rate(eigenvalues, factor * rate, momentum) > least
        assert heavy_ball_rate(eigenvalues, rate, factor * momentum) > least


@given(rate=st.floats(0.1, 2.05))
def test_without_momentum_heavy_ball_is_gradient_descent(rate):
    eigenvalues = (0.1, 0.5, 1.0)
    expected = gradient_descent_rate(eigenvalues, rate)
    assert heavy_ball_rate(eigenvalues, rate, 0.0) == expected
    assert heavy_ball_rate(eigenvalues, rate, 1e-13) == pytest.approx(expected, abs=1e-6)


def test_gradient_descents_measured_rate_is_the_theorys():
    eigenvalues = (0.1, 0.3, 1.0)
    rates = np.linspace(0.2, 2.02, 15)
    measured = measured_rates(errors_on_quadratic(eigenvalues, rates, 0.0, 1000))
    assert measured == pytest.approx([heavy_ball_rate(eigenvalues, rate, 0.0) for rate in rates], rel=1e-9)


@pytest.mark.parametrize("kappa", [3, 30, 100])
def test_heavy_balls_measured_rate_is_the_theorys(kappa):
    eigenvalues = (1 / kappa, 0.7, 1.0)
    best, momentum = best_heavy_ball(kappa)
    for rate, beta in ((best, momentum), (0.7 * best, momentum), (1.0, 0.9), (0.01, 0.9)):
        measured = measured_rates(errors_on_quadratic(eigenvalues, [rate], beta, 500))[0]
        # Its errors swing, and at the best settings shrink as t rate^t: an error of the order of 1 / t.
        assert measured == pytest.approx(heavy_ball_rate(eigenvalues, rate, beta), rel=5e-3)
