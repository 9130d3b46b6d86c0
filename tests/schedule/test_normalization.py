"""The normalised adjacency, by hand and by its gradient; the dense one is in the tests of the layers."""

import torch

from gnnseq.normalization import gcn_normalize


def test_of_several_self_loops_the_last_counts_and_it_alone_has_a_gradient():
    edge_index = torch.tensor([[0, 0, 1, 0], [0, 1, 1, 0]])
    weight = torch.tensor([5.0, 1.0, 3.0, 2.0], dtype=torch.float64, requires_grad=True)
    _, normalised = gcn_normalize(edge_index, weight, 3)
    root = 3.0**0.5  # out-degrees 3, 3, 1 and in-degrees 2, 4, 1
    expected = torch.tensor([0, 1 / (2 * root), 0, 0, 2 / (2**0.5 * root), 3 / (2 * root), 1], dtype=torch.float64)
    torch.testing.assert_close(normalised, expected, rtol=1e-12, atol=1e-12)
    (gradient,) = torch.autograd.grad(normalised.square().sum(), weight)
    assert gradient[0] == 0
    assert (gradient[1:] != 0).all()
    assert torch.autograd.gradcheck(lambda given: gcn_normalize(edge_index, given, 3)[1], weight)
