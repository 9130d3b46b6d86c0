"""A result's numbers: a line a peer, curves of growth, ratios of rounds."""

import statistics
from collections.abc import Iterator, Sequence

import numpy as np

from studies.speed.targets import TARGETS, Row, has_targets

__all__ = ["PARTS", "growth", "lines", "quartiles"]

PARTS = ("steps", "building", "memory")  # what is measured of growth, an item each


def lines(result: Row) -> Iterator[Row]:
    """One line a peer: names, medians in ms, the ratio's quartiles, its target, roofline / our time, peaks."""
    targets = TARGETS if has_targets(result) else {}
    for work in result["works"]:
        ours, limit = work["ours"]["milliseconds"], work["limit"]
        line = {
            "work": work["title"],
            "shape": work["shape"],
            "ours": statistics.median(ours),
            "ours_peak": work["ours"]["peak_bytes"],
            **({"near": quartiles(limit["milliseconds"], ours)[1]} if limit else {}),
        }
        for name, peer in work["peers"].items():
            if "missing" in peer:
                yield {**line, "peer": name, "peer_missing": peer["missing"]}
                continue
            yield {
                **line,
                "peer": name,
                "peer_ms": statistics.median(peer["milliseconds"]),
                "ratio": quartiles(peer["milliseconds"], ours),
                "goal": targets.get((work["title"], name)),
                "peer_peak": peer["peak_bytes"],
                "sampled": peer["share"] < 1,
            }


def quartiles(theirs: Sequence[float], ours: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile of the rounds' ratios."""
    low, middle, high = np.quantile(np.divide(theirs, ours), (0.25, 0.5, 0.75))
    return float(low), float(middle), float(high)


def growth(records: list[Row]) -> dict[str, list[Row]]:
    """For each layer its sizes, with seconds per node or edge of a step, of the building before it, of memory alone.

    Of the rounds the fastest, as what slows a processor for seconds is nothing of ours. The rest is what remains of a
    step without the memory, for each node or edge beyond a few, and grown how many times its least at smaller sizes.
    """
    found: dict[str, dict[int, Row]] = {}
    for record in records:
        seconds = {part: statistics.median(record[part]) for part in (*PARTS, "few")}
        before = found.setdefault(record["layer"], {}).setdefault(record["size"], {"few_size": record["few_size"]})
        before |= {part: min(value, before.get(part, value)) for part, value in seconds.items()}
    curves: dict[str, list[Row]] = {}
    for layer, sizes in found.items():
        rows = curves.setdefault(layer, [])
        for size, least in sorted(sizes.items()):
            rest = (least["steps"] - least["memory"] - least["few"]) / (size - least["few_size"])
            grown = rest / min(rest, *(row["rest"] for row in rows)) if rows else 1.0
            rows.append({"size": size, **{part: least[part] / size for part in PARTS}, "rest": rest, "grown": grown})
    return curves
