"""Reading the forecasts' JSON: names, and which network validation prefers."""

import statistics
from typing import Any

MODEL_LOOKS = {  # name, colour, marker
    "LSTM": ("LSTM", "blue", "o"),
    "GCN": ("GCN", "purple", "s"),
    "time_then_space": ("LSTM → GCN", "green", "^"),
    "space_then_time": ("GCN → LSTM", "orange", "v"),
    "space_time": ("LSTM on both", "vermillion", "D"),
}


def label(network: dict[str, Any], path: str | None = None) -> str:
    """A network's name, with that of its linear path if it has one."""
    settings = network["settings"]
    name = MODEL_LOOKS[settings["model"]][0]
    if not settings["path"]:
        return name if " " in name else f"{name} alone"
    own = f"AR({settings['path']}){'n' if settings['neighbours'] else ''}"
    return f"{path or own} + {name}"


def entries(protocol: dict[str, Any], path: str | None = None) -> list[tuple[str, dict[str, Any]]]:
    """Names and errors of the baselines, then of the networks."""
    return [*protocol["baselines"].items(), *((label(network, path), network) for network in protocol["networks"])]


def short(protocol: dict[str, Any]) -> str:
    """The heading of a protocol's column."""
    scale = "as published" if protocol["statistics"] == "all" else "training scale"
    return f"{protocol['title'].split(',')[0]}, {scale}"


def reference(protocol: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The baseline that everything is tested against: the pooled autoregression on the same history."""
    return entries(protocol)[0]


def preferred(networks: list[dict[str, Any]]) -> dict[str, Any]:
    """The network that validation prefers: a choice that the test part has no say in."""
    return min(networks, key=lambda network: statistics.fmean(run["validation"] for run in network["runs"]))
