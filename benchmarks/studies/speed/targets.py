"""The names of all cases, and what the package sets itself in speed, memory and growth. Data and arithmetic alone.

The targets are for a CPU and the sizes of the full benchmark: results of a GPU or of --quick have none.
"""

from collections.abc import Sequence
from statistics import geometric_mean
from typing import Any, NamedTuple

TEMPORAL = {
    f"{order.replace('_', '-')}-{cell.lower()}-{nodes}": (order, cell, nodes)
    for order in ("space_time", "space_then_time")
    for cell in ("LSTM", "GRU")
    for nodes in (200, 1000)
}
SIZES = (  # T, B, F, H of batches of LSTMs
    (28, 96, 12, 128), (22, 128, 10, 128), (100, 64, 128, 128), (50, 32, 64, 64), (30, 64, 87, 128),
    (200, 16, 32, 256), (20, 256, 64, 64), (60, 128, 16, 512),
)  # fmt: skip
INFERENCE = {
    **{f"inference-{'-'.join(map(str, sizes))}": ("LSTM", sizes) for sizes in SIZES},
    **{
        f"call-{cell.lower()}-{steps}": (cell, (steps, 1, 64, 128))
        for cell in ("LSTM", "GRU", "RNN") for steps in (1, 10)
    },
}  # fmt: skip
TRAINING = {f"training-{'-'.join(map(str, sizes))}": sizes for sizes in SIZES}
ROUNDS = {f"rounds-{cell.lower()}": cell for cell in ("RNN", "GRU", "LSTM")}
NAMES = (  # in the order of the tables
    *(f"{paths}-{cell}" for paths in ("paths", "palindromes", "ragged") for cell in ("rnn", "gru", "lstm")),
    *("mingru", "mingru-trees", "gcn-fresh", *INFERENCE, *TRAINING),
    *("trees", *ROUNDS, "gcn", "cora", "cora-sparse", "gated", "reach", "influence", *TEMPORAL, "character"),
)
MEMORY = 1.2  # a step's peak, as a multiple of the peer's
GROWTH = 1.5  # the time per node or edge, memory and a call's own left out, as a multiple of that at smaller sizes
PRODUCTS = {
    "LSTM, binary trees": 1.3,
    "MinGRU, equal-length paths": 1.25,
}  # the time, as a multiple of the bare products'
NO_SLOWER = (0.98, 0.93)  # another build's time, as a multiple of this one's: the mean of all cases, and each case

Row = dict[str, Any]
Statement = tuple[str, bool]  # with whether it holds


class Target(NamedTuple):
    """How many times as fast as a peer."""

    at_least: float
    aim: float

    def __str__(self) -> str:
        return f"{self.at_least:g} / {self.aim:g}"


# By the case's title and the peer's name.
TARGETS = {
    ("RNN, equal-length paths", "torch.nn.RNN"): Target(1.4, 2),
    ("GRU, equal-length paths", "torch.nn.GRU"): Target(1.1, 2),
    ("LSTM, equal-length paths", "torch.nn.LSTM"): Target(0.97, 1.2),
    ("RNN, ragged paths", "torch.nn.RNN, packed"): Target(1.3, 2),
    ("GRU, ragged paths", "torch.nn.GRU, packed"): Target(1.3, 2),
    ("LSTM, ragged paths", "torch.nn.LSTM, packed"): Target(2, 3),
    ("LSTM, binary trees", "DGL prop_nodes_topo"): Target(1.5, 2),
    ("LSTM, binary trees", "pytorch-tree-lstm"): Target(2.2, 3),
    ("GCN", "GCNConv(cached=True), edge_index"): Target(10, 20),
    ("GCN", "GCNConv(cached=True), CSR"): Target(2, 3),
    ("GCN, dense features", "GCNConv(cached=True)"): Target(1.5, 3),
    ("GCN, sparse features", "GCNConv(cached=True), dense"): Target(5, 20),
    ("LSTM, sampling of characters", "torch.nn.LSTMCell, two a step"): Target(1.5, 3),
    ("receptive field, 3 GCN layers", "total_influence"): Target(100, 200),
    ("influence, 3 GCN layers", "total_influence"): Target(2, 5),
    ("MinGRU, equal-length paths", "loop in torch, by index"): Target(18, 25),
    ("MinGRU, equal-length paths", "scan of logarithms in torch"): Target(5, 6.5),
    ("MinGRU, equal-length paths", "torch.nn.LSTM, as wide"): Target(3.3, 4.4),
    ("MinGRU, binary trees", "our LSTM"): Target(3, 4),
    ("GCN, a new graph each step", "GCNConv"): Target(2, 3),
    ("LSTM, batches without gradients", "torch.nn.LSTM"): Target(1, 1.3),
    ("LSTM, batches in training", "torch.nn.LSTM"): Target(1, 1.35),
    ("GatedGraph, 2 rounds", "GatedGraphConv, CSR"): Target(2, 2.5),
    **{(f"{cell}, a path without gradients", f"torch.nn.{cell}"): Target(0.9, 1.2) for cell in ("LSTM", "GRU", "RNN")},
}
# The geometric mean over all shapes of a title, beside one peer.
MEANS = {
    ("LSTM, batches without gradients", "torch.nn.LSTM"): Target(1.1, 1.3),
    ("LSTM, batches in training", "torch.nn.LSTM"): Target(1.2, 1.35),
}
# bfloat16 autocast beside float32, where the processor has instructions for it.
AUTOCAST = {"LSTM, equal-length paths": Target(1.4, 1.8)}
# How many times as fast as the build at 39426e9, and that build's sources, by which a comparison knows it.
FORMER = "7407036a9caa58aa"
AGAINST = {"rounds-lstm": Target(4, 6), "rounds-gru": Target(1.8, 2.5), "rounds-rnn": Target(1.8, 2.5)}
COLD = Target(2, 4)


