"""GCN against the dense matrix, against torch_geometric's GCNConv, and in every place a GCNConv can stand."""

import copy
import io
import pickle

import pytest
import torch
import torch_geometric
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import forward_ad
from torch_geometric import EdgeIndex
from torch_geometric.explain import CaptumExplainer, GNNExplainer
from torch_geometric.nn import GCNConv

import reference
from explaining import explain
from gnnseq.graphs import path_graph
from gnnseq.layers import GCN
from meter import Meter
from strategies import graphs

EXACT = {"rtol": 0, "atol": 1e-12}
F_IN, F_OUT = 3, 2
UNDIRECTED = torch.tensor([[0, 1, 1, 2, 2, 3, 0, 3], [1, 0, 2, 1, 3, 2, 3, 0]])


def dense(layer, x, edge_index, edge_weight=None, **options):
    A = reference.gcn_adjacency(edge_index, x.size(-2), edge_weight, **options)
    return reference.gcn(x, A, layer.lin.weight, layer.bias)


@given(graphs(min_nodes=0), st.booleans(), st.booleans(), st.sampled_from([(3, 2), (2, 3), (2, 2)]))
def test_equals_the_dense_matrix(graph, improved, add_self_loops, widths):
    """Any directed graph with weights, self-loops, parallel edges and isolated nodes; values and gradients."""
    torch.manual_seed(graph.seed)
    options = {"improved": improved, "add_self_loops": add_self_loops}
    layer = GCN(*widths, **options).double()
    x, weight = graph.features(widths[0]).requires_grad_(), graph.edge_weight.clone().requires_grad_()
    h = layer(x, graph.edge_index, weight)
    if graph.num_nodes == 0:
        assert h.shape == (0, widths[1])
        return
    expected = dense(layer, x, graph.edge_index, weight, **options)
    torch.testing.assert_close(h, expected, **EXACT)
    direction, inputs = torch.randn_like(h), [x, weight, layer.lin.weight, layer.bias]
    mine = torch.autograd.grad(h, inputs, direction, allow_unused=True, materialize_grads=True)
    theirs = torch.autograd.grad(expected, inputs, direction, allow_unused=True, materialize_grads=True)
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b, **EXACT)


@given(graphs(), st.booleans(), st.booleans())
def test_equals_the_dense_matrix_without_weights(graph, improved, add_self_loops):
    torch.manual_seed(graph.seed)
    options = {"improved": improved, "add_self_loops": add_self_loops}
    layer, x = GCN(F_IN, F_OUT, **options).double(), graph.features(F_IN)
    torch.testing.assert_close(
        layer(x, graph.edge_index), dense(layer, x, graph.edge_index, **options), rtol=0, atol=1e-12
    )


@given(graphs(min_nodes=0))
def test_without_normalisation_it_sums_weighted_messages(graph):
    torch.manual_seed(graph.seed)
    layer, x = GCN(F_IN, F_OUT, normalize=False).double(), graph.features(F_IN)
    A = reference.dense_adjacency(graph.edge_index, graph.num_nodes, graph.edge_weight)
    expected = reference.gcn(x, A, layer.lin.weight, layer.bias)
    torch.testing.assert_close(layer(x, graph.edge_index, graph.edge_weight), expected, **EXACT)


@given(graphs(), st.booleans(), st.sampled_from([(True, True), (True, False), (False, False)]))
def test_equals_gcnconv_on_undirected_graphs_with_its_state_dict(graph, improved, normalize_and_loops):
    torch.manual_seed(graph.seed)
    options = {"improved": improved, "normalize": normalize_and_loops[0], "add_self_loops": normalize_and_loops[1]}
    theirs, mine = GCNConv(F_IN, F_OUT, **options).double(), GCN(F_IN, F_OUT, **options).double()
    torch.nn.init.normal_(theirs.bias)
    mine.load_state_dict(theirs.state_dict())
    loop = graph.edge_index[0] == graph.edge_index[1]
    edge_index = torch.cat([graph.edge_index, graph.edge_index[:, ~loop].flip(0)], dim=1)
    weight = torch.cat([graph.edge_weight, graph.edge_weight[~loop]])
    x = graph.features(F_IN)
    torch.testing.assert_close(mine(x, edge_index, weight), theirs(x, edge_index, weight), **EXACT)
    # Without weights GCNConv 2.8 forgets `improved`; ones say the same and do not.
    ones = torch.ones_like(weight)
    if not loop.any():
        torch.testing.assert_close(mine(x, edge_index), theirs(x, edge_index, ones), **EXACT)
    theirs.load_state_dict(mine.state_dict())


