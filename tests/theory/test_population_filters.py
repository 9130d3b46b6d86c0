"""Graphs of people as filters: which of removing site means, graph convolution and Chebyshev's filters can do what.

A is the normalised adjacency with self-loops of the site graph, whose components are complete; L = 1 - A.
"""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnseq import receptive_field
from gnnseq.layers import GCN
from gnnseq.normalization import gcn_normalize
from studies.disease.filters import FREQUENCIES, response, site_edges, site_filter, spectrum
from studies.disease.networks import Chebyshev, shift
from studies.disease.picture import HighPass, LowPass

EXACT = {"rtol": 0, "atol": 1e-12}
SITES = st.lists(st.integers(0, 4), min_size=1, max_size=14).map(np.array)


def without_site_means(x, sites):
    out = x.clone()
    for site in np.unique(sites):
        out[sites == site] -= x[sites == site].mean(0)
    return out


def drawn(people, seed=0):
    return torch.randn(people, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@given(SITES)
@settings(max_examples=25, deadline=None)
def test_removing_site_means_is_the_high_pass_filter_of_the_site_graph(sites):
    x, edges = drawn(len(sites)), site_edges(sites)
    assert torch.allclose(HighPass(3).double()(x, edges), without_site_means(x, sites), **EXACT)
    # Eigenvalues of L are 0, once a site, and 1: the filter keeps what has 1 and drops what has 0, so its gain is l.
    values = spectrum(edges, torch.ones(edges.size(1), dtype=torch.float64), len(sites), self_loops=True)
    count = len(np.unique(sites))
    assert np.allclose(values[:count], 0, atol=1e-12)
    assert np.allclose(values[count:], 1, atol=1e-12)


@given(SITES)
@settings(max_examples=25, deadline=None)
def test_one_graph_convolution_on_the_site_graph_leaves_nothing_but_the_means(sites):
    x, edges = drawn(len(sites)), site_edges(sites)
    means = x - without_site_means(x, sites)
    assert torch.allclose(LowPass(3).double()(x, edges), means, **EXACT)
    torch.manual_seed(0)
    layers = [GCN(3, 4).double(), GCN(4, 2).double()]
    out = layers[1](layers[0](x, edges).relu(), edges)  # whatever the weights: all of a site get one output
    assert torch.allclose(without_site_means(out, sites), torch.zeros_like(out), **EXACT)
    # So no stack of convolutions removes site means: where they are gone beforehand, it answers with its biases.
    rest = layers[1](layers[0](without_site_means(x, sites), edges).relu(), edges)
    assert torch.allclose(rest, rest[:1].expand_as(rest), **EXACT)


@given(st.integers(2, 9), st.integers(0, 5))
@settings(max_examples=25, deadline=None)
def test_a_convolution_with_self_loops_weakens_what_differs_between_neighbours(people, seed):
    """On any undirected graph its gain at the eigenvalue l of L is |1 - l|, below 1 but for l = 0: low-pass."""
    generator = np.random.default_rng(seed)
    weights = np.triu(generator.random((people, people)) * (generator.random((people, people)) < 0.6), 1)
    source, target = np.nonzero(weights + weights.T)
    edges, weight = torch.tensor(np.stack([source, target])), torch.tensor((weights + weights.T)[source, target])
    values = spectrum(edges, weight, people, self_loops=True)
    assert values.min() > -1e-12
    assert values.max() < 2  # without self-loops a bipartite graph has 2, whose gain is that of 0
    looped, coefficient = gcn_normalize(edges, weight, people)
    matrix = torch.zeros(people, people, dtype=torch.float64)
    matrix[looped[1], looped[0]] = coefficient
    assert np.allclose(np.sort(np.linalg.eigvalsh(matrix.numpy())), np.sort(1 - values), atol=1e-12)


def test_low_pass_is_not_the_same_as_monotone():
    """Refuted: that gains always fall with frequency. Two camps that know only each other keep their quarrel."""
    camp = 10
    pairs = torch.cartesian_prod(torch.arange(camp), torch.arange(camp, 2 * camp)).T
    edges = torch.cat([pairs, pairs.flip(0)], 1)
    weight = torch.ones(edges.size(1), dtype=torch.float64)
    values = spectrum(edges, weight, 2 * camp, self_loops=True)
    assert values.max() == pytest.approx(1 + (camp - 1) / (camp + 1))  # gain 9/11 there, and 10/11 at l = 1/11
    assert abs(1 - values.max()) > abs(1 - values[camp])


@given(SITES, st.floats(-1, 1))
@settings(max_examples=25, deadline=None)
def test_chebyshev_filters_can_do_both(sites, theta):
    """1 - theta A is a filter with two terms: theta = 1 removes the means, and A alone keeps nothing else."""
    x, edges, people = drawn(len(sites)), site_edges(sites), len(sites)
    adjacency = torch.zeros(people, people, dtype=torch.float64)
    looped, weight = gcn_normalize(edges, torch.ones(edges.size(1), dtype=torch.float64), people)
    adjacency[looped[1], looped[0]] = weight
    layer = Chebyshev(3, 3, terms=2).double()
    means = x - without_site_means(x, sites)
    for keep, remove in ((1.0, theta), (0.0, -1.0)):
        with torch.no_grad():
            layer.maps[0].weight.copy_(keep * torch.eye(3, dtype=torch.float64))
            layer.maps[0].bias.zero_()
            layer.maps[1].weight.copy_(remove * torch.eye(3, dtype=torch.float64))  # its term is -A x
        assert torch.allclose(layer(x, adjacency), keep * x - remove * means, **EXACT)
    # The kernel of what comes out is the one that ridges read.
    kernel = site_filter((x @ x.T).numpy(), np.unique(sites, return_inverse=True)[1], theta)
    filtered = x - theta * means
    assert np.allclose(kernel, (filtered @ filtered.T).numpy(), atol=1e-12)


def test_without_self_loops_the_exact_filter_depends_on_the_sites_size():
    """Of a site of n the other eigenvalue is n / (n - 1): two sizes have two, and no line meets both at gain 1."""
    sites = np.array([0, 0, 1, 1, 1])
    edges = site_edges(sites)
    values = spectrum(edges, torch.ones(edges.size(1), dtype=torch.float64), 5, self_loops=False)
    assert np.allclose(values, [0, 0, 1.5, 1.5, 2], atol=1e-12)


@pytest.mark.parametrize("out", [2, 3, 7])  # narrower, as wide and wider than the inputs: two ways of summing
@pytest.mark.parametrize("terms", [1, 2, 3, 5])
def test_the_layer_is_the_polynomial_and_its_response_is_exact(out, terms):
    torch.manual_seed(0)
    people = 8
    weights = torch.rand(people, people, dtype=torch.float64).triu(1)
    source, target = torch.nonzero(weights + weights.T, as_tuple=True)
    adjacency = shift((torch.stack([source, target]), (weights + weights.T)[source, target]), people, self_loops=False)
    layer, x = Chebyshev(3, out, terms).double(), drawn(people)
    values, vectors = np.linalg.eigh(np.eye(people) - adjacency.numpy())
    polynomials = np.polynomial.chebyshev.chebvander(values - 1, terms - 1)  # [people, terms]
    expected = layer.maps[0].bias.detach().numpy() + sum(
        (vectors * polynomials[:, k]) @ vectors.T @ x.numpy() @ linear.weight.detach().numpy().T
        for k, linear in enumerate(layer.maps)
    )
    assert np.allclose(layer(x, adjacency).detach().numpy(), expected, atol=1e-12)
    assert np.allclose(layer.combine(layer.basis(x, adjacency)).detach().numpy(), expected, atol=1e-12)


def test_the_response_of_known_filters():
    layer = Chebyshev(2, 2, terms=2)
    with torch.no_grad():
        layer.maps[0].weight.copy_(torch.eye(2))
        layer.maps[1].weight.copy_(torch.eye(2))  # 1 + L - 1 = L
    x = np.array([[0.0, 1.0], [2.0, -1.0]])
    assert np.allclose(response(layer, x), np.array(FREQUENCIES) / 2, atol=1e-4)  # rounded to four digits


def test_filters_of_the_site_graph_reach_the_site_and_nobody_else():
    sites = np.array([0, 0, 0, 1, 1])
    x, same = drawn(5), sites[:, None] == sites
    for module, own in ((LowPass(3), 1 / 3), (HighPass(3), 2 / 3)):
        field = receptive_field(module.double(), x, site_edges(sites))
        assert (field.reach.toarray() == same).all()
        assert field.hops.tolist() == [1] * 5
        one = receptive_field(module, x[:3], site_edges(sites[:3]))
        assert np.allclose(one.influence, np.sqrt(3) * np.array([own, 1 / 3]), atol=1e-12)
