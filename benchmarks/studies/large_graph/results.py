"""What pages and pictures read of the result's JSON."""

from typing import Any

__all__ = ["of_method", "present"]


def present(result: dict[str, Any]) -> list[str]:
    """The methods that were run, in order."""
    return list(dict.fromkeys(run["method"] for run in result["runs"]))


def of_method(result: dict[str, Any], method: str, name: str) -> list[float]:
    """A number of every run of a method."""
    return [run[name] for run in result["runs"] if run["method"] == method and run[name] is not None]
