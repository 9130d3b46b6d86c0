"""Products by panels, and sweeps that keep nothing, are those of float64 at every width and number of rows."""

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gnnseq.kernels.dense_path import dense_path_sweep
from gnnseq.kernels.fused_path import fused_path_sweep
from gnnseq.kernels.native import panels
from gnnseq.layers import GRU, LSTM, RNN
from gnnseq.schedule import packed_paths

pytestmark = pytest.mark.usefixtures("compiled")
RULES = pytest.mark.parametrize("layer_type", [RNN, LSTM, GRU])


def sweep(layer, x, schedule, state):
    h, final = fused_path_sweep(layer.cell, x, schedule, state, layer.weights("l0"), layer.step_by_step)
    return h.detach(), final.detach()


@RULES
@settings(max_examples=15)
@given(
    hidden=st.integers(1, 70),
    features=st.integers(1, 40),
    lengths=st.lists(st.integers(0, 4), min_size=1, max_size=14).filter(any),
    bias=st.booleans(),
    indexed=st.booleans(),
    given_state=st.booleans(),
)
@example(hidden=129, features=257, lengths=[3] * 13, bias=True, indexed=False, given_state=True)  # several depths
def test_sweeps_with_and_without_gradients_are_float64s(
    layer_type, hidden, features, lengths, bias, indexed, given_state
):
    torch.manual_seed(hidden + 100 * features)
    layer, schedule = layer_type(features, hidden, bias=bias), packed_paths(lengths)
    nodes = schedule.num_nodes
    x = torch.randint(features, (nodes,)) if indexed else torch.randn(nodes, features)
    state = torch.randn(len(lengths), layer.state_channels) if given_state else None
    kept = sweep(layer, x, schedule, state)
    with torch.no_grad():
        found = sweep(layer, x, schedule, state)
    layer = layer.double()
    x, state = x if indexed else x.double(), None if state is None else state.double()
    expected = dense_path_sweep(layer.cell, x, schedule, state, layer.weights("l0"), layer.step_by_step)
    for one, other, exact in zip(kept, found, expected, strict=True):
        torch.testing.assert_close(one.double(), exact, rtol=1e-5, atol=3e-6)
        torch.testing.assert_close(other.double(), exact, rtol=1e-5, atol=3e-6)


@RULES
def test_rows_are_the_same_whichever_others_are_there(layer_type):
    """So that a stream is bit for bit what it was in a batch, and a number of threads changes nothing."""
    layer, x = layer_type(19, 37), torch.randn(7, 13, 19)
    with torch.no_grad():
        everyone = sweep(layer, x.flatten(0, 1), packed_paths([7] * 13), None)[0].view(7, 13, 37)
        for paths in (1, 2, 5):
            some = sweep(layer, x[:, :paths].flatten(0, 1), packed_paths([7] * paths), None)[0].view(7, paths, 37)
            assert torch.equal(some, everyone[:, :paths])


@RULES
def test_indices_beyond_the_channels_are_refused(layer_type):
    """Compiled code would read what lies behind the table."""
    layer, schedule = layer_type(4, 8), packed_paths([3])
    for wrong in (4, -1):
        with pytest.raises(IndexError, match=f"{wrong}"), torch.no_grad():
            sweep(layer, torch.tensor([0, wrong, 1]), schedule, None)


def test_panels_of_any_layout():
    """Rows or columns that are contiguous, or neither."""
    weight = torch.randn(32, 3)  # as many columns as the widest panel, so that none is filled up
    plain = panels(weight.t().contiguous(), "paths")
    assert torch.equal(plain.sort().values, weight.flatten().sort().values)
    assert torch.equal(panels(weight.t(), "paths"), plain)
    assert torch.equal(panels(torch.stack([weight, weight], dim=2)[..., 0].t(), "paths"), plain)
