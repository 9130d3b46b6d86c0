"""What may be known of a week's question: features from before its start, of all nodes and of all who have met.

Letters: S sources, N nodes, M pairs that have met, P pair features, F node features.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from harness.files import cached_while_unchanged
from studies.social_graph.features import NEAR, NODE, PAIR, near_features, node_features, pair_features
from studies.social_graph.history import Events, Ints
from studies.social_graph.ranking import WeekQuery, week_of, week_query
from studies.social_graph.sources import read

__all__ = ["FIRST_TEST", "WeekInputs", "inputs_of", "inputs_of_week"]

FIRST_TEST = 2

Single = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class WeekInputs:
    """Features of all pairs of a week's sources with all nodes.

    Attributes:
        query: What is asked.
        node: Of all nodes. [N, F]
        row: Of each pair that has met, the place of its source. [M]
        column: Its other node. [M]
        pair: Its features; those of all other pairs are 0. [M, P]
        near: How near the graph's walks bring them, of all pairs. [S, N, 3]
    """

    query: WeekQuery
    node: Single
    row: Ints
    column: Ints
    pair: Single
    near: Single

    def dense(self, name: str) -> Single:
        """A feature of the pair, or, after "source: " or "target: ", of one end. [S, N]"""
        shape = (len(self.query.source), len(self.node))
        end, _, rest = name.partition(": ")
        if end == "target":
            return np.broadcast_to(self.node[:, NODE.index(rest)], shape)
        if end == "source":
            return np.broadcast_to(self.node[self.query.source, NODE.index(rest), None], shape)
        if name in NEAR:
            return self.near[:, :, NEAR.index(name)]
        made = np.zeros(shape, dtype=np.float32)
        made[self.row, self.column] = self.pair[:, PAIR.index(name)]
        return made


def inputs_of_week(events: Events, query: WeekQuery) -> WeekInputs:
    """The features of a question; whatever happened at its start or later is cut off first."""
    past, start, source = events.until(query.start), query.start, query.source
    ones = sparse.coo_array((np.ones(len(past)), (past.source, past.target)), shape=(past.nodes, past.nodes))
    met = sparse.coo_array(sparse.csr_array(ones + ones.T)[source])
    row, column = met.row.astype(np.int64), met.col.astype(np.int64)
    other = column != source[row]
    row, column = row[other], column[other]
    everybody = np.arange(past.nodes)
    return WeekInputs(
        query,
        node_features(past, everybody, np.full(past.nodes, start)),
        row,
        column,
        pair_features(past, source[row], column, np.full(len(row), start)),
        near_features(past, source, start),
    )


@cached_while_unchanged(1)
def inputs_of(data: str, width: float) -> tuple[WeekInputs, ...]:
    """The questions of all weeks from the second on that have any."""
    events, _, _ = read(data, width)
    asked = [week_query(events, week, width) for week in range(1, int(week_of(events, width)[-1]) + 1)]
    return tuple(inputs_of_week(events, query) for query in asked if len(query.target))
