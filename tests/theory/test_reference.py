"""The reference implementations, checked against torch and torch_geometric before anything is checked against them."""

import pytest
import torch
import torch_geometric

import reference

T, F, H = 5, 3, 4
PATH = torch.stack([torch.arange(T - 1), torch.arange(1, T)])


@pytest.mark.parametrize(
    ("rule", "module"),
    [
        ("tanh", torch.nn.RNN(F, H)),
        ("relu", torch.nn.RNN(F, H, nonlinearity="relu")),
        ("gru", torch.nn.GRU(F, H)),
        ("lstm", torch.nn.LSTM(F, H)),
    ],
)
def test_a_sweep_over_a_path_is_torch(rule, module):
    module = module.double()
    x, h_0, c_0 = (torch.randn(n, d, dtype=torch.float64) for n, d in [(T, F), (1, H), (1, H)])
    state = (h_0, c_0) if rule == "lstm" else (h_0,)
    expected, _ = module(x, state if rule == "lstm" else h_0)
    h = reference.sweep(rule, x, PATH, dict(module.named_parameters()), state=state)[0]
    torch.testing.assert_close(h, expected, rtol=0, atol=1e-12)


def test_a_sweep_up_a_tree_is_the_recursion_of_tai_et_al():
    parents = [4, 4, 3, 5, 5, -1, -1]
    edge_index = torch.tensor([(k, p) for k, p in enumerate(parents) if p >= 0]).t()
    p = dict(torch.nn.LSTM(F, H).double().named_parameters())
    x = torch.randn(len(parents), F, dtype=torch.float64)
    torch.testing.assert_close(
        reference.sweep("lstm", x, edge_index, p)[0], reference.tree_lstm(x, parents, p), rtol=0, atol=1e-12
    )


def test_gated_graph_is_torch_geometric():
    conv = torch_geometric.nn.GatedGraphConv(H, num_layers=3).double()
    edge_index, x = torch.tensor([[0, 1, 2, 2, 3], [1, 2, 0, 3, 3]]), torch.randn(5, F, dtype=torch.float64)
    A = reference.dense_adjacency(edge_index, 5)
    h = reference.gated_graph(x, A, conv.weight, dict(conv.rnn.named_parameters()))
    torch.testing.assert_close(h, conv(x, edge_index), rtol=0, atol=1e-12)


def test_gcn_is_torch_geometric_on_an_undirected_graph():
    conv = torch_geometric.nn.GCNConv(F, H, improved=True).double()
    edge_index = torch.tensor([[0, 1, 1, 2, 2, 3, 0], [1, 0, 2, 1, 2, 0, 3]])
    weight = torch.tensor([0.5, 0.5, 2.0, 2.0, 3.0, 1.5, 1.5]).double()
    x = torch.randn(5, F, dtype=torch.float64)
    h = reference.gcn(x, reference.gcn_adjacency(edge_index, 5, weight, improved=True), conv.lin.weight, conv.bias)
    torch.testing.assert_close(h, conv(x, edge_index, weight), rtol=0, atol=1e-12)