def test_gradients_by_weights_are_gcnconvs_where_both_directions_have_one():
    """Of two entries, one a direction, each degree reads another one; of their sum the derivative is the same."""
    theirs, mine = GCNConv(F_IN, F_OUT).double(), GCN(F_IN, F_OUT).double()
    mine.load_state_dict(theirs.state_dict())
    edge_index, x = path_graph(5, undirected=True).edge_index, torch.randn(5, F_IN).double()
    both, found = torch.rand(4).double().repeat(2).requires_grad_(), []
    for layer in (mine, theirs):
        y = layer(x, edge_index, both)
        found.append((y, torch.autograd.grad(y.square().sum(), both)[0].view(2, 4)))
    (y, gradient), (expected, other) = found
    torch.testing.assert_close(y, expected, **EXACT)
    torch.testing.assert_close(gradient.sum(0), other.sum(0), **EXACT)
    assert (gradient - other).abs().min() > 1e-6


def test_signature_and_parameters_are_gcnconvs():
    for bias in (True, False):
        mine, theirs = GCN(F_IN, F_OUT, bias=bias), GCNConv(F_IN, F_OUT, bias=bias)
        assert {n: p.shape for n, p in mine.named_parameters()} == {n: p.shape for n, p in theirs.named_parameters()}
    # Glorot's bound for the kernel, zero for the bias: GCNConv's own start.
    layer = GCN(400, 200)
    assert layer.lin.weight.abs().max().item() == pytest.approx((6 / 600) ** 0.5, rel=1e-3)
    assert not layer.bias.any()


def test_a_directed_path_without_self_loops_keeps_the_first_message():
    """GCNConv divides by node 0's in-degree, which is zero, and drops it; its out-degree is one."""
    edge_index, x = path_graph(3).edge_index, torch.eye(3, dtype=torch.float64)
    layer = GCN(3, 3, add_self_loops=False, bias=False).double()
    with torch.no_grad():
        layer.lin.weight.copy_(torch.eye(3))
    torch.testing.assert_close(layer(x, edge_index), torch.tensor([[0, 0, 0], [1, 0, 0], [0, 1, 0]]).double(), **EXACT)


def test_out_degree_of_the_source_and_in_degree_of_the_target():
    """By hand: 0 -> 1, 0 -> 2, 1 -> 2 without self-loops: out-degrees 2, 1, 0 and in-degrees 0, 1, 2."""
    edge_index = torch.tensor([[0, 0, 1], [1, 2, 2]])
    layer = GCN(1, 1, add_self_loops=False, bias=False).double()
    with torch.no_grad():
        layer.lin.weight.fill_(1)
    h = layer(torch.tensor([[1.0], [10.0], [100.0]]).double(), edge_index).flatten()
    expected = torch.tensor([0, 1 / (2 * 1) ** 0.5, 1 / (2 * 2) ** 0.5 + 10 / (1 * 2) ** 0.5], dtype=torch.float64)
    torch.testing.assert_close(h, expected, **EXACT)


def test_no_edges_and_no_nodes():
    layer, none = GCN(F_IN, F_OUT).double(), torch.empty(2, 0, dtype=torch.long)
    x = torch.randn(4, F_IN, dtype=torch.float64)
    torch.testing.assert_close(layer(x, none), layer.lin(x) + layer.bias, **EXACT)
    assert layer(x[:0], none).shape == (0, F_OUT)
    bare = GCN(F_IN, F_OUT, add_self_loops=False, bias=False).double()
    assert not bare(x, none).any()


