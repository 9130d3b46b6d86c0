"""All works of the speed benchmark, and those on paths.

Every work is a training step in float32 unless its title says otherwise: forward, then the gradients of all parameters
and, where a layer sits inside a network, of its inputs. Schedules, packed sequences and batches are made before.

Letters: F input channels, H hidden channels, T steps, B paths.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from gnnseq import pack_paths
from gnnseq.layers import GRU, LSTM, RNN
from gnnseq.schedule import packed_paths
from gnnseq.stream import Stream
from studies.speed.graphs import GRAPH_WORKS
from studies.speed.measure import BareProducts, Product, Runner, Work, linear_products, parameters, peer, training_step
from studies.speed.temporal import TEMPORAL_WORKS
from studies.speed.trees import TREE_WORKS

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
OURS = {"RNN": RNN, "GRU": GRU, "LSTM": LSTM}


def pair(cell: str, *sizes: int, device: torch.device) -> tuple[nn.Module, nn.Module]:
    """Our layer and torch.nn's, with the same weights."""
    torch.manual_seed(0)
    theirs = getattr(nn, cell)(*sizes).to(device)
    ours = OURS[cell](*sizes).to(device)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def path_products(alive: Sequence[int], features: int, hidden: int, gates: int, x_grad: bool) -> list[Product]:
    """Those of a sweep over paths of which so many live in each step; the first step reads no state."""
    products = linear_products(sum(alive), features, gates * hidden, x_grad)
    products += [Product(paths, hidden, gates * hidden) for paths in alive[1:]]
    products += [Product(paths, gates * hidden, hidden) for paths in alive[:0:-1]]
    return [*products, Product(gates * hidden, sum(alive[1:]), hidden, over_nodes=True)]


def equal_paths(cell: str, sizes: tuple[int, int, int, int], x_grad: bool, device: torch.device) -> Work:
    """Paths of equal length, against torch.nn on the same numbers as [T, B, F]."""
    steps, batch, features, hidden = sizes
    ours, theirs = pair(cell, features, hidden, device=device)
    schedule = packed_paths([steps] * batch).to(device)
    x = torch.randn(steps * batch, features, device=device).requires_grad_(x_grad)
    dense = x.detach().clone().view(steps, batch, features).requires_grad_(x_grad)
    inputs = ([x], [dense]) if x_grad else ([], [])
    return Work(
        title=f"{cell}, equal-length paths",
        shape=f"T={steps} B={batch} F={features} H={hidden}" + ("" if x_grad else ", no gradient of x"),
        ours=Runner(training_step(lambda: ours(x, schedule)[0], parameters(ours) + inputs[0])),
        peers={
            f"torch.nn.{cell}": peer(
                "torch", lambda: Runner(training_step(lambda: theirs(dense)[0], parameters(theirs) + inputs[1]))
            )
        },
        limit=BareProducts(path_products([batch] * steps, features, hidden, GATES[cell], x_grad), device),
    )


def long_paths(cell: str, quick: bool, device: torch.device) -> Work:
    """The headline: a layer inside a network."""
    return equal_paths(cell, (5, 3, 4, 6) if quick else (100, 64, 128, 128), True, device)


def palindromes(cell: str, quick: bool, device: torch.device) -> Work:
    """The shape of the palindrome study, whose digits need no gradient."""
    return equal_paths(cell, (4, 5, 3, 6) if quick else (22, 128, 10, 128), False, device)


def ragged_paths(cell: str, quick: bool, device: torch.device) -> Work:
    """Paths of lengths 5 to 60, against torch.nn on a PackedSequence that is packed before the clock starts."""
    longest, batch, features, hidden = (7, 6, 4, 6) if quick else (60, 128, 128, 128)
    ours, theirs = pair(cell, features, hidden, device=device)
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(2 if quick else 5, longest + 1, (batch,), generator=generator).sort(descending=True).values
    sequences = [torch.randn(length, features, generator=generator).to(device) for length in lengths.tolist()]
    x, schedule = pack_paths(sequences)  # longest first: both then have the nodes in the same order
    x.requires_grad_()
    packed = pack_sequence(sequences)
    data = packed.data.requires_grad_()
    work = PackedSequence(data, packed.batch_sizes)
    return Work(
        title=f"{cell}, ragged paths",
        shape=f"T={int(lengths.min())}..{int(lengths.max())} B={batch} F={features} H={hidden}",
        ours=Runner(training_step(lambda: ours(x, schedule)[0], [*parameters(ours), x])),
        peers={
            f"torch.nn.{cell}, packed": peer(
                "torch", lambda: Runner(training_step(lambda: theirs(work)[0].data, [*parameters(theirs), data]))
            )
        },
        limit=BareProducts(
            path_products(packed.batch_sizes.tolist(), features, hidden, GATES[cell], True), device
        ),
    )  # fmt: skip


def character(quick: bool, device: torch.device) -> Work:
    """Sampling one stream: a step a call, the state carried, no gradients."""
    steps, hidden = (3, 8) if quick else (200, 128)
    ours, theirs = pair("LSTM", hidden, hidden, 2, device=device)
    cells = [nn.LSTMCell(hidden, hidden).to(device) for _ in range(2)]
    for layer, cell in enumerate(cells):
        cell.load_state_dict({name: getattr(theirs, f"{name}_l{layer}") for name in cell.state_dict()})
    xs = list(torch.randn(steps, 1, hidden, device=device).unbind())

    @torch.inference_mode()
    def by_stream() -> list[Tensor]:
        stream = Stream(ours)
        return [torch.cat([stream(x) for x in xs])]

    @torch.inference_mode()
    def by_cells() -> list[Tensor]:
        states: list[tuple[Tensor, Tensor] | None] = [None, None]
        outputs = []
        for x in xs:
            for layer, cell in enumerate(cells):
                states[layer] = cell(x, states[layer])
                x = states[layer][0]
            outputs.append(x)
        return [torch.cat(outputs)]

    @torch.inference_mode()
    def by_torch() -> list[Tensor]:
        state, outputs = None, []
        for x in xs:
            h, state = theirs(x, state)
            outputs.append(h)
        return [torch.cat(outputs)]

    return Work(
        title="LSTM, sampling of characters",
        shape=f"{steps} steps of one stream, 2 layers of {hidden}, inference",
        ours=Runner(by_stream),
        peers={
            "torch.nn.LSTMCell, two a step": peer("torch", lambda: Runner(by_cells)),
            "torch.nn.LSTM, a call a step": peer("torch", lambda: Runner(by_torch)),
        },
        limit=BareProducts([Product(1, hidden, 4 * hidden)] * (4 * steps), device),
        is_step=False,
    )


def _of_cells(name: str, make: Callable[[str, bool, torch.device], Work]) -> dict[str, Callable[..., Work]]:
    return {f"{name}-{cell.lower()}": lambda quick, device, cell=cell: make(cell, quick, device) for cell in OURS}


CASES: dict[str, Callable[[bool, torch.device], Work]] = {
    **_of_cells("paths", long_paths),
    **_of_cells("palindromes", palindromes),
    **_of_cells("ragged", ragged_paths),
    **TREE_WORKS,
    **GRAPH_WORKS,
    **TEMPORAL_WORKS,
    "character": character,
}
