"""A training step holds at most 1.2 times the memory of torch's and torch_geometric's own layers."""

from functools import partial

import pytest
import torch
from torch import nn
from torch_geometric.nn import GCNConv

from gnnseq.graphs import path_graph
from gnnseq.kernels.native import library
from gnnseq.layers import GCN, GRU, LSTM, RNN
from gnnseq.schedule import packed_paths
from studies.speed.measure import peak_memory, training_step


def recurrent_pair(ours, theirs, lengths):
    layer, peer, schedule = ours(64, 64), theirs(64, 64), packed_paths(lengths)
    x = torch.randn(schedule.num_nodes, 64, requires_grad=True)
    packed = nn.utils.rnn.pack_sequence([torch.randn(length, 64) for length in lengths])
    packed.data.requires_grad_()
    return (
        training_step(lambda: layer(x, schedule)[0], [x, *layer.parameters()]),
        training_step(lambda: peer(packed)[0].data, [packed.data, *peer.parameters()]),
    )


def convolution_pair(features, hidden, share=1.0):
    nodes, edge_index = 800, path_graph(800, undirected=True).edge_index
    x = torch.randn(nodes, features) * (torch.rand(nodes, features) < share)
    layers = GCN(features, hidden), GCNConv(features, hidden, cached=True)
    return [training_step(lambda layer=layer: layer(x, edge_index), layer.parameters()) for layer in layers]


@pytest.mark.skipif(library() is None, reason="no C compiler, and torch's operations hold more")
@pytest.mark.parametrize(
    "pair",
    [
        *(
            partial(recurrent_pair, ours, getattr(nn, ours.__name__), lengths)
            for ours in (RNN, LSTM, GRU)
            for lengths in ([60] * 16, list(range(60, 5, -3)))
        ),
        partial(convolution_pair, 128, 128),
        partial(convolution_pair, 700, 16, share=0.01),
    ],
)
def test_peak_memory_of_a_training_step_beside_the_peers(pair):
    torch.manual_seed(0)
    ours, theirs = (peak_memory(step, torch.device("cpu")) for step in pair())
    assert ours <= 1.2 * theirs