@pytest.mark.parametrize("widths", [(3, 2), (2, 3)])
def test_no_nodes_in_leading_dimensions(widths):
    layer, none = GCN(*widths), torch.empty(2, 0, dtype=torch.long)
    assert layer(torch.empty(2, 5, 0, widths[0]), none).shape == (2, 5, 0, widths[1])
    empty = torch.vmap(lambda x: layer(x, none))(torch.empty(2, 0, widths[0]))
    assert empty.shape == (2, 0, widths[1])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("form", ["weights", "sparse adjacency"])
def test_degrees_of_hubs_outlive_half_precision(dtype, form):
    """Adding ones in float16 stops at 2048, in bfloat16 at 256."""
    leaves = torch.arange(1, 5000)
    edge_index = torch.stack([leaves, torch.zeros_like(leaves)])
    layer, x, ones = GCN(1, 1).to(dtype), torch.ones(5000, 1, dtype=dtype), torch.ones(4999, dtype=dtype)
    adjacency = torch.sparse_coo_tensor(edge_index.flip(0), ones, (5000, 5000))
    h = layer(x, edge_index, ones) if form == "weights" else layer(x, adjacency)
    assert torch.equal(h, layer(x, edge_index))


@pytest.mark.parametrize("shape", [(2,), (2, 3), (0,), (1, 1, 2)])
def test_leading_dimensions_share_the_graph(shape):
    layer, x = GCN(F_IN, F_OUT).double(), torch.randn(*shape, 4, F_IN, dtype=torch.float64)
    h = layer(x, UNDIRECTED)
    assert h.shape == (*shape, 4, F_OUT)
    for mine, own in zip(h.reshape(-1, 4, F_OUT), x.reshape(-1, 4, F_IN), strict=True):
        torch.testing.assert_close(mine, layer(own, UNDIRECTED), **EXACT)


@given(graphs())
@pytest.mark.parametrize("sort_order", [None, "row", "col"])
def test_edge_index_class(sort_order, graph):
    torch.manual_seed(graph.seed)
    layer, x = GCN(F_IN, F_OUT).double(), graph.features(F_IN)
    edge_index = graph.edge_index
    if sort_order is not None:
        edge_index = edge_index[:, edge_index[0 if sort_order == "row" else 1].argsort()]
    size = (graph.num_nodes, graph.num_nodes)
    wrapped = EdgeIndex(edge_index.contiguous(), sparse_size=size, sort_order=sort_order)
    h = layer(x, wrapped)
    assert type(h) is torch.Tensor
    torch.testing.assert_close(h, layer(x, graph.edge_index), **EXACT)


@given(graphs())
@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr, torch.sparse_csc])
def test_sparse_adjacency_has_targets_as_rows(layout, graph):
    torch.manual_seed(graph.seed)
    layer, x = GCN(F_IN, F_OUT).double(), graph.features(F_IN)
    size = (graph.num_nodes, graph.num_nodes)
    # Coalescing adds parallel edges up, self-loops among them, so that is the graph to compare with.
    coo = torch.sparse_coo_tensor(graph.edge_index.flip(0), graph.edge_weight, size).coalesce()
    adjacency = coo if layout is torch.sparse_coo else coo.to_sparse(layout=layout)
    torch.testing.assert_close(layer(x, adjacency), layer(x, coo.indices().flip(0), coo.values()), **EXACT)


def test_uncoalesced_adjacency():
    layer, x = GCN(F_IN, F_OUT).double(), torch.randn(3, F_IN, dtype=torch.float64)
    twice = torch.sparse_coo_tensor(
        torch.tensor([[1, 1, 2], [0, 0, 1]]), torch.tensor([1.0, 2.0, 1.0]).double(), (3, 3)
    )
    torch.testing.assert_close(layer(x, twice), layer(x, twice.coalesce()), **EXACT)


@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr])
def test_values_of_a_sparse_adjacency_get_gradients(layout):
    layer, x = GCN(F_IN, F_OUT).double(), torch.randn(4, F_IN, dtype=torch.float64)
    weight = torch.rand(8, dtype=torch.float64).add(0.5).requires_grad_()
    layer(x, UNDIRECTED, weight).sum().backward()
    adjacency = torch.sparse_coo_tensor(UNDIRECTED.flip(0), weight.detach(), (4, 4)).coalesce()
    adjacency = (adjacency if layout is torch.sparse_coo else adjacency.to_sparse_csr()).requires_grad_()
    layer(x, adjacency).sum().backward()
    source, target = UNDIRECTED
    torch.testing.assert_close(adjacency.grad.to_dense()[target, source], weight.grad, **EXACT)


