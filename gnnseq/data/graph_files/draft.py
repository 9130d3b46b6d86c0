"""What every form of graph file is read into, and what turns it into a graph: one check of edges for all forms."""

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import networkx as nx

__all__ = ["SPARE_NODES", "Draft", "Link", "number", "wrong"]

SPARE_NODES = 100_000  # nodes without an edge that a file may declare by a number alone
DECIMAL = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?|[+-]?\.\d+([eE][+-]?\d+)?")
DECIMAL_COMMA = re.compile(r"[+-]?(0,\d+|\d+,(?!\d{3}$)\d+)")  # 1,000 may be one or a thousand


class Link(NamedTuple):
    """An edge as it stands in a file; one_way is None where the file does not say."""

    source: str
    target: str
    weight: float | None
    one_way: bool | None
    line: int


@dataclass
class Draft:
    """Nodes and edges of a file, in its order.

    Attributes:
        path: The file, for messages.
        form: What it was read as.
        place: What the numbers of its edges count.
        nodes: Names.
        links: Edges.
        default: What an edge weighs that has no weight where others have one; None if the form does not say.
        by_symmetry: Whether a file that does not say so is undirected just if each edge goes both ways.
        heading: The columns' names, if the file has them.
    """

    path: Path
    form: str
    place: str = "line"
    nodes: dict[str, None] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    default: float | None = None
    by_symmetry: bool = False
    heading: list[str] | None = None

    def link(self, source: str, target: str, weight: float | None, one_way: bool | None, line: int) -> None:
        """Add an edge, and its ends if they are new."""
        self.nodes.setdefault(source)
        self.nodes.setdefault(target)
        self.links.append(Link(source, target, weight, one_way, line))

    def declare(self, count: int, entries: int, line: int | None) -> None:
        """Check a number of nodes that a file declares, before anything of that size is made."""
        if not 0 <= count <= 2 * entries + SPARE_NODES:
            raise wrong(
                self.path,
                line,
                f"{count:,} nodes for {entries:,} edges or entries",
                f"at most {SPARE_NODES:,} nodes without any: drop the others",
            )

    def graph(self, directed: bool | None, weights: bool) -> nx.Graph:
        """The graph; ValueError if edges contradict each other, or ``directed`` what the file says."""
        links = self._weighted() if weights else [link._replace(weight=None) for link in self.links]
        if directed is not None:
            self._check_direction(directed)
        if any(link.one_way is None for link in links):
            unsaid = self.by_symmetry and not _symmetric(links) if directed is None else directed
            links = [link if link.one_way is not None else link._replace(one_way=unsaid) for link in links]
        one_way = any(link.one_way for link in links) if links else bool(directed)
        graph = nx.DiGraph() if one_way else nx.Graph()
        graph.add_nodes_from(self.nodes)
        first: dict[tuple[str, str], Link] = {}
        merged = 0
        for link in links:
            arcs = [(link.source, link.target)]
            if one_way and not link.one_way and link.source != link.target:
                arcs.append((link.target, link.source))
            for arc in arcs:
                before = first.setdefault(arc if one_way else (min(arc), max(arc)), link)
                if before is link:
                    graph.add_edge(*arc, **({} if link.weight is None else {"weight": link.weight}))
                elif before.weight != link.weight:
                    raise wrong(
                        self.path,
                        link.line,
                        f"{arc[0]!r} and {arc[1]!r} weigh {link.weight}, and "
                        f"{before.weight} in {self.place} {before.line}",
                        "one weight an edge: add them up or keep one, or read the file as directed if they are "
                        "two directions",
                        self.place,
                    )
                else:
                    merged += 1
        graph.graph.update(form=self.form, heading=self.heading, merged=merged)
        return graph

    def _weighted(self) -> list[Link]:
        """Edges that all have a weight, or none."""
        for link in self.links:
            if link.weight is not None and not math.isfinite(link.weight):
                raise wrong(self.path, link.line, f"weight {link.weight}", "a finite number", self.place)
        without = next((link for link in self.links if link.weight is None), None)
        with_one = next((link for link in self.links if link.weight is not None), None)
        if without is None or with_one is None:
            return self.links
        if self.default is None:
            raise wrong(
                self.path,
                without.line,
                f"no weight for {without.source!r}, {without.target!r}, and "
                f"{with_one.weight} in {self.place} {with_one.line}",
                "a weight for every edge or for none",
                self.place,
            )
        return [link._replace(weight=self.default) if link.weight is None else link for link in self.links]

    def _check_direction(self, directed: bool) -> None:
        for link in self.links:
            if link.one_way is True and not directed:
                raise wrong(
                    self.path,
                    link.line,
                    f"a directed edge {link.source!r} -> {link.target!r}, and directed=False",
                    "directed=None, and .to_undirected() of the graph",
                    self.place,
                )
        if directed and self.links and all(link.one_way is False for link in self.links):
            raise wrong(
                self.path,
                self.links[0].line,
                f"undirected edges, by what this {self.form} file says, and directed=True",
                "directed=None, or a file that says directed",
                self.place,
            )


def _symmetric(links: list[Link]) -> bool:
    both = {(link.source, link.target, link.weight) for link in links}
    return all((target, source, weight) in both for source, target, weight in both)


def number(text: str, comma: bool = False) -> float | None:
    """The number that a text is, None if it is none; NaN and infinity are numbers here. Not Python's 1_000.

    Args:
        text: What stands in the file.
        comma: Whether a comma may stand for the point.
    """
    text = text.strip()
    if comma and DECIMAL_COMMA.fullmatch(text):
        return float(text.replace(",", "."))
    if DECIMAL.fullmatch(text) or text.lower().lstrip("+-") in ("nan", "inf", "infinity"):
        return float(text)
    return None


def wrong(path: Path, line: int | None, found: str, expected: str, place: str = "line") -> ValueError:
    """The error that says where, what stands there, and what is legal."""
    where = f"{path}" if line is None else f"{path}, {place} {line}"
    return ValueError(f"{where}: {found}; expected {expected}")