def has_targets(result: Row) -> bool:
    """Whether the result is of what the targets are for."""
    return result["device"] == "cpu" and not result.get("quick")


def must_hold(found: Sequence[Row]) -> list[Statement]:
    """Of the lines of a result: every ratio at its target, and every peak of memory."""
    held = [line for line in found if line.get("peer_peak") and not line["peer"].startswith("our ")]
    shares = [(_place(line), line["ours_peak"] / line["peer_peak"]) for line in held]
    memory = [(f"{place}: {share:.2f}", share <= MEMORY) for place, share in shares]
    return [
        *_all_of("every ratio is at least its goal", _ratios(found, "at_least")),
        *_means(found, "at_least"),
        *_all_of(f"every peak of memory is within {MEMORY:g} times the peer's", memory),
    ]


def aimed_at(found: Sequence[Row]) -> list[Statement]:
    """Of the lines of a result: what is wished for beyond that."""
    times = {line["work"]: 1 / line["near"] for line in found if line["work"] in PRODUCTS}
    text = "{}: {:.2f} times the bare products' time, aim {:g}"
    products = [(text.format(case, time, PRODUCTS[case]), time <= PRODUCTS[case]) for case, time in times.items()]
    return [*_all_of("every ratio reaches its aim", _ratios(found, "aim")), *_means(found, "aim"), *products]


def even_growth(curves: dict[str, list[Row]]) -> list[Statement]:
    """Of each layer's sizes: at none does a node or edge take far longer than at a smaller one."""
    worst = [(layer, max(rows, key=lambda row: row["grown"])) for layer, rows in curves.items()]
    items = [(f"{layer}: {row['grown']:.2f} at {row['size']:,}", row["grown"] <= GROWTH) for layer, row in worst]
    text = f"beside memory alone and a step's calls, time per node or edge grows by at most {GROWTH:g} times"
    return _all_of(text, items)


def under_autocast(ratios: dict[str, float], which: str) -> list[Statement]:
    """Of layers whose products are rounded, by title: how many times as fast as in float32 they are."""
    wanted = {title: getattr(AUTOCAST[title], which) for title in ratios.keys() & AUTOCAST.keys()}
    text = "{} under bfloat16 autocast: {:.3g} times as fast as in float32, {} {:g}"
    return [
        (text.format(title, ratios[title], _wish(which), least), ratios[title] >= least)
        for title, least in wanted.items()
    ]


def no_slower(result: Row) -> list[Statement]:
    """Of a comparison with another build: this one is hardly slower in the mean, and nowhere much."""
    (mean, least), found = NO_SLOWER, result["geometric_mean"]
    items = [(f"{row['case']}: {row['ratio'][1]:.3f}", row["ratio"][1] >= least) for row in result["against"]]
    return [
        (f"geometric mean of all ratios to the other build: {found:.3f}, at least {mean:g}", found >= mean),
        *_all_of(f"every ratio to the other build is at least {least:g}", items),
        *since_former(result, "at_least"),
    ]


def since_former(result: Row, which: str) -> list[Statement]:
    """Of a comparison with the build at 39426e9: every case that is to be so many times as fast as there."""
    if result["builds"]["other"]["sources"] != FORMER:
        return []
    found = {row["case"]: row["ratio"][1] for row in result["against"] if row["case"] in AGAINST}
    wanted = {case: getattr(AGAINST[case], which) for case in found}
    items = [(f"{case}: {ratio:.3g}, not {wanted[case]:g}", ratio >= wanted[case]) for case, ratio in found.items()]
    return _all_of(
        f"every ratio to 39426e9 {'is at least its goal' if which == 'at_least' else 'reaches its aim'}", items
    )


def first_sweeps(result: Row, which: str) -> list[Statement]:
    """Of first sweeps beside those of another build."""
    if not result["times_as_fast"]:
        return []
    ratio, wanted = result["times_as_fast"][1], getattr(COLD, which)
    return [
        (f"a first sweep takes 1/{ratio:.3g} of the other build's time, {_wish(which)} {wanted:g}", ratio >= wanted)
    ]


def _ratios(found: Sequence[Row], which: str) -> list[Statement]:
    aimed = [(line, line["ratio"][1], getattr(line["goal"], which)) for line in found if line.get("goal")]
    return [(f"{_place(line)}: {ratio:.3g}, not {wanted:g}", ratio >= wanted) for line, ratio, wanted in aimed]


def _means(found: Sequence[Row], which: str) -> list[Statement]:
    """The geometric means over the shapes of a title, where all were measured."""
    made = []
    for (work, peer), target in MEANS.items():
        ratios = [
            line["ratio"][1] for line in found if (line["work"], line["peer"]) == (work, peer) and "ratio" in line
        ]
        if len(ratios) == len(SIZES):
            mean, wanted = geometric_mean(ratios), getattr(target, which)
            text = f"geometric mean of {work} beside {peer}: {mean:.3g}, {_wish(which)} {wanted:g}"
            made.append((text, mean >= wanted))
    return made


def _wish(which: str) -> str:
    return which.replace("_", " ")


def _place(line: Row) -> str:
    return f"{line['work']} ({line['shape'].split(',')[0]}) beside {line['peer']}"


def _all_of(text: str, items: Sequence[Statement]) -> list[Statement]:
    """One statement of all items that names those which do not hold; none if there are no items."""
    short = [what for what, holds in items if not holds]
    names = f"; short: {'; '.join(short)}" if short else ""
    return [(f"{text}: {len(items) - len(short)} of {len(items)}{names}", not short)] if items else []