@given(graphs())
def test_the_order_of_the_edges_does_not_matter(graph):
    torch.manual_seed(graph.seed)
    layer, x = GCN(F_IN, F_OUT).double(), graph.features(F_IN)
    loop = graph.edge_index[0] == graph.edge_index[1]  # of several self-loops the last one counts, so leave them out
    edge_index, weight = graph.edge_index[:, ~loop], graph.edge_weight[~loop]
    torch.testing.assert_close(layer(x, edge_index, weight), layer(x, edge_index.flip(1), weight.flip(0)), **EXACT)


def test_negative_weights_are_fine_while_degrees_are_positive():
    layer, x = GCN(F_IN, F_OUT).double(), torch.randn(3, F_IN, dtype=torch.float64)
    edge_index = torch.tensor([[0, 1, 0, 2], [1, 0, 2, 0]])
    weight = torch.tensor([-0.5, -0.5, 1.0, 1.0]).double()
    h = layer(x, edge_index, weight)
    torch.testing.assert_close(h, dense(layer, x, edge_index, weight), **EXACT)
    assert torch.isfinite(h).all()


def test_negative_degrees_are_refused():
    layer, x = GCN(F_IN, F_OUT), torch.randn(2, F_IN)
    with pytest.raises(ValueError, match=r"edge_weight.*node 0.*degree -2.*or normalize=False$"):
        layer(x, torch.tensor([[0], [1]]), torch.tensor([-3.0]))


# Memo safety: what the layer remembers is never served for another graph.


def change_in_place(tensor, value):
    tensor[..., 0] = value


def change_through_data(tensor, value):
    tensor.data[..., 0] = value


def change_through_numpy(tensor, value):
    tensor.detach().numpy()[..., 0] = value


CHANGES = pytest.mark.parametrize("change", [change_in_place, change_through_data, change_through_numpy])


@CHANGES
def test_a_changed_edge_index_is_noticed(change):
    layer, x, edge_index = GCN(F_IN, F_OUT).double(), torch.randn(4, F_IN).double(), path_graph(4).edge_index.clone()
    before = layer(x, edge_index)
    change(edge_index, 3)
    torch.testing.assert_close(layer(x, edge_index), dense(layer, x, edge_index), **EXACT)
    assert not torch.equal(layer(x, edge_index), before)


@CHANGES
def test_changed_weights_are_noticed(change):
    layer, x, edge_index = GCN(F_IN, F_OUT).double(), torch.randn(4, F_IN).double(), path_graph(4).edge_index
    weight = torch.ones(3, dtype=torch.float64)
    layer(x, edge_index, weight)
    change(weight, 7.0)
    torch.testing.assert_close(layer(x, edge_index, weight), dense(layer, x, edge_index, weight), **EXACT)


@CHANGES
def test_changed_values_of_a_sparse_adjacency_are_noticed(change):
    layer, x = GCN(F_IN, F_OUT).double(), torch.randn(4, F_IN).double()
    adjacency = torch.sparse_coo_tensor(path_graph(4).edge_index.flip(0), torch.ones(3).double(), (4, 4)).coalesce()
    layer(x, adjacency)
    change(adjacency.values(), 7.0)
    expected = dense(layer, x, adjacency.indices().flip(0), adjacency.values())
    torch.testing.assert_close(layer(x, adjacency), expected, **EXACT)


def test_a_replaced_graph_of_the_same_size_is_noticed():
    """Tensors that are freed and made again often get the same address and the same version."""
    layer, x = GCN(F_IN, F_OUT).double(), torch.randn(6, F_IN).double()
    for seed in range(20):
        edge_index = torch.randint(6, (2, 9), generator=torch.Generator().manual_seed(seed))
        torch.testing.assert_close(layer(x, edge_index), dense(layer, x, edge_index), **EXACT)
        del edge_index


