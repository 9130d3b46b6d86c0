"""What is known of a pair and of its ends before a moment; nothing here knows a node's number.

Letters: Q questions (source, target, time), P pair features, F node features, D decays.
"""

import numpy as np
from numpy.typing import NDArray

from studies.social_graph.history import DAY, DECAYS, Events, Floats, Ints
from studies.social_graph.structure import adjacency, pagerank, two_steps

__all__ = ["MINUTE", "NEAR", "NEVER", "NODE", "PAIR", "SCALE", "near_features", "node_features", "pair_features"]

MINUTE = 60.0
NEVER, SCALE = 16.0, 3.0  # logarithm of 17 years' minutes; of a usual spread of logarithms
NAMES = tuple(f"{decay / DAY:.2g} d" for decay in DECAYS)
PAIR = (
    "written", "freshness", "log count", *(f"count, {name}" for name in NAMES), "freshness in source's events",
    "answered", "freshness of answer", "log answers", *(f"answers, {name}" for name in NAMES),
    "freshness in target's events", "met", "freshness of either", "last was to the source",
)  # fmt: skip
NODE = (
    "freshness of sent", "log sent", *(f"sent, {name}" for name in NAMES),
    "freshness of received", "log received", *(f"received, {name}" for name in NAMES),
    "log out-degree", "log in-degree", "share of new", "seen", "log age",
)  # fmt: skip

NEAR = ("walks, 7 d", "walks, 28 d", "common contacts")
WALK = 1e-4  # a share of walks that is hardly any


def _freshness(ago: Floats) -> Floats:
    """The larger the more lately, 0 of never: differences are of logarithms."""
    return np.maximum(NEVER - np.log1p(ago), 0.0) / SCALE


def _one_way(events: Events, source: Ints, target: Ints, time: Floats) -> tuple[list[Floats], Floats, Ints]:
    """Features of what source wrote to target, seconds since, and the log's row of the last event, -1 if none."""
    index = events.of_pair
    last, count = index.before(source * events.nodes + target, time)
    row = np.where(last >= 0, index.order[last] if len(events) else -1, -1)
    since = index.since(last, time)
    return (
        [(count > 0) * 1.0, _freshness(since / MINUTE), np.log1p(count), *np.log1p(index.decayed(last, time).T)],
        since,
        row,
    )


def pair_features(events: Events, source: Ints, target: Ints, time: Floats) -> NDArray[np.float32]:
    """What is known of each pair strictly before each moment; all 0 of two that have never met. [Q, P]"""
    forth, since, row = _one_way(events, source, target, time)
    back, answered, back_row = _one_way(events, target, source, time)
    own, other = events.ordinals
    # How many events each end has had since the two last had one: their place in its list of the latest.
    latest, ours = np.maximum(row, back_row), row >= back_row
    passed = []
    for node, mine in ((source, ours), (target, ~ours)):
        total = events.sent.before(node, time)[1] + events.received.before(node, time)[1]
        at = np.where(mine, own[latest], other[latest]) if len(events) else np.zeros(len(node), dtype=np.int64)
        passed.append(_freshness(np.where(latest >= 0, np.maximum(total - 1.0 - at, 0.0), np.inf)))
    met = latest >= 0
    either = _freshness(np.minimum(since, answered) / MINUTE)
    columns = [*forth, passed[0], *back, passed[1], met * 1.0, either, (met & ~ours) * 1.0]
    return np.stack(columns, axis=1).astype(np.float32)


def node_features(events: Events, node: Ints, time: Floats) -> NDArray[np.float32]:
    """What is known of each node strictly before each moment; of one that was never seen: never, and zeros. [Q, F]"""
    columns: list[Floats] = []
    seen = np.full(len(node), np.inf)
    for index in (events.sent, events.received):
        last, count = index.before(node, time)
        columns += [
            _freshness(index.since(last, time) / MINUTE),
            np.log1p(count),
            *np.log1p(index.decayed(last, time).T),
        ]
        first = index.time[np.where(last >= 0, last - (count - 1), -1)]
        seen = np.where(count > 0, np.minimum(seen, first), seen)
    out = events.reached.before(node, time)[1]
    sent = events.sent.before(node, time)[1]
    columns += [np.log1p(out), np.log1p(events.known_by.before(node, time)[1]), out / np.maximum(sent, 1)]
    known = np.isfinite(seen)
    age = np.where(known, time - np.where(known, seen, 0.0), 0.0)
    return np.stack([*columns, known * 1.0, np.log1p(age / MINUTE) / SCALE], axis=1).astype(np.float32)


def near_features(events: Events, source: Ints, start: float) -> NDArray[np.float32]:
    """How near each source is to every node by the graph strictly before a moment. [S, N, 3]"""
    lately, longer = (adjacency(events, start, days * DAY) for days in (7, 28))
    walks = [np.log1p(pagerank(weights, source) / WALK) / SCALE for weights in (lately, longer)]
    return np.stack([*walks, np.log1p(two_steps(longer, source))], axis=2).astype(np.float32)
