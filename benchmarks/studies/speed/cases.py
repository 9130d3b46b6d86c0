"""All cases of the speed benchmark, and those on paths.

Every case is a training step in float32 unless its title says otherwise: forward, then the gradients of all parameters
and, if a layer sits inside a network, of its inputs. Schedules, packed sequences and batches are made before.

Letters, in all modules: N nodes, E directed edges, F input channels, H hidden channels, T steps, B paths.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from gnnseq import pack_paths
from gnnseq.layers import GRU, LSTM, RNN
from gnnseq.stream import Stream
from studies.speed.graphs import GRAPH_CASES
from studies.speed.linear import mingru, mingru_trees
from studies.speed.measure import Case, Peer, Results, Step, layer_step, same_weights
from studies.speed.roofline import Product, Roofline, path_products
from studies.speed.rounds import rounds
from studies.speed.targets import INFERENCE, ROUNDS, TEMPORAL, TRAINING
from studies.speed.temporal import GATES, temporal
from studies.speed.trees import trees
from studies.speed.use import fresh, inference, training

OURS = {"RNN": RNN, "GRU": GRU, "LSTM": LSTM}
SIZES = {  # T, B, F, H, and those of --quick
    "paths": ((100, 64, 128, 128), (5, 3, 4, 6)),  # the headline: a layer inside a network
    "palindromes": ((22, 128, 10, 128), (4, 5, 3, 6)),  # the shape of that study, whose digits need no gradient
    "ragged": ((60, 128, 128, 128), (7, 6, 4, 6)),  # lengths 5 to T
}


def paths(kind: str, cell: str, quick: bool, device: torch.device) -> Case:
    """Paths against torch.nn: of equal length as [T, B, F], ragged ones packed before the clock starts."""
    steps, batch, features, hidden = SIZES[kind][quick]
    ragged, x_grad = kind == "ragged", kind != "palindromes"
    torch.manual_seed(0)
    ours = OURS[cell](features, hidden).to(device)
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(2 if quick else 5, steps + 1, (batch,), generator=generator).sort(descending=True).values
    lengths = drawn.tolist() if ragged else [steps] * batch
    sequences = [torch.randn(length, features, generator=generator).to(device) for length in lengths]
    x, schedule = pack_paths(sequences)  # longest first: both then have the nodes in the same order
    data, alive, *_ = pack_sequence(sequences)
    theirs = (data if ragged else data.view(steps, batch, features)).requires_grad_(x_grad)

    def peer() -> Step:
        layer = same_weights(getattr(nn, cell)(features, hidden), ours)
        return layer_step(layer, PackedSequence(theirs, alive) if ragged else theirs)

    sizes = f"T={f'{lengths[-1]}..{lengths[0]}' if ragged else steps} B={batch} F={features} H={hidden}"
    return Case(
        title=f"{cell}, {'ragged' if ragged else 'equal-length'} paths",
        shape=sizes + ("" if x_grad else ", no gradient of x"),
        ours=layer_step(ours, x.requires_grad_(x_grad), schedule),
        peers={f"torch.nn.{cell}{', packed' if ragged else ''}": Peer("torch", peer)},
        roofline=lambda: Roofline(path_products(alive.tolist(), features, hidden, GATES[cell], x_grad), device),
    )


def character(quick: bool, device: torch.device) -> Case:
    """Sampling one stream: a step a call, the state carried, no gradients."""
    steps, hidden = (3, 8) if quick else (200, 128)
    torch.manual_seed(0)
    ours = LSTM(hidden, hidden, 2).to(device)
    xs = torch.randn(steps, 1, hidden, device=device).unbind()

    @torch.inference_mode()
    def by_stream() -> Results:
        stream = Stream(ours)
        return [torch.cat([stream(x) for x in xs])]

    def by_cells() -> Step:
        cells = [nn.LSTMCell(hidden, hidden).to(device) for _ in range(2)]
        for layer, cell in enumerate(cells):
            cell.load_state_dict({name: getattr(ours, f"{name}_l{layer}") for name in cell.state_dict()})

        def call(x: Tensor, states: Any) -> Any:
            lower = cells[0](x, states and states[0])
            upper = cells[1](lower[0], states and states[1])
            return upper[0], (lower, upper)

        return partial(_step_by_step, call, xs)

    by_torch = Peer("torch", lambda: partial(_step_by_step, same_weights(nn.LSTM(hidden, hidden, 2), ours), xs))
    return Case(
        title="LSTM, sampling of characters",
        shape=f"{steps} steps of one stream, 2 layers of {hidden}, inference",
        ours=by_stream,
        peers={"torch.nn.LSTMCell, two a step": Peer("torch", by_cells), "torch.nn.LSTM, a call a step": by_torch},
        roofline=lambda: Roofline([Product(1, hidden, 4 * hidden)] * (4 * steps), device),
        is_step=False,
    )


@torch.inference_mode()
def _step_by_step(call: Callable[[Tensor, Any], Any], xs: Sequence[Tensor]) -> Results:
    state, outputs = None, []
    for x in xs:
        h, state = call(x, state)
        outputs.append(h)
    return [torch.cat(outputs)]


CASES: dict[str, Callable[[bool, torch.device], Case]] = {
    **{f"{kind}-{cell.lower()}": partial(paths, kind, cell) for kind in SIZES for cell in OURS},
    "mingru": mingru,
    "mingru-trees": mingru_trees,
    "gcn-fresh": fresh,
    **{name: partial(inference, name) for name in INFERENCE},
    **{name: partial(training, name) for name in TRAINING},
    "trees": trees,
    **{name: partial(rounds, name) for name in ROUNDS},
    **GRAPH_CASES,
    **{name: partial(temporal, *row) for name, row in TEMPORAL.items()},
    "character": character,
}