def test_weights_then_none_then_more_nodes_then_another_type():
    layer, edge_index = GCN(F_IN, F_OUT).double(), path_graph(3).edge_index
    x, weight = torch.randn(5, F_IN).double(), torch.tensor([2.0, 3.0]).double()
    for nodes, w in [(3, weight), (3, None), (5, None), (5, weight), (3, None)]:
        torch.testing.assert_close(layer(x[:nodes], edge_index, w), dense(layer, x[:nodes], edge_index, w), **EXACT)
    single = copy.deepcopy(layer).float()
    assert single(x.float(), edge_index).dtype == torch.float32
    torch.testing.assert_close(
        single.double()(x, edge_index), layer(x, edge_index), rtol=0, atol=1e-6
    )  # went via float


def test_changed_options_are_noticed():
    layer, x, edge_index = GCN(F_IN, F_OUT).double(), torch.randn(4, F_IN).double(), path_graph(4).edge_index
    layer(x, edge_index)
    layer.improved = True
    torch.testing.assert_close(layer(x, edge_index), dense(layer, x, edge_index, improved=True), **EXACT)


def test_learnable_weights_get_gradients_on_every_backward():
    layer, x = GCN(F_IN, F_OUT).double(), torch.randn(4, F_IN).double()
    weight = torch.rand(8, dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(dense(layer, x, UNDIRECTED, weight).square().sum(), weight)
    for _ in range(3):
        (gradient,) = torch.autograd.grad(layer(x, UNDIRECTED, weight).square().sum(), weight)
        torch.testing.assert_close(gradient, expected, **EXACT)
    with torch.no_grad():
        layer(x, UNDIRECTED, weight)
    layer(x, UNDIRECTED, weight).square().sum().backward()
    torch.testing.assert_close(weight.grad, expected, **EXACT)


def test_forward_derivatives_are_not_lost_to_the_memo():
    """Dual numbers equal their primal parts, and what was remembered of those has no tangent."""
    layer, x, weight = GCN(F_IN, F_OUT).double(), torch.randn(4, F_IN).double(), torch.rand(8).double()
    layer(x, UNDIRECTED, weight)
    tangent = torch.rand(8).double()
    found, expected = (
        torch.func.jvp(of, (weight,), (tangent,))[1]
        for of in (lambda weight: layer(x, UNDIRECTED, weight), lambda weight: dense(layer, x, UNDIRECTED, weight))
    )
    torch.testing.assert_close(found, expected, **EXACT)
    with torch.no_grad(), forward_ad.dual_level():
        again = layer(x, UNDIRECTED, forward_ad.make_dual(weight, tangent))
        torch.testing.assert_close(forward_ad.unpack_dual(again).tangent, expected, **EXACT)


def test_what_was_remembered_in_inference_mode_does_not_break_training():
    layer, x = GCN(F_IN, F_OUT).double(), torch.randn(4, F_IN).double()
    with torch.inference_mode():
        layer(x, UNDIRECTED)
    layer(x, UNDIRECTED).square().sum().backward()
    assert torch.isfinite(layer.lin.weight.grad).all()


def test_second_order_gradients():
    layer = GCN(F_IN, F_OUT).double()
    x, weight = torch.randn(4, F_IN).double().requires_grad_(), torch.rand(8).double().requires_grad_()

    def second(h):
        first = torch.autograd.grad(h.pow(3).sum(), [x, weight], create_graph=True)
        return torch.autograd.grad(sum(g.square().sum() for g in first), [x, weight, layer.lin.weight])

    expected = second(dense(layer, x, UNDIRECTED, weight))
    for mine, theirs in zip(second(layer(x, UNDIRECTED, weight)), expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)


def test_copies_and_files_carry_no_cache():
    layer, x = GCN(F_IN, F_OUT), torch.randn(500, F_IN)
    edge_index = torch.randint(500, (2, 5000))

    def size(module):
        file = io.BytesIO()
        torch.save(module, file)
        return len(pickle.dumps(module)), file.tell()

    keys, empty = set(layer.state_dict()), size(layer)
    h = layer(x, edge_index)
    assert size(layer) == empty
    assert set(layer.state_dict()) == keys == {"lin.weight", "bias"}
    twin = copy.deepcopy(layer)
    assert size(twin) == empty
    assert torch.equal(twin(x, edge_index), h)
    assert torch.equal(pickle.loads(pickle.dumps(layer))(x, edge_index), h)


# Where a GCNConv can stand.


def network():
    return torch_geometric.nn.Sequential(
        "x, edge_index, edge_weight",
        [
            (GCN(F_IN, 4), "x, edge_index, edge_weight -> x"),
            torch.nn.Tanh(),
            (GCN(4, F_OUT), "x, edge_index, edge_weight -> x"),
        ],
    ).double()


class Net(torch.nn.Module):
    """Two layers, the way people write them."""

    def __init__(self):
        super().__init__()
        self.first, self.second = GCN(F_IN, 4), GCN(4, F_OUT)

    def forward(self, x, edge_index, edge_weight=None):
        return self.second(torch.tanh(self.first(x, edge_index, edge_weight)), edge_index, edge_weight)


def test_in_sequential():
    net, x, weight = network(), torch.randn(4, F_IN).double(), torch.rand(8).double()
    expected = dense(net[2], torch.tanh(dense(net[0], x, UNDIRECTED, weight)), UNDIRECTED, weight)
    torch.testing.assert_close(net(x, UNDIRECTED, weight), expected, **EXACT)


def test_gnn_explainer():
    net = Net()
    edge_index = torch.cat([path_graph(6).edge_index, torch.tensor([[2], [2]])], dim=1)
    x = torch.randn(6, F_IN)
    explanation = explain(net, GNNExplainer(epochs=3), x, edge_index, index=4, node_mask_type="attributes")
    assert explanation.edge_mask.shape == (6,)
    # Two layers: node 4 hears of 3 and 2 along edges 2 -> 3 and 3 -> 4, and of nothing else.
    assert (explanation.edge_mask[[2, 3]] > 0).all()
    assert not explanation.edge_mask[[0, 1, 4]].any()
    assert explanation.node_mask[[2, 3, 4]].any(1).all()
    assert not explanation.node_mask[[0, 1, 5]].any()
    # The masks are gone afterwards.
    fresh = copy.deepcopy(net)
    x = torch.randn(6, F_IN)
    assert torch.equal(net(x, edge_index), fresh(x, edge_index))


def test_captum_explainer_gives_each_edge_its_message():
    """One layer is linear in each message, so integrated gradients are exactly A_ij (W x_j)."""
    layer, x, edge_index = (
        GCN(F_IN, 1).double(),
        torch.randn(5, F_IN).double(),
        torch.tensor([[0, 1, 2, 3], [4, 4, 3, 4]]),
    )
    explanation = explain(layer, CaptumExplainer("IntegratedGradients"), x, edge_index, index=4, node_mask_type=None)
    A = reference.gcn_adjacency(edge_index, 5)
    messages = A[4] * (x @ layer.lin.weight.T).flatten()
    expected = torch.stack([messages[0], messages[1], torch.zeros(()).double(), messages[3]]).detach()
    # Integrated gradients are a quadrature of 50 points that sums its weights to 1 in float32.
    torch.testing.assert_close(explanation.edge_mask.double(), expected, rtol=1e-5, atol=1e-6)


@pytest.fixture
def _fresh_compiler():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.mark.usefixtures("_fresh_compiler")
def test_compile_without_graph_breaks():
    net = Net().double()
    compiled = torch.compile(net, fullgraph=True, backend="eager")
    for nodes, edges in [(4, 8), (4, 8), (9, 20), (30, 7)]:
        x, edge_index = torch.randn(nodes, F_IN).double(), torch.randint(nodes, (2, edges))
        torch.testing.assert_close(compiled(x, edge_index), net(x, edge_index), **EXACT)
        weight = torch.rand(edges).double()
        torch.testing.assert_close(compiled(x, edge_index, weight), net(x, edge_index, weight), **EXACT)
    compiled(x, edge_index).sum().backward()
    assert net.first.lin.weight.grad.any()


@pytest.mark.usefixtures("_fresh_compiler")
def test_compile_after_running_the_same_graph_uncompiled():
    """What eager mode remembered must not be baked into the compiled program."""
    net, x = Net().double(), torch.randn(4, F_IN).double()
    edge_index = path_graph(4).edge_index.clone()
    net(x, edge_index)
    compiled = torch.compile(net, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x, edge_index), net(x, edge_index), **EXACT)
    edge_index[0, 0] = 3
    torch.testing.assert_close(compiled(x, edge_index), net(x, edge_index), **EXACT)


