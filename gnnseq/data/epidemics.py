"""Epidemics: every node of a graph a series of case numbers, every edge a relation between places."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from gnnseq.data.cache import fetch
from gnnseq.data.graph_series import ForecastWindows, GraphSeries

__all__ = ["EPIDEMICS", "Epidemic", "ForecastWindows", "chickenpox", "england_covid", "planted"]

Epidemic = GraphSeries  # its name until there were other series than epidemics


def chickenpox() -> GraphSeries:
    """Weekly chickenpox cases of Hungary's 20 counties, 2005 to 2014, as the authors standardised them; 4 lags.

    Counties that touch are joined. The published numbers are changes from week to week, each county's with mean 0 and
    standard deviation 1 over all 521 weeks. Rozemberczki, Scherer, Kiss, Sarkar and Ferenci 2021,
    https://arxiv.org/abs/2102.08100.
    """
    data = _read("epidemics/chickenpox.json")
    names = sorted(data["node_ids"], key=data["node_ids"].__getitem__)
    edge_index = torch.tensor(data["edges"], device="cpu").T.contiguous()
    return GraphSeries(
        np.array(data["FX"]), tuple(name.title() for name in names), ((edge_index, None),), "week", lags=4
    )


def england_covid() -> GraphSeries:
    """Daily COVID-19 cases of 129 English regions, 61 days from March 2020 on; 8 lags.

    Each day has a graph of its own: how many people moved from region to region, or stayed inside one. Panagopoulos,
    Nikolentzos and Vazirgiannis 2021, https://arxiv.org/abs/2009.08388. Names of regions are not published.
    """
    data = _read("epidemics/england_covid.json")
    values = np.array(data["y"], dtype=np.float64)
    edges, weights = data["edge_mapping"]["edge_index"], data["edge_mapping"]["edge_weight"]
    graphs = tuple(
        (
            torch.tensor(edges[str(day)], device="cpu").T.contiguous(),
            torch.tensor(weights[str(day)], dtype=torch.float32, device="cpu"),
        )
        for day in range(len(values))
    )
    return GraphSeries(values, tuple(str(node) for node in range(values.shape[1])), graphs, "day", lags=8)


def planted(nodes: int = 12, steps: int = 240, seed: int = 0) -> GraphSeries:
    """A made-up epidemic that spreads along a ring: what a node alone cannot foresee, its neighbours tell.

    x_{t+1,i} = 0.3 x_{t,i} + 0.3 (x_{t,i-1} + x_{t,i+1}) + e_{t+1,i} with standard normal e, so that no forecast of the
    next step has a mean squared error below 1 before standardisation.

    Example:
        >>> planted(nodes=5, steps=30).values.shape
        (30, 5)
    """
    noise = np.random.default_rng(seed).standard_normal((50 + steps, nodes))  # 50 steps to forget the start
    values = np.zeros_like(noise)
    for step in range(1, len(values)):
        before = values[step - 1]
        values[step] = 0.3 * (before + np.roll(before, 1) + np.roll(before, -1)) + noise[step]
    ring = torch.arange(nodes, device="cpu")
    forth = torch.stack([ring, (ring + 1) % nodes])
    names = tuple(f"place {node}" for node in range(nodes))
    return GraphSeries(values[50:], names, ((torch.cat([forth, forth.flip(0)], 1), None),), "step", lags=4)


def _read(name: str) -> Any:
    return json.loads(fetch(name).read_text(encoding="utf-8"))


EPIDEMICS: dict[str, Callable[[], GraphSeries]] = {
    "chickenpox": chickenpox,
    "england_covid": england_covid,
    "planted": planted,
}
