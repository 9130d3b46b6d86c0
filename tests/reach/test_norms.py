"""Passes that are shared or cut short give the numbers of a pass for each output and channel over the whole graph."""

from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from torch import nn

from gnnseq.layers import GCN
from gnnseq.reach import norms as norms_module
from gnnseq.reach.fields import Fields
from gnnseq.reach.jacobian import Jacobian
from gnnseq.reach.norms import block_norms
from gnnseq.reach.sparsity import structure_of
from strategies import graphs

equal = partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-15)
few = partial(settings, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture
def eager(monkeypatch):
    """Whatever the sizes, fields are laid side by side, a few outputs at a time."""
    for name, value in {"SHARE": 2.0, "LEAST_WORK": 0, "SIDE_BY_SIDE": 30}.items():
        monkeypatch.setattr(norms_module, name, value)


class Network(nn.Module):
    """Convolutions of several kinds and graphs, with row-wise operations and a way past each."""

    def __init__(self, widths, weight):
        super().__init__()
        kinds = {}, {"normalize": False}, {"improved": True}
        self.layers = nn.ModuleList(
            GCN(width, further, **kinds[number % 3]) for number, (width, further) in enumerate(pairwise(widths))
        )
        self.past = nn.ModuleList(nn.Linear(width, widths[-1]) for width in widths[:-1])
        self.norms = nn.ModuleList(nn.LayerNorm(width) for width in widths[1:])
        self.weight = weight

    def forward(self, x, edge_index):
        out = 0.0
        for number, (layer, past, norm) in enumerate(zip(self.layers, self.past, self.norms, strict=True)):
            out = out + past(x)
            edges, weight = (edge_index.flip(0), None) if number == 1 else (edge_index, self.weight)
            x = norm(layer(x, edges, weight)).tanh()
        return out + torch.cat([x, x], dim=1)[:, : x.size(1)]


@few(max_examples=20)
@given(graphs(), st.lists(st.integers(1, 4), min_size=2, max_size=4), st.data())
def test_passes_in_fields_equal_passes_over_the_graph(eager, graph, widths, data):
    torch.manual_seed(graph.seed)
    module = Network(widths, graph.edge_weight).double().requires_grad_(False)
    x = graph.features(widths[0])
    nodes = np.unique(data.draw(st.lists(st.integers(0, graph.num_nodes - 1), min_size=1)))
    jacobian = Jacobian(lambda x: module(x, graph.edge_index), x)
    structure = structure_of(lambda module, x: module(x, graph.edge_index), module, x)
    found = norms_module._in_fields(jacobian, nodes, structure, x)
    equal(found, jacobian.norms(nodes))
    assert found.shape == (len(nodes), graph.num_nodes)


def mixing(matrix):
    return lambda x: torch.tanh(torch.tanh(matrix @ x) @ torch.ones(x.size(1), 3, dtype=x.dtype).triu())


@few(max_examples=30)
@given(st.integers(0, 2**16), st.integers(4, 30), st.floats(0.0, 0.1))
def test_passes_of_groups_equal_passes_of_outputs(seed, num_nodes, share):
    random = np.random.default_rng(seed)
    bound = (random.random((num_nodes, num_nodes)) < share) | np.eye(num_nodes, dtype=bool)
    matrix = torch.from_numpy(bound * random.normal(size=bound.shape))
    jacobian = Jacobian(mixing(matrix), torch.from_numpy(random.normal(size=(num_nodes, 2))))
    nodes = np.flatnonzero(random.random(num_nodes) < 0.8)
    found = norms_module._in_groups(jacobian, nodes, csr_array(bound))
    if found is not None:
        equal(found, jacobian.norms(nodes))
    assert found is not None or share > 0.0 or len(nodes) < 8


@pytest.mark.parametrize("missing", [(2, 3), (2, 9), (7, 0)])
def test_a_bound_that_derivatives_contradict_is_not_used(missing):
    """Also where the input that it lacks is another output's of the same group."""
    matrix = torch.eye(16, dtype=torch.float64)
    matrix[missing] = 1e-9
    jacobian = Jacobian(mixing(matrix), torch.randn(16, 2, dtype=torch.float64))
    nodes, bound = np.arange(16), csr_array(np.eye(16, dtype=bool))
    assert norms_module._in_groups(jacobian, nodes, bound) is None
    assert (
        norms_module._in_groups(Jacobian(mixing(matrix.diag().diag()), jacobian.out[:, :2]), nodes, bound) is not None
    )


def test_fields_that_are_not_what_the_module_does_are_not_used(eager, monkeypatch):
    module = Network([3, 3], None).double().requires_grad_(False)
    x, edge_index = torch.randn(6, 3, dtype=torch.float64), torch.arange(6).repeat(2, 1).roll(1, 1)
    edge_index[0] = edge_index[0].roll(1)
    jacobian = Jacobian(lambda x: module(x, edge_index), x)
    structure = structure_of(lambda module, x: module(x, edge_index), module, x)
    nodes = np.arange(6)
    assert norms_module._in_fields(jacobian, nodes, structure, x) is not None
    (weights,) = structure.weights.values()
    weights.data[3] *= 1 + 1e-6
    assert norms_module._in_fields(jacobian, nodes, structure, x) is None
    equal(block_norms(jacobian, nodes, x, structure, structure.reach), jacobian.norms(nodes))


def test_fields_hold_what_each_output_reads_and_no_more():
    path = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 4]])
    module = Network([2, 2, 2], None).double().requires_grad_(False)
    structure = structure_of(lambda module, x: module(x, path), module, torch.randn(5, 2, dtype=torch.float64))
    fields = Fields(structure, 5, np.array([0, 4]))
    assert fields.node[fields.output == 1].tolist() == [2, 3, 4]