@pytest.mark.usefixtures("_fresh_compiler")
@pytest.mark.parametrize("weighted", [False, True])
def test_export(weighted):
    net, x = Net().double(), torch.randn(4, F_IN).double()
    weight = (torch.rand(8).double(),) if weighted else ()
    nodes, edges = torch.export.Dim("nodes", min=2), torch.export.Dim("edges", min=2)
    shapes = ({0: nodes}, {1: edges}, {0: edges})[: 2 + weighted]
    program = torch.export.export(net, (x, UNDIRECTED, *weight), dynamic_shapes=shapes).module()
    torch.testing.assert_close(program(x, UNDIRECTED, *weight), net(x, UNDIRECTED, *weight), **EXACT)
    # Another graph of another size goes through the same program.
    x, edge_index = torch.randn(7, F_IN).double(), torch.randint(7, (2, 13))
    weight = (torch.rand(13).double(),) if weighted else ()
    torch.testing.assert_close(program(x, edge_index, *weight), net(x, edge_index, *weight), **EXACT)


@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr, torch.sparse_csc])
@pytest.mark.parametrize(("nodes", "features", "channels"), [(6, 40, 3), (6, 3, 40), (1, 1, 1), (0, 4, 2)])
def test_sparse_features_are_dense_ones(layout, nodes, features, channels):
    x = torch.randn(nodes, features).double() * (torch.rand(nodes, features) < 0.3)
    edge_index = path_graph(nodes, undirected=True).edge_index
    layer = GCN(features, channels).double()
    sparse = x.to_sparse(layout=layout)
    expected = layer(x, edge_index)
    torch.testing.assert_close(layer(sparse, edge_index), expected, rtol=0, atol=1e-12)
    cotangent = torch.randn_like(expected)
    parameters = list(layer.parameters())
    expected = torch.autograd.grad(expected, parameters, cotangent)
    for a, b in zip(torch.autograd.grad(layer(sparse, edge_index), parameters, cotangent), expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
    changed = x * 2 + (torch.rand_like(x) < 0.3)
    found, expected = layer(changed.to_sparse(layout=layout), edge_index), layer(changed, edge_index)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr, torch.sparse_csc])
