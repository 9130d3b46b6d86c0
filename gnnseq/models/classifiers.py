"""Classifiers of a sequence: layers of one schedule or the other, then a linear readout of one node.

Shapes: T given items, B sequences, F features, H hidden channels, C classes, L = T + 1 nodes of the graph network.
"""

from itertools import pairwise

from torch import Tensor, nn

from gnnseq.checks import check_type, named_beyond_places, whole
from gnnseq.graphs import path_graph
from gnnseq.layers import GCN
from gnnseq.layers.cells import CellName, cell_named
from gnnseq.schedule import Schedule, packed_paths

__all__ = ["GraphClassifier", "SequenceClassifier"]


class SequenceClassifier(nn.Module):
    """One sweep along each sequence, then the class from the state of its last node.

    h = cell(x),  logits_b = W h_{T-1,b} + b

    Args:
        cell: ``"RNN"``, ``"LSTM"``, ``"GRU"``, ``"MinGRU"`` or ``"MinLSTM"``.
        in_channels: F.
        hidden_channels: H.
        num_classes: C.
        init: The recurrent layer's initialisation, see its ``reset_parameters``. With ``"he"`` the readout gets He's
            normal weights and zero biases too, otherwise it keeps torch's default.
        time_scale: Longest dependency in steps, for ``init="chrono"``.
        num_layers: Recurrent layers, stacked; the class is read from the last one's state.

    Raises:
        ValueError: ``cell`` is none of these.

    Example:
        >>> import torch
        >>> model = SequenceClassifier("LSTM", in_channels=10, hidden_channels=16, num_classes=10)
        >>> model(torch.zeros(6, 3, 10)).shape  # [T, B, F] -> [B, C]
        torch.Size([3, 10])
    """

    @named_beyond_places
    def __init__(
        self,
        cell: CellName,
        in_channels: int,
        hidden_channels: int,
        num_classes: int,
        *,
        init: str = "torch",
        time_scale: float | None = None,
        num_layers: int = 1,
    ) -> None:
        super().__init__()
        layer = cell_named(cell=cell)
        scale = {} if time_scale is None else {"time_scale": time_scale}  # an RNN has no gate to set by it
        self.layer = layer(in_channels, hidden_channels, num_layers, init=init, **scale)
        self.readout = nn.Linear(self.layer.hidden_channels, whole(1, num_classes=num_classes))
        if init == "he":
            nn.init.kaiming_normal_(self.readout.weight)
            nn.init.zeros_(self.readout.bias)
        self._schedule: Schedule | None = None

    def forward(self, x: Tensor) -> Tensor:
        """From sequences [T, B, F] to logits [B, C]."""
        _check_batch(x, self.readout.weight)
        steps, batch, _ = x.shape
        if self._schedule is None or self._schedule.lengths != (steps,) * batch or self._schedule.device != x.device:
            self._schedule = packed_paths([steps] * batch).to(x.device)
        _, state = self.layer(x.flatten(0, 1), self._schedule)
        h_n = state[0] if isinstance(state, tuple) else state
        logits: Tensor = self.readout(h_n[-1])  # [B, H]; of sequences without items the zeros they began with
        return logits


class GraphClassifier(nn.Module):
    """k graph convolutions on the undirected path of each sequence, then the class from a blank node at its end.

    The graph has the T given items as nodes 0 ... T-1 and a query node T, joined as a path. One more feature marks the
    query, all others of it are zero:

    H^0 = x,  H^l = relu(GCN_l(H^{l-1})) for l = 1 ... k,  logits_b = W H^k_{T,b} + b

    One layer moves information one hop, so the query sees nodes T-k ... T-1. Node 0 is T hops away, and for a
    palindrome, whose last digit is independent of the digits 1 ... T-1, every k < T is exactly at chance. Reaching is
    not yet learning: at k = T one walk leads from node 0 to the query, of weight about 3^-T.

    Args:
        in_channels: F.
        hidden_channels: H.
        num_classes: C.
        num_layers: k, at least 1.

    Raises:
        ValueError: ``num_layers`` is below 1.

    Example:
        >>> import torch
        >>> model = GraphClassifier(in_channels=10, hidden_channels=16, num_classes=10, num_layers=4)
        >>> model(torch.zeros(4, 3, 10)).shape  # [T, B, F] -> [B, C]
        torch.Size([3, 10])
    """

    edge_index: Tensor

    @named_beyond_places
    def __init__(self, in_channels: int, hidden_channels: int, num_classes: int, *, num_layers: int) -> None:
        super().__init__()
        hidden = whole(1, hidden_channels=hidden_channels)
        if (layers := whole(0, num_layers=num_layers)) < 1:
            raise ValueError(f"num_layers: got {num_layers}; expected at least 1")
        widths = [whole(0, in_channels=in_channels) + 1] + [hidden] * layers
        self.layers = nn.ModuleList(GCN(narrow, wide) for narrow, wide in pairwise(widths))
        self.readout = nn.Linear(hidden, whole(1, num_classes=num_classes))
        self.register_buffer("edge_index", path_graph(0).edge_index, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """From sequences [T, B, F] to logits [B, C]."""
        _check_batch(x, self.readout.weight)
        steps, batch, features = x.shape
        if self.edge_index.size(1) != 2 * steps:
            self.edge_index = path_graph(steps + 1, undirected=True).edge_index.to(x.device)
        h = x.new_zeros(batch, steps + 1, features + 1)  # [B, L, F + 1]
        h[:, :steps, :features] = x.transpose(0, 1)
        h[:, steps, features] = 1
        for layer in self.layers:
            h = layer(h, self.edge_index).relu()
        logits: Tensor = self.readout(h[:, -1])
        return logits


def _check_batch(x: Tensor, parameters: Tensor) -> None:
    """Raises a ValueError unless x is a batch [T, B, F] of the parameters' type."""
    check_type(x, parameters)
    if x.dim() != 3:
        raise ValueError(f"x has shape {list(x.shape)}; expected sequences [T, B, F]")
