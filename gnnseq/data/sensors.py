"""A made-up network of traffic sensors, in the likeness of METR-LA, whose edges are known to carry the jams.

Letters: T time steps, N nodes, E edges.
"""

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from gnnseq.data.graph_series import GraphSeries

__all__ = ["sensor_network"]


def sensor_network(
    nodes: int = 207, steps: int = 2016, season: int = 288, seed: int = 0, edges: bool = True
) -> GraphSeries:
    r"""Speeds on motorways, every 5 minutes of a week: rush hours, jams that creep upstream, sensors that fail.

    With :math:`s_{t,i}` the usual speed of the time of the day and :math:`w_{ji}` the planted weights of the in-edges
    of i, which sum up to 1, the deviation is

    .. math::
        d_{t+1,i} = 0.72\, d_{t,i} + 0.26 \sum_j w_{ji}\, d_{t,j} + e_{t+1,i}, \qquad
        x_{t,i} = \min(s_{t,i} + d_{t,i}, 70) + u_{t,i}

    with rare large shocks e at a sensor, of its rush hour above all, and small errors u of measurement. About one value
    in forty is missing, in stretches. A node without in-edges reads itself in their place.

    Args:
        nodes: N, on motorways of about 25 sensors, which cross.
        steps: T.
        season: Steps of a day.
        seed: Of everything.
        edges: Whether jams spread; without, each sensor keeps the jams of its own, and the graph says the same.

    Example:
        >>> series = sensor_network(nodes=30, steps=100, season=24)
        >>> series.values.shape, series.graphs[0][0].shape[0], bool(np.isnan(series.values).any())
        ((100, 30), 2, True)
    """
    generator = np.random.default_rng(seed)
    (source, target), weight = roads = _roads(nodes, generator)
    share = csr_array((weight.numpy(), (target, source)), shape=(nodes, nodes)).toarray().astype(np.float64)
    total = share.sum(1, keepdims=True)
    share = np.where(total > 0, share / np.where(total > 0, total, 1), np.eye(nodes))
    if not edges:
        share = np.eye(nodes)

    hour = np.arange(steps) / season % 1 * 24
    peak, width = (
        generator.choice([8.0, 17.5], nodes) + generator.normal(0, 0.5, nodes),
        generator.uniform(0.8, 1.8, nodes),
    )
    rush = np.exp(-0.5 * ((hour[:, None] - peak) / width) ** 2)  # [T, N]
    usual = generator.uniform(60, 68, nodes) - generator.uniform(5, 30, nodes) * rush

    chance = (0.006 + 0.03 * rush) * 288 / season
    shocks = (generator.random((steps, nodes)) < chance) * generator.gamma(2.0, 10.0, (steps, nodes)) * -1.0
    shocks += 2.1 * generator.standard_normal((steps, nodes))
    shocks -= shocks.mean(0)
    deviation = np.zeros((steps, nodes))
    for step in range(1, steps):
        deviation[step] = 0.72 * deviation[step - 1] + 0.26 * share @ deviation[step - 1] + shocks[step]
    values = np.clip(usual + deviation, 3.0, 70.0) + 2.35 * generator.standard_normal((steps, nodes))

    off = generator.random((steps, nodes)) < 0.004
    for _ in range(6):  # a failure lasts about 6 steps
        off[1:] |= off[:-1] & (generator.random((steps - 1, nodes)) < 0.85)
    values = np.where(off, np.nan, values.clip(0.0)).round(2)
    first = np.datetime64("2012-03-05T00:00", "s")
    times = first + np.arange(steps) * np.timedelta64(86400 // season, "s")
    names = tuple(f"sensor {node}" for node in range(nodes))
    return GraphSeries(values, names, (roads,), "step", 12, times, gaps=True)


def _roads(nodes: int, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Motorways, each a chain of sensors whose next two downstream are its sources, and where they cross."""
    ends = [(node + hop, node, 1.0 / hop) for node in range(nodes) for hop in (1, 2)
            if node + hop < nodes and node // 25 == (node + hop) // 25]  # fmt: skip
    pairs = {(a, b) for a, b, _ in ends}
    for _ in range(nodes // 6):
        a, b = generator.choice(nodes, 2, replace=False).tolist()
        if (a, b) not in pairs:
            pairs.add((a, b))
            ends.append((a, b, 0.7))
    ends.sort(key=lambda end: end[:2])
    edge_index = torch.tensor([[a for a, *_ in ends], [b for _, b, _ in ends]], device="cpu")
    return edge_index, torch.tensor([weight for *_, weight in ends], device="cpu")
