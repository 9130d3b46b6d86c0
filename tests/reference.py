"""Slow, independent implementations, written from the equations one node at a time. Nothing here imports gnnseq.

N nodes, E edges, F input channels, H hidden channels, B rows of a state. Source is j, target is i. Everything is plain
torch, so autograd gives reference gradients too.
"""

from collections.abc import Mapping, Sequence

import networkx as nx
import torch
from torch import Tensor

Parameters = Mapping[str, Tensor]


def dense_adjacency(edge_index: Tensor, num_nodes: int, edge_weight: Tensor | None = None) -> Tensor:
    """A [N, N] with A[i, j] the sum of the weights of all edges j -> i."""
    A = torch.zeros(num_nodes, num_nodes, dtype=torch.float64)
    for e, (j, i) in enumerate(edge_index.t().tolist()):
        one = torch.ones((), dtype=torch.float64)
        A = A.index_put((torch.tensor(i), torch.tensor(j)), one if edge_weight is None else edge_weight[e], True)
    return A


def gcn_adjacency(
    edge_index: Tensor,
    num_nodes: int,
    edge_weight: Tensor | None = None,
    improved: bool = False,
    add_self_loops: bool = True,
) -> Tensor:
    """The normalised adjacency of a GCN: A_ij / sqrt(out-degree of j * in-degree of i), zero where a degree is zero.

    Nodes that have a self-loop keep it with its weight (several unweighted ones count once), the others get one of
    weight 1, or 2 if improved: the rule of torch_geometric.utils.add_remaining_self_loops.
    """
    loop = edge_index[0] == edge_index[1]
    if add_self_loops:
        A = dense_adjacency(edge_index[:, ~loop], num_nodes, None if edge_weight is None else edge_weight[~loop])
        own: dict[int, Tensor | float] = {}
        for e in loop.nonzero().flatten().tolist():
            own[int(edge_index[0, e])] = 1.0 if edge_weight is None else edge_weight[e]
        fill = 2.0 if improved else 1.0
        A = A + torch.diag(torch.stack([torch.as_tensor(own.get(i, fill)).double() for i in range(num_nodes)]))
    else:
        A = dense_adjacency(edge_index, num_nodes, edge_weight)

    def inverse_root(degree: Tensor) -> Tensor:
        return torch.where(degree == 0, 0.0, torch.where(degree == 0, 1.0, degree) ** -0.5)

    return inverse_root(A.sum(1))[:, None] * A * inverse_root(A.sum(0))[None, :]


