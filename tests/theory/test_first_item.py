"""Keeping the first item of a sequence by gates that read the input alone: one layer of MinGRU, and two.

T items, n = T - 1 that follow the first, H hidden channels.
"""

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from torch.nn import functional

from gnnseq import packed_paths
from gnnseq.layers import MinGRU


def test_an_items_place_enters_one_layer_as_a_power_of_its_keep():
    """With an item p among items q, h_T is a constant plus (1 - a_p)(c_p - c_q) a_q^(T - t), t the place of p."""
    torch.manual_seed(0)
    steps, layer = 9, MinGRU(2, 5).double()
    p, q = torch.eye(2, dtype=torch.float64)
    last = []
    for t in range(1, steps + 1):
        x = q.repeat(steps, 1)
        x[t - 1] = p
        last.append(layer(x, packed_paths([steps]))[1][0, 0])
    z, c = (torch.stack([p, q]) @ layer.weight_ih_l0.T + layer.bias_ih_l0).chunk(2, dim=1)
    a = torch.sigmoid(-z)
    place = torch.arange(1, steps + 1).unsqueeze(1)
    apart = torch.stack(last) - (1 - a[0]) * (c[0] - c[1]) * a[1] ** (steps - place)
    torch.testing.assert_close(apart, apart[:1].expand(steps, -1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6])
def test_singling_the_first_item_out_takes_weights_of_4_to_the_n(n):
    """Weights of channels with 0 <= a <= 1 for which sum v a^n = 1 and sum v a^s = 0 for s < n add up to 4^n / 2.

    By duality 1 / min max |a^n - polynomial of degree < n| over [0, 1], which is Chebyshev's 2 / 4^n. For the 99 items
    that follow in a sequence of 100 that is 10^59: no float32 readout has such weights, and no gradient finds them.
    """
    channels = (1 - np.cos(np.linspace(0, np.pi, 40 * n + 1))) / 2  # Chebyshev's extrema are among them
    moments = channels ** np.arange(n + 1)[:, None]
    wanted = np.eye(n + 1)[n]
    found = linprog(np.ones(2 * len(channels)), A_eq=np.hstack([moments, -moments]), b_eq=wanted)
    assert found.status == 0
    assert found.fun == pytest.approx(4**n / 2, rel=1e-6)


@pytest.mark.parametrize("steps", [2, 10, 1000])
def test_two_layers_keep_the_first_digit_and_nothing_else(steps):
    """The first layer counts and hands the digits on; the second opens its gate as long as the count is below 2."""
    layer = MinGRU(10, 11, num_layers=2).double()
    shut = 1000.0
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        gates, values = layer.weight_ih_l0.split(11)
        layer.bias_ih_l0[:10] = shut  # keeps nothing: h is the digit
        values[:10] = torch.eye(10)
        layer.bias_ih_l0[10], layer.bias_ih_l0[21] = 0.0, 1.0  # half way to 1 in every step: 1/2, 3/4, ...
        gates, values = layer.weight_ih_l1.split(11)
        gates[:, 10] = -8 * shut
        layer.bias_ih_l1[:11] = 5 * shut  # open at 1/2, shut from 3/4 on
        values[:10, :10] = torch.eye(10)
    digits = torch.randint(10, (7, steps))
    x = functional.one_hot(digits.T, 10).double()  # [T, B, 10]
    _, state = layer(x)
    torch.testing.assert_close(state[1, :, :10], x[0], rtol=0, atol=1e-12)
