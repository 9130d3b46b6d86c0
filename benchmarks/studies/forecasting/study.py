"""Forecasts of epidemics, held against what happened, as one JSON value."""

import dataclasses
from typing import Any

import networkx as nx
import numpy as np
from rich.console import Console

from gnnseq.data.epidemics import EPIDEMICS
from gnnseq.data.graph_series import GraphSeries, Values
from harness.provenance import provenance
from harness.sweep import run_sweep
from studies.forecasting.autoregression import autoregression, mean, persistence
from studies.forecasting.fit import forecast
from studies.forecasting.runs import PROTOCOLS, QUICK, ForecastRun
from studies.forecasting.series_study import run_series

HORIZONS = ForecastRun.horizons
LINKS = 2  # strongest of every node that are drawn where the graph changes
# A layout knows no compass. These lie in the west, the east, the north and the south of Hungary.
COMPASS = ("Vas", "Szabolcs", "Borsod", "Baranya")


def run(settings: Any, console: Console) -> dict[str, Any]:
    """Make all forecasts that the settings ask for; finished ones are not made again."""
    if settings.of_series:
        return run_series(settings, console)
    protocols, (seeds, hidden, max_epochs) = PROTOCOLS, settings.training
    if settings.quick:
        protocols, seeds, max_epochs = QUICK, min(seeds, 2), min(max_epochs, 10)
    # Data that cannot be had are missed here, not in a process of the sweep.
    epidemics = [EPIDEMICS[protocol.epidemic]().standardized(protocol.statistics) for protocol in protocols]
    kinds = [
        protocol.networks(epidemic.digest, seeds, hidden, max_epochs)
        for protocol, epidemic in zip(protocols, epidemics, strict=True)
    ]
    runs = [run for kinds_of_protocol in kinds for kind in kinds_of_protocol for run in kind]
    records = iter(run_sweep(forecast, runs, settings.folder / "cache", settings.jobs, console=console))
    found = [
        {
            **dataclasses.asdict(protocol),
            "step": epidemic.step,
            "starts": epidemic.starts,
            **layout(epidemic),
            "baselines": _baselines(epidemic, protocol.orders),
            "networks": [_network(epidemic, [next(records) for _ in kind]) for kind in kinds_of_protocol],
        }
        for protocol, epidemic, kinds_of_protocol in zip(protocols, epidemics, kinds, strict=True)
    ]
    return {"experiment": "forecasting", "provenance": provenance(), "horizons": HORIZONS, "protocols": found}


def _baselines(epidemic: GraphSeries, orders: tuple[int, ...]) -> dict[str, Any]:
    """Errors by name, the first of which is the one to beat."""
    first = orders[0]
    forecasts = {
        **{f"AR({order})": autoregression(epidemic, order, HORIZONS) for order in orders},
        f"AR({first}), one a node": autoregression(epidemic, first, HORIZONS, pooled=False),
        f"AR({first}) + neighbours": autoregression(epidemic, first, HORIZONS, neighbours=True),
        "mean": mean(epidemic, HORIZONS),
        "persistence": persistence(epidemic, HORIZONS),
    }
    return {name: _errors(epidemic, [values]) for name, values in forecasts.items()}


def _network(epidemic: GraphSeries, records: list[dict[str, Any]]) -> dict[str, Any]:
    """Errors of a kind of network, and of the mean of its seeds' forecasts."""
    forecasts = [np.array(record["result"].pop("forecasts")) for record in records]
    runs = [{"seed": record["settings"]["seed"], "seconds": record["seconds"], "commit": record["commit"],
             **record["result"]} for record in records]  # fmt: skip
    together = _errors(epidemic, [np.mean(forecasts, 0)])
    return {"settings": records[0]["settings"], "runs": runs, **_errors(epidemic, forecasts), "together": together}


def _errors(epidemic: GraphSeries, forecasts: list[Values]) -> dict[str, Any]:
    """Mean squared errors of forecasts [W, K, N], averaged over the list where a row is of steps or nodes."""
    _, start, stop = epidemic.starts
    squares = (np.stack(forecasts) - epidemic.values[start:stop, None]) ** 2  # [runs, W, K, N]
    # [runs, K], [W, K], [N, K]
    means = {"by_horizon": squares.mean((1, 3)), "by_step": squares.mean((0, 3)), "by_node": squares.mean((0, 1)).T}
    return {name: [[float(f"{value:.5g}") for value in row] for row in rows] for name, rows in means.items()}


def layout(epidemic: GraphSeries) -> dict[str, Any]:
    """Names, places and undirected links of the nodes: JSON values, so that a figure needs no data.

    Where edges have weights, those of all steps are added up, and a node is drawn with its strongest links and those
    of a spanning tree. Nodes apart from the largest connected part stand in a row below it.
    """
    weights = np.zeros((len(epidemic.nodes), len(epidemic.nodes)))
    for edge_index, edge_weight in epidemic.graphs:
        np.add.at(weights, tuple(edge_index.numpy()), 1.0 if edge_weight is None else edge_weight.numpy())
    np.fill_diagonal(weights, 0.0)
    graph = nx.from_numpy_array(weights + weights.T)
    if any(weight is not None for _, weight in epidemic.graphs):
        strong = list(nx.maximum_spanning_edges(graph, data=False))
        for node in graph:
            strong += sorted(graph.edges(node), key=lambda edge: -graph.edges[edge]["weight"])[:LINKS]
        graph = nx.create_empty_copy(graph)
        graph.add_edges_from(strong)
    whole = graph.subgraph(max(nx.connected_components(graph), key=len))
    places = nx.kamada_kawai_layout(whole, weight=None, pos=nx.circular_layout(sorted(whole)))
    apart = sorted(set(graph) - set(whole))
    places |= {node: np.array([-0.6 + 0.1 * place, -0.95]) for place, node in enumerate(apart)}
    xy = np.array([places[node] for node in graph])
    if set(COMPASS) <= set(epidemic.nodes):
        west, east, north, south = (xy[epidemic.nodes.index(name)] for name in COMPASS)
        across = (east - west) / np.linalg.norm(east - west)
        up = np.array([-across[1], across[0]])
        xy = xy @ np.column_stack([across, up * np.sign((north - south) @ up)])
    links = sorted(sorted(edge) for edge in graph.edges)
    return {"nodes": list(epidemic.nodes), "places": xy.round(3).tolist(), "links": links}