@CHANGES
def test_changed_values_of_sparse_features_are_noticed(layout, change):
    layer, edge_index = GCN(F_IN, F_OUT).double(), path_graph(4).edge_index
    x = torch.ones(4, F_IN).double().to_sparse(layout=layout)
    layer(x, edge_index)
    change(x.values(), 7.0)
    torch.testing.assert_close(layer(x, edge_index), layer(x.to_dense(), edge_index), **EXACT)
    assert (x.to_dense() == 7).any()


def test_moved_sparse_features_are_noticed():
    """The same values in other places, in the same tensors: what the kernel's gradient reads moves with them."""
    layer, edge_index = GCN(F_IN, F_OUT).double(), path_graph(4, undirected=True).edge_index
    x = torch.sparse_csr_tensor(torch.tensor([0, 1, 2, 2, 2]), torch.tensor([0, 1]), torch.tensor([2.0, 3.0]).double())
    x = torch.sparse_csr_tensor(x.crow_indices(), x.col_indices(), x.values(), (4, F_IN))
    for change in (lambda: x.col_indices().fill_(2), lambda: x.crow_indices()[1:3].fill_(2)):
        layer(x, edge_index)
        change()
        mine, expected = (
            torch.autograd.grad(layer(features, edge_index).square().sum(), layer.lin.weight)
            for features in (x, x.to_dense())
        )
        torch.testing.assert_close(mine, expected, **EXACT)


