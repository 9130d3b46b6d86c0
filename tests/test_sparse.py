"""Sparse matrices that say of themselves what is not so: the numbers of what they hold, or an error by name."""

import pytest
import torch
from torch import Tensor

from gnnseq.graphs import as_edge_index
from gnnseq.layers import GCN, LSTM
from gnnseq.reach import receptive_field
from gnnseq.sparse import coalesced

NODES, FEATURES = 300, 800


def marked(indices: Tensor, values: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A COO matrix that says it is coalesced."""
    return torch.sparse_coo_tensor(indices, values, shape, is_coalesced=True)


def forms(matrix: Tensor) -> list[Tensor]:
    """A matrix out of order, and with every entry in two halves: side by side, and one after all others."""
    indices, values, shape = matrix.indices(), matrix.values(), matrix.shape
    order = torch.randperm(values.numel())
    return [
        marked(indices[:, order], values[order], shape),
        marked(indices.repeat_interleave(2, 1), values.repeat_interleave(2) / 2, shape),
        marked(indices.repeat(1, 2), values.repeat(2) / 2, shape),
    ]


@pytest.mark.parametrize("channels", [32, 900])
def test_features_falsely_marked_coalesced(channels: int) -> None:
    x = ((torch.rand(NODES, FEATURES) < 0.02) * torch.rand(NODES, FEATURES)).to_sparse_coo().coalesce()
    edges, layer = torch.stack([torch.arange(NODES - 1), torch.arange(1, NODES)]), GCN(FEATURES, channels)
    found = []
    for form in (x.to_dense(), x, *forms(x)):
        out = layer(form, edges)
        found.append((out, *torch.autograd.grad(out.square().sum(), [*layer.parameters()])))
    for result in found[1:]:
        torch.testing.assert_close(result, found[0], rtol=1e-4, atol=1e-3)  # float32, sums of squares


def test_adjacencies_falsely_marked_coalesced() -> None:
    # Listed twice, self-loops would count once, as the last one that is listed.
    adjacency = (torch.rand(20, 20) * (torch.rand(20, 20) < 0.3)).to_sparse_coo().coalesce()
    layer, x = GCN(3, 4), torch.randn(20, 3)
    for form in forms(adjacency):
        torch.testing.assert_close(layer(x, form), layer(x, adjacency))
        assert torch.equal(as_edge_index(form, 20)[0], adjacency.indices().flip(0))
        with pytest.raises(ValueError, match="requires grad says it is coalesced"):
            layer(x, form.clone().requires_grad_())
    assert coalesced(adjacency) is adjacency
    assert receptive_field(layer, x, forms(adjacency)[2]).reach is not None


@pytest.mark.parametrize("layer", [GCN(3, 4), LSTM(3, 4)])
def test_adjacencies_that_hold_what_is_not_there(layer: torch.nn.Module) -> None:
    ones, x, coo = torch.ones(2), torch.randn(9, 3), torch.sparse_coo_tensor
    kinds = {"size": (9, 9), "check_invariants": False}
    pointers, far = torch.tensor([0, *[2] * 9]), torch.tensor([5, 10**6])
    wrong = {
        r"lists row or column 1000000; expected 0 to 8": coo(torch.stack([far, far]), ones, **kinds),
        r"lists row or column -4; expected 0 to 8": coo(torch.full((2, 2), -4), ones, **kinds),
        r"lists column 1000000; expected 0 to 8": torch.sparse_csr_tensor(pointers, far, ones, **kinds),
        r"lists row 1000000; expected 0 to 8": torch.sparse_csc_tensor(pointers, far, ones, **kinds),
        r"its crow_indices are not 0 to 2": torch.sparse_csr_tensor(pointers * 10**6, far * 0, ones, **kinds),
        r"its ccol_indices are not 0 to 2": torch.sparse_csc_tensor(pointers - 1, far * 0, ones, **kinds),
    }
    for message, graph in wrong.items():
        with pytest.raises(ValueError, match=f"edge_index is sparse.*{message}"):
            layer(x, graph)