def gcn(x: Tensor, A: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A X W^T + b for x [..., N, F]."""
    h = torch.einsum("ij,...jf,gf->...ig", A, x, weight)
    return h if bias is None else h + bias


def rnn_rule(x: Tensor, h: Tensor, p: Parameters, suffix: str, activation: str = "tanh") -> Tensor:
    """One node of an RNN. x [F], h [H] the sum over predecessors."""
    a = p[f"weight_ih_{suffix}"] @ x + p[f"weight_hh_{suffix}"] @ h
    a = a + p.get(f"bias_ih_{suffix}", 0.0) + p.get(f"bias_hh_{suffix}", 0.0)
    return torch.tanh(a) if activation == "tanh" else torch.relu(a)


def gru_rule(x: Tensor, h: Tensor, p: Parameters, suffix: str) -> Tensor:
    """One node of a GRU (Cho et al. 2014, with torch's placement of the reset gate)."""
    a = p[f"weight_ih_{suffix}"] @ x + p.get(f"bias_ih_{suffix}", 0.0)
    b = p[f"weight_hh_{suffix}"] @ h + p.get(f"bias_hh_{suffix}", 0.0)
    (ar, az, an), (br, bz, bn) = a.chunk(3), b.chunk(3)
    r, z = torch.sigmoid(ar + br), torch.sigmoid(az + bz)
    n = torch.tanh(an + r * bn)
    return (1 - z) * n + z * h


def mingru_rule(x: Tensor, h: Tensor, p: Parameters, suffix: str) -> Tensor:
    """One node of a minGRU (Feng et al. 2024): h = (1 - z) h + z c."""
    W_z, W_h = p[f"weight_ih_{suffix}"].chunk(2)
    b_z, b_h = p.get(f"bias_ih_{suffix}", torch.zeros(2 * len(h), dtype=x.dtype)).chunk(2)
    z = 1 / (1 + torch.exp(-(W_z @ x + b_z)))
    return (1 - z) * h + z * (W_h @ x + b_h)


def minlstm_rule(x: Tensor, h: Tensor, p: Parameters, suffix: str) -> Tensor:
    """One node of a minLSTM (Feng et al. 2024), whose gates are divided by their sum."""
    W_f, W_i, W_h = p[f"weight_ih_{suffix}"].chunk(3)
    b_f, b_i, b_h = p.get(f"bias_ih_{suffix}", torch.zeros(3 * len(h), dtype=x.dtype)).chunk(3)
    f, i = (1 / (1 + torch.exp(-(W @ x + b))) for W, b in ((W_f, b_f), (W_i, b_i)))
    return f / (f + i) * h + i / (f + i) * (W_h @ x + b_h)


SUMMED = {"tanh": rnn_rule, "gru": gru_rule, "mingru": mingru_rule, "minlstm": minlstm_rule}


def width(p: Parameters, rule: str, suffix: str) -> int:
    """H."""
    gates = {"lstm": 4, "gru": 3, "mingru": 2, "minlstm": 3}.get(rule, 1)
    return p[f"weight_ih_{suffix}"].size(0) // gates


def lstm_rule(
    x: Tensor, predecessors: Sequence[tuple[Tensor, Tensor, Tensor | float]], p: Parameters, suffix: str
) -> tuple[Tensor, Tensor]:
    """One node of an LSTM with one forget gate per predecessor (h_j, c_j, w_ij), as in child-sum Tree-LSTM."""
    W_i, W_f, W_g, W_o = p[f"weight_ih_{suffix}"].chunk(4)
    U_i, U_f, U_g, U_o = p[f"weight_hh_{suffix}"].chunk(4)
    H = U_i.size(0)
    zero = torch.zeros(4 * H, dtype=x.dtype)
    b_i, b_f, b_g, b_o = (p.get(f"bias_ih_{suffix}", zero) + p.get(f"bias_hh_{suffix}", zero)).chunk(4)
    h = torch.zeros(H, dtype=x.dtype)
    for h_j, _, w in predecessors:
        h = h + w * h_j
    i = torch.sigmoid(W_i @ x + U_i @ h + b_i)
    g = torch.tanh(W_g @ x + U_g @ h + b_g)
    o = torch.sigmoid(W_o @ x + U_o @ h + b_o)
    c = i * g
    for h_j, c_j, w in predecessors:
        f = torch.sigmoid(W_f @ x + U_f @ h_j + b_f)
        c = c + w * f * c_j
    return o * torch.tanh(c), c


def sweep(
    rule: str,
    x: Tensor,
    edge_index: Tensor,
    p: Parameters,
    edge_weight: Tensor | None = None,
    state: tuple[Tensor, ...] | None = None,
    suffix: str = "l0",
) -> tuple[Tensor, ...]:
    """One layer over a DAG, node by node in networkx's topological order. Returns h [N, H], for an LSTM (h, c).

    state holds h_0 [B, H] (and c_0), one row for each node without predecessor, in the order of the nodes: a virtual
    predecessor of weight 1.
    """
    N, H = x.size(0), width(p, rule, suffix)
    graph = nx.MultiDiGraph()
    graph.add_nodes_from(range(N))
    for e, (j, i) in enumerate(edge_index.t().tolist()):
        graph.add_edge(j, i, weight=1.0 if edge_weight is None else edge_weight[e])
    sources = [i for i in range(N) if graph.in_degree(i) == 0]
    h: dict[int, Tensor] = {}
    c: dict[int, Tensor] = {}
    zero = torch.zeros(H, dtype=x.dtype)
    for i in nx.topological_sort(graph):
        before = [(h[j], c.get(j, zero), w) for j, _, w in graph.in_edges(i, data="weight")]
        if not before and state is not None:
            row = sources.index(i)
            before = [(state[0][row], state[-1][row], 1.0)]
        if rule == "lstm":
            h[i], c[i] = lstm_rule(x[i], before, p, suffix)
            continue
        summed = zero
        for h_j, _, w in before:
            summed = summed + w * h_j
        h[i] = rnn_rule(x[i], summed, p, suffix, rule) if rule == "relu" else SUMMED[rule](x[i], summed, p, suffix)

    def stacked(values: dict[int, Tensor]) -> Tensor:
        return torch.stack([values[i] for i in range(N)]) if N else x.new_zeros(0, H)

    return (stacked(h), stacked(c)) if rule == "lstm" else (stacked(h),)


def tree_lstm(x: Tensor, parents: Sequence[int], p: Parameters) -> Tensor:
    """Child-sum Tree-LSTM, equations 2 to 8 of Tai, Socher & Manning 2015, as a recursion from the roots. h [N, H]."""
    states: dict[int, tuple[Tensor, Tensor]] = {}

    def visit(node: int) -> tuple[Tensor, Tensor]:
        children = [visit(k) for k, parent in enumerate(parents) if parent == node]
        states[node] = lstm_rule(x[node], [(h, c, 1.0) for h, c in children], p, "l0")
        return states[node]

    for node, parent in enumerate(parents):
        if parent == -1:
            visit(node)
    return torch.stack([states[i][0] for i in range(len(parents))])


def rounds(
    rule: str,
    x: Tensor,
    edge_index: Tensor,
    p: Parameters,
    num_rounds: int,
    edge_weight: Tensor | None = None,
    suffix: str = "l0",
) -> Tensor:
    """num_rounds synchronous rounds on any graph, every node reading the round before; zero before the first."""
    N, H = x.size(0), width(p, rule, suffix)
    zero = torch.zeros(H, dtype=x.dtype)
    state = [(zero, zero) for _ in range(N)]
    edges = edge_index.t().tolist()
    for _ in range(num_rounds):
        new = []
        for i in range(N):
            before = [
                (*state[j], 1.0 if edge_weight is None else edge_weight[e])
                for e, (j, target) in enumerate(edges)
                if target == i
            ]
            if rule == "lstm":
                new.append(lstm_rule(x[i], before, p, suffix))
                continue
            summed = zero
            for h_j, _, w in before:
                summed = summed + w * h_j
            h = rnn_rule(x[i], summed, p, suffix, rule) if rule == "relu" else SUMMED[rule](x[i], summed, p, suffix)
            new.append((h, zero))
        state = new
    return torch.stack([h for h, _ in state])


def gated_graph(x: Tensor, A: Tensor, weight: Tensor, rnn: Parameters) -> Tensor:
    """Gated graph network (Li et al. 2016): m_i = sum_j A_ij W_r h_j, h_i = GRUCell(m_i, h_i). weight [rounds, H, H].

    x [N, F] is padded with zeros to H columns. rnn holds a torch.nn.GRUCell's parameters.
    """
    N, H = x.size(0), weight.size(-1)
    p = {f"{name}_l0": value for name, value in rnn.items()}
    h = torch.cat([x, x.new_zeros(N, H - x.size(1))], dim=1)
    for W in weight:
        m = A @ h @ W
        h = torch.stack([gru_rule(m[i], h[i], p, "l0") for i in range(N)])
    return h


def temporal_gcn(
    order: str, cell: str, x: Tensor, adjacencies: Sequence[Tensor], p: Parameters, layers: int, mask: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Recurrence and convolution on dense graphs, node by node and step by step. y [T, N, O], h and c [L, N, H].

    adjacencies are the steps' normalised ones; p holds the module's parameters by name. A node that mask [T, N] leaves
    out keeps its state, and its output is 0. The adjacencies of its steps must not connect it.
    """
    N = x.size(1)
    own = {name.removeprefix("recurrence."): value for name, value in p.items() if name.startswith("recurrence.")}
    zero = torch.zeros(own["weight_hh_l0"].size(1), dtype=x.dtype)
    state = [[(zero, zero) for _ in range(N)] for _ in range(layers)]
    outputs = []
    for t, A in enumerate(adjacencies):
        inputs = torch.where(mask[t][:, None], x[t], 0.0)
        if order == "space_then_time":
            inputs = torch.relu(gcn(inputs, A, p["gcn.lin.weight"], p["gcn.bias"]))
        for layer in range(layers):
            new = []
            for i in range(N):
                if order == "space_time":
                    before = [(*state[layer][j], A[i, j]) for j in range(N)]
                else:
                    before = [(*state[layer][i], torch.ones((), dtype=x.dtype))]
                summed = torch.stack([w * h for h, _, w in before]).sum(0)
                if not mask[t, i]:
                    new.append(state[layer][i])
                elif cell == "LSTM":
                    new.append(lstm_rule(inputs[i], before, own, f"l{layer}"))
                elif cell == "GRU":
                    new.append((gru_rule(inputs[i], summed, own, f"l{layer}"), zero))
                else:
                    new.append((rnn_rule(inputs[i], summed, own, f"l{layer}"), zero))
            state[layer] = new
            inputs = torch.stack([h for h, _ in new])
        if order == "time_then_space":
            y = gcn(torch.where(mask[t][:, None], inputs, 0.0), A, p["gcn.lin.weight"], p["gcn.bias"])
        else:
            y = inputs @ p["lin.weight"].T + p["lin.bias"]
        outputs.append(torch.where(mask[t][:, None], y, 0.0))
    h, c = (torch.stack([torch.stack([node[part] for node in each]) for each in state]) for part in (0, 1))
    return torch.stack(outputs), h, c


def relational_gcn(strength: str, x: Tensor, edge_index: Tensor, relations: Tensor, p: Parameters) -> Tensor:
    """Relation-aware propagation of Feng et al. 2019, node by node. x [N, F], relations [E, R]; gives [N, F]."""

    def phi(value: Tensor) -> Tensor:
        return torch.where(value > 0, value, 0.2 * value)

    edges = edge_index.t().tolist()
    z = []
    for i in range(x.size(0)):
        heard = [(e, j) for e, (j, target) in enumerate(edges) if target == i]
        g = []
        for e, j in heard:
            degree = sum(source == j for source, _ in edges)
            if strength == "uniform":
                g.append(torch.ones((), dtype=x.dtype) / degree)
                continue
            typed = (p["relation.weight"][0] * relations[e]).sum() + p["relation.bias"][0]
            if strength == "explicit":
                g.append((x[i] * x[j]).sum() / degree * phi(typed))
            else:
                u, v = p["ends.weight"]
                g.append(phi((u * x[i]).sum() + (v * x[j]).sum() + typed))
        if strength == "implicit" and g:
            g = list((torch.stack(g) - max(g)).exp() / (torch.stack(g) - max(g)).exp().sum())
        z.append(sum((w * x[j] for w, (_, j) in zip(g, heard, strict=True)), torch.zeros_like(x[i])))
    return torch.stack(z)