def test_sparse_features_of_other_kinds():
    """32-bit indices, entries listed twice, and the two layouts in turn."""
    layer, x = GCN(5, F_OUT).double(), torch.randn(4, 5).double() * (torch.rand(4, 5) < 0.5)
    edge_index, csr, coo = path_graph(4).edge_index, x.to_sparse_csr(), x.to_sparse_coo()
    small = torch.sparse_csr_tensor(csr.crow_indices().int(), csr.col_indices().int(), csr.values(), x.shape)
    twice = torch.sparse_coo_tensor(coo.indices().repeat(1, 2), coo.values().repeat(2), x.shape)
    for features, scale in [(small, 1), (twice, 2), (csr, 1), (coo, 1), (csr, 1)]:
        torch.testing.assert_close(layer(features, edge_index), layer(scale * x, edge_index), **EXACT)


@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr])
def test_sparse_features_keep_float32_under_autocast(layout):
    """Their sums are made in float32 at no cost, so nothing is rounded."""
    layer, x, edge_index = GCN(5, F_OUT), torch.eye(4, 5), path_graph(4).edge_index
    with torch.autocast("cpu", dtype=torch.bfloat16):
        h = layer(x.to_sparse(layout=layout), edge_index)
    torch.testing.assert_close(h, layer(x, edge_index), rtol=0, atol=1e-6)


@pytest.mark.usefixtures("_fresh_compiler")
@torch.no_grad()  # otherwise dynamo warns of what it does itself after a graph break
def test_compile_with_sparse_features_breaks_the_graph():
    layer, x, edge_index = GCN(5, F_OUT).double(), torch.eye(4, 5).double(), path_graph(4).edge_index
    compiled = torch.compile(layer, backend="eager")
    for scale in (1, 2):
        found = compiled((scale * x).to_sparse(), edge_index)
        torch.testing.assert_close(found, layer(scale * x, edge_index), **EXACT)


@pytest.mark.parametrize(
    "x",
    [torch.ones(2, 4, 3).to_sparse(), torch.ones(2, 4, 3).to_sparse(2), torch.ones(4, 3).to_sparse(1)],
    ids=["batch", "hybrid batch", "dense rows"],
)
def test_sparse_features_are_one_matrix(x):
    with pytest.raises(ValueError, match=r"x is sparse, of shape .* expected a matrix \[N, 3\].*x\.to_dense"):
        GCN(3, 2)(x, path_graph(4).edge_index)


@pytest.mark.parametrize("features", [torch.eye(4, F_IN), torch.eye(4, F_IN).to_sparse_csr()], ids=["dense", "sparse"])
@pytest.mark.parametrize("edge_weight", [None, torch.ones(8)], ids=["unweighted", "weighted"])
def test_a_step_on_the_same_graph_only_compares_it(features, edge_weight):
    """Nothing is checked, sorted or gathered anew; each of three tensors of a matrix is compared once."""
    layer = GCN(F_IN, F_OUT)
    layer(features, UNDIRECTED, edge_weight)
    with Meter() as meter:
        layer(features, UNDIRECTED, edge_weight).sum().backward()
    count = {name.removeprefix("aten::"): number for name, number in meter.operations.items()}
    sparse = features.layout != torch.strided
    assert count["equal"] == 1 + (edge_weight is not None) + 3 * sparse
    assert sum(number for name, number in count.items() if "embedding_bag" in name) == 2 + 2 * sparse
    assert not count.keys() & {"index_select", "index", "argsort", "sort", "aminmax", "isfinite", "bincount", "scatter"}


def test_sparse_features_get_no_gradient():
    x = torch.eye(3).to_sparse().requires_grad_()
    with pytest.raises(ValueError, match=r"sparse features get none; use x\.to_dense"):
        GCN(3, 2)(x, path_graph(3).edge_index)


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")  # torch.nn.Linear's
@pytest.mark.parametrize("init", ["glorot", "he", "orthogonal", "torch"])
@pytest.mark.parametrize("size", [(0, 0), (0, 4), (4, 0)])
def test_layers_of_no_width(init, size):
    layer = GCN(*size)
    layer.reset_parameters(init)
    out = layer(torch.randn(3, size[0]), torch.tensor([[0, 1], [1, 2]]))
    out.sum().backward()
    assert out.shape == (3, size[1])
