"""Tables of counts, from a result alone."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.report import PLAIN, markdown_table, table

__all__ = ["TABLES", "checks", "figures", "print_report"]


def print_report(result: dict[str, Any], console: Console) -> None:
    """A row a promise, and below it what fell."""
    made = table("What was promised", "", ("promise",), ("tried", "failed"))
    for row in result["promises"]:
        made.add_row(row["promise"], f"{row['tried']:,}", f"{row['failed']:,}")
    console.print(made)
    for row in result["promises"]:
        for each in row["fell"]:
            console.print(f"{row['promise']}: {', '.join(str(part) for part in each.values())}", **PLAIN)


def checks(result: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """Every promise, and whether it held whenever it was tried."""
    for row in result["promises"]:
        yield row["promise"], row["failed"] == 0


def figures(result: dict[str, Any], stem: Path) -> list[Path]:
    """There is nothing to draw."""
    return []


def promises(result: dict[str, Any]) -> str:
    """The table of a page."""
    rows = [[row["promise"], f"{row['tried']:,}", f"{row['failed']:,}"] for row in result["promises"]]
    return markdown_table(["promise", "tried", "failed"], rows)


TABLES: dict[str, Callable[..., str]] = {"promises": promises}
