"""Reach read from operations: equal to what derivatives show, and "not known" wherever it could be wrong."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from torch import nn
from torch.nn import functional
from torch_geometric.nn import GCNConv, Sequential

from gnnseq import synchronous
from gnnseq.layers import GCN, GRU, LSTM, RNN, GatedGraph
from gnnseq.reach.jacobian import Jacobian
from gnnseq.reach.sparsity import has_generic_weights, structural_reach
from gnnseq.reach.sparsity_rules import FUNCTIONS, METHODS, MODULES

N, F = 7, 4
EDGES = torch.tensor([[0, 0, 1, 2, 3, 3], [1, 2, 3, 3, 4, 5]])  # a DAG; node 6 is alone
ROUNDS = synchronous(EDGES, N, rounds=3)
MEAN = torch.eye(N) + torch.zeros(N, N).index_put((EDGES[1], EDGES[0]), torch.tensor(0.5))


class Model(nn.Module):
    """A forward pass written as a function of its parts."""

    def __init__(self, forward, *parts):
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.function = forward

    def forward(self, x):
        return self.function(x, *self.parts)


def structure(model):
    return structural_reach(lambda module, x: module(x), model.eval().double(), torch.randn(N, F).double())


def by_derivatives(model):
    """What random inputs show, ten of them so that no unit is off in all."""
    model, found, random = model.eval().double(), np.zeros((N, N), dtype=bool), torch.Generator().manual_seed(0)
    for _ in range(10):
        out = Jacobian(lambda x: model(x).reshape(N, -1), torch.randn(N, F).double())
        found |= out.touches([np.array([v]) for v in range(N)], random).toarray()
    return found


def gcn(width=F):
    return GCN(F, width)


def first(result):
    return result[0]


def unpacked(x, layer):
    h, _ = layer(x, EDGES)
    return h


def halves(x, layer):
    one, two = layer(x, EDGES).chunk(2, dim=1)
    return one * two


KNOWN = {
    "one layer": lambda: Model(lambda x, a: a(x, EDGES), gcn()),
    "two layers": lambda: Model(lambda x, a, b: b(functional.relu(a(x, EDGES)), EDGES), gcn(), gcn()),
    "list and loop": lambda: Model(lambda x, *all: [x := a(x, EDGES).tanh() for a in all][-1], gcn(), gcn(), gcn()),
    "keywords": lambda: Model(lambda x, a: a(x=x, edge_index=EDGES), gcn()),
    "weighted": lambda: Model(lambda x, a: a(x, EDGES, torch.arange(1.0, 7.0).double()), gcn()),
    "residual": lambda: Model(lambda x, a: x + 2.0 * a(x, EDGES) / 3.0 - 1.0, gcn()),
    "gate": lambda: Model(lambda x, a: x * a(x, EDGES).sigmoid(), gcn()),
    "jump": lambda: Model(lambda x, a, b: b(torch.cat([x, a(x, EDGES)], dim=-1)), gcn(), nn.Linear(2 * F, 3)),
    "heads": lambda: Model(lambda x, a: a(x, EDGES).view(N, 2, -1).mean(dim=1), gcn()),
    "halves": lambda: Model(halves, gcn()),
    "slices": lambda: Model(lambda x, a: a(x, EDGES)[:, :2] - a(x, EDGES)[:, 3:], gcn()),
    "norms": lambda: Model(lambda x, a, b, c: c(b(a(x, EDGES))), gcn(), nn.LayerNorm(F), nn.BatchNorm1d(F)),
    "softmax": lambda: Model(lambda x, a: functional.log_softmax(a(x, EDGES), dim=-1), gcn()),
    "shapes": lambda: Model(lambda x, a: a(x, EDGES).reshape(x.shape[0], x.size(1), 1).flatten(1), gcn()),
    "dropout": lambda: Model(lambda x, a, b: functional.dropout(b(a(x, EDGES)), 0.5, b.training), gcn(), nn.Dropout()),
    "dense": lambda: Model(lambda x, a: MEAN.to(x) @ a(x), nn.Linear(F, 2)),
    "sparse": lambda: Model(lambda x, a: torch.sparse.mm(MEAN.to_sparse().double(), a(x)), nn.Linear(F, 2)),
    "pool": lambda: Model(lambda x: MEAN[:3].T.double() @ (MEAN[:3].double() @ x)),
    "RNN": lambda: Model(lambda x, a: first(a(x, EDGES)), RNN(F, 3)),
    "unpacked": lambda: Model(unpacked, LSTM(F, 3, num_layers=2)),
    "bidirectional": lambda: Model(lambda x, a: first(a(x, EDGES)), GRU(F, 3, bidirectional=True)),
    "rounds": lambda: Model(lambda x, a: first(a(x, ROUNDS)), GRU(F, 3)),
    "gated graph": lambda: Model(lambda x, a: a(x, EDGES), GatedGraph(F, num_rounds=2)),
    "Sequential": lambda: Model(
        lambda x, a: a(x, EDGES),
        Sequential("x, e", [(gcn(), "x, e -> x"), nn.ReLU(inplace=True), (gcn(3), "x, e -> x"), nn.Linear(3, 2)]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_structure_equals_derivatives(name):
    model = KNOWN[name]()
    np.testing.assert_array_equal(structure(model).toarray(), by_derivatives(model))


# What the operations of the tables are called with, after h or as a module is made; others with nothing more.
WEIGHT = torch.linspace(-1, 1, 12, dtype=torch.float64).view(F, 3)
ARGUMENTS = {
    "BatchNorm1d": (F,), "LayerNorm": (F,), "Linear": (F, 3), "LogSoftmax": (1,), "Softmax": (1,), "chunk": (2, 1),
    "dropout": (0.5, False), "flatten": (1,), "getitem": ((slice(None), slice(1, 3)),), "layer_norm": ((F,),),
    "linear": (WEIGHT.T,), "log_softmax": (-1,), "matmul": (WEIGHT,), "mean": (1, True), "mm": (WEIGHT,),
    "reshape": ((N, 2, -1),), "softmax": (1,), "split": (3, 1), "sum": (-1, True), "to": (torch.float64,),
    "unsqueeze": (-1,), "view": (N, 2, -1),
    **dict.fromkeys(["add", "div", "mul", "sub", "truediv"], (2.0,)),
}  # fmt: skip
IN_KNOWN = {"_sparse_mm", "cat", "getattr", "size"}  # called another way, in models above


def listed(table):
    """The operations of a table, with their names."""
    named = [(key, key if isinstance(key, str) else key.__name__) for key in table]
    return [pytest.param(key, id=name) for key, name in named if name not in IN_KNOWN]


@pytest.mark.parametrize("function", listed(FUNCTIONS))
def test_every_function_of_the_list_is_exact(function):
    def forward(x, a):
        h = function(a(x, EDGES), *ARGUMENTS.get(function.__name__, ()))
        return h[0] if function in (torch.chunk, torch.split) else h

    model = Model(forward, gcn())
    np.testing.assert_array_equal(structure(model).toarray(), by_derivatives(model))


@pytest.mark.parametrize("name", listed(METHODS))
def test_every_method_of_the_list_is_exact(name):
    def forward(x, a):
        h = getattr(a(x, EDGES), name)(*ARGUMENTS.get(name, ()))
        return h[0] if name in ("chunk", "split") else h

    model = Model(forward, gcn())
    np.testing.assert_array_equal(structure(model).toarray(), by_derivatives(model))


@pytest.mark.parametrize("kind", listed(MODULES))
def test_every_module_of_the_list_is_exact(kind):
    model = Model(lambda x, a, b: b(a(x, EDGES)), gcn(), kind(*ARGUMENTS.get(kind.__name__, ())))
    np.testing.assert_array_equal(structure(model).toarray(), by_derivatives(model))


def test_a_module_that_returns_a_pair_is_read_by_its_first_element():
    assert structure(Model(lambda x, a: a(x, EDGES), RNN(F, 3))).nnz == structure(KNOWN["RNN"]()).nnz


class Mean(GCN):
    """Inherits reach(), which is no longer true."""

    def forward(self, x, edge_index):
        return super().forward(x, edge_index) + x.mean(dim=0)


class Own(Mean):
    """Says so itself."""

    def reach(self, edge_index, num_nodes):
        return csr_array(np.ones((num_nodes, num_nodes), dtype=bool))


def hooked():
    layer = gcn()
    layer.register_forward_hook(lambda module, inputs, output: output + inputs[0].sum())
    return layer


def replaced():
    layer = gcn()
    layer.forward = lambda x, edge_index: x.flip(0)
    return layer


NOT_KNOWN = {
    "mean over nodes": lambda: Model(lambda x, a: a(x, EDGES) + x.mean(dim=0), gcn()),
    "mean, counted from the end": lambda: Model(lambda x, a: a(x, EDGES) + x.mean(dim=-2, keepdim=True), gcn()),
    "sum of everything": lambda: Model(lambda x, a: a(x, EDGES) + x.sum(), gcn()),
    "softmax over nodes": lambda: Model(lambda x: x.softmax(dim=0)),
    "batch statistics": lambda: Model(lambda x, a: a(x), nn.BatchNorm1d(F, track_running_stats=False)),
    "layer norm of all": lambda: Model(lambda x, a: a(x), nn.LayerNorm([N, F])),
    "transposed": lambda: Model(lambda x, a: a(x.T).T, nn.Linear(N, N)),
    "a row per channel": lambda: Model(lambda x, a: a(x[:, 0]).unsqueeze(1), nn.Linear(N, N)),
    "rows as channels": lambda: Model(lambda x: x[:, :1] * x[:, 0]),
    "reshaped": lambda: Model(lambda x: x.view(F, N).reshape(N, F)),
    "flipped": lambda: Model(lambda x: x.flip(0)),
    "one row": lambda: Model(lambda x: x + x[0]),
    "joined rows": lambda: Model(lambda x: torch.cat([x[:, :2], x[:, 2:]])[:N]),
    "similarity": lambda: Model(lambda x: x @ x.T @ x),
    "control flow": lambda: Model(lambda x, a: a(x, EDGES) if x.sum() > 0 else x, gcn()),
    "in place": lambda: Model(lambda x: (lambda h: (h.add_(x.flip(0)), h)[1])(x * 2)),
    "foreign layer": lambda: Model(lambda x, a: a(x, EDGES), GCNConv(F, F)),
    "inherited reach": lambda: Model(lambda x, a: a(x, EDGES), Mean(F, F)),
    "hook": lambda: Model(lambda x, a: a(x, EDGES), hooked()),
    "replaced forward": lambda: Model(lambda x, a: a(x, EDGES), replaced()),
    "final state": lambda: Model(lambda x, a: first(a(x, EDGES)) + a(x, EDGES)[1].sum(), RNN(F, 3)),
    "random": lambda: Model(lambda x: functional.dropout(x, 0.5)),
    "same weights twice": lambda: Model(lambda x, a: a(x, EDGES) - a.lin(x), gcn()),
    "no weights": lambda: Model(lambda x: x - MEAN.double() @ x),
    "a quotient": lambda: Model(lambda x: x / (MEAN.double() @ x)),
    "a row swamped": lambda: Model(lambda x, a: (a(x, EDGES) + torch.tensor([[0.0]] * 6 + [[-1e30]])).relu(), gcn()),
    "a row blown up": lambda: Model(lambda x, a: (a(x, EDGES) * torch.tensor([[1.0]] * 6 + [[1e30]])).tanh(), gcn()),
    # These would be seen as reaching more than they do.
    "channels cut off": lambda: Model(lambda x, a: torch.cat([a(x, EDGES), x], dim=1)[:, F:], gcn()),
    "rows masked": lambda: Model(lambda x, a: a(x, EDGES) * (torch.arange(N) > 2).unsqueeze(1), gcn()),
    "edges masked": lambda: Model(lambda x, a: a(x, EDGES, (EDGES[0] > 0).double()), gcn()),
    "signed edges": lambda: Model(lambda x, a: a(x, EDGES, torch.tensor([1.0, -1, 1, 1, 1, 1]).double()), gcn()),
    "signed matrix": lambda: Model(lambda x: (MEAN - 0.1).double() @ x),
}


@pytest.mark.parametrize("name", NOT_KNOWN)
def test_what_is_not_sure_is_not_known(name):
    assert structure(NOT_KNOWN[name]()) is None


def test_a_layer_that_defines_reach_itself_is_believed():
    assert structure(Model(lambda x, a: a(x, EDGES), Own(F, F))).nnz == N * N


@pytest.mark.parametrize(("share", "generic"), [(0.0, True), (0.3, False), (1.0, False)])
def test_weights_with_zeros_are_not_generic(share, generic):
    model = nn.Sequential(nn.Linear(50, 40), nn.LayerNorm(40))
    with torch.no_grad():
        model[0].weight[: int(40 * share)] = 0.0
    assert has_generic_weights(model) == generic
