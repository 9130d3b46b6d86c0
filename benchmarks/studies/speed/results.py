"""A result's numbers: a line a peer, curves of growth, ratios of rounds."""

import statistics
from collections.abc import Sequence

import numpy as np

from studies.speed.targets import TARGETS, Row, has_targets


def lines(result: Row) -> list[Row]:
    """One line a peer: names, medians in ms, the ratio's quartiles, its target, roofline / our time, peaks."""
    targets = TARGETS if has_targets(result) else {}
    made = []
    for work in result["works"]:
        times, limit = work["ours"]["milliseconds"], work["limit"]
        ours = {"ours": statistics.median(times), "ours_peak": work["ours"]["peak_bytes"]}
        if limit:
            ours["near"] = quartiles(limit["milliseconds"], times)[1]
        for name, peer in work["peers"].items():
            line = {"work": work["title"], "shape": work["shape"], **ours, "peer": name}
            if "missing" in peer:
                line["peer_missing"] = peer["missing"]
            else:
                line |= {
                    "peer_ms": statistics.median(peer["milliseconds"]),
                    "ratio": quartiles(peer["milliseconds"], times),
                    "goal": targets.get((work["title"], name)),
                    "peer_peak": peer["peak_bytes"],
                    "sampled": peer["share"] < 1,
                }
            made.append(line)
    return made


def quartiles(theirs: Sequence[float], ours: Sequence[float]) -> list[float]:
    """Lower quartile, median and upper quartile of the rounds' ratios."""
    return [float(value) for value in np.quantile(np.divide(theirs, ours), (0.25, 0.5, 0.75))]


def growth(records: list[Row]) -> dict[str, list[Row]]:
    """For each layer its sizes, with seconds per node or edge of a step, of the building before it, of memory alone.

    Of the rounds the fastest, as what slows a processor for seconds is nothing of ours. The rest is what remains of a
    step without the memory, for each node or edge beyond a few, and grown how many times its least at smaller sizes.
    """
    found: dict[str, dict[int, list[Row]]] = {}
    for record in records:
        found.setdefault(record["layer"], {}).setdefault(record["size"], []).append(record)
    curves: dict[str, list[Row]] = {}
    for layer, sizes in found.items():
        rows = curves.setdefault(layer, [])
        for size, rounds in sorted(sizes.items()):
            parts = ("steps", "building", "memory", "few")
            least = {part: min(statistics.median(record[part]) for record in rounds) for part in parts}
            rest = (least["steps"] - least["memory"] - least.pop("few")) / (size - rounds[0]["few_size"])
            grown = rest / min([rest, *(row["rest"] for row in rows)])
            each = {part: seconds / size for part, seconds in least.items()}
            rows.append({"size": size, **each, "rest": rest, "grown": grown})
    return curves
