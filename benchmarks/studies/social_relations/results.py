"""What both tables and figures read from a result."""

from typing import Any

from studies.social_relations.runs import BLENDS, MODE, NETWORKS, PRIOR, TREES

__all__ = ["BEST", "ORDER", "PUBLISHED", "TITLES", "models_in", "title_of"]

BEST = "best possible (Bayes)"
ORDER = (PRIOR, MODE, *TREES, *NETWORKS, *BLENDS, BEST)  # of all tables and figures
# What others have with pixels, on their own split: (what is measured, number, whose). Not comparable, and said so.
PUBLISHED = {
    ("pisc", "relations", "grouped"): ("mAP", 0.687, "pixels, all of PISC"),
    ("pipa", "relations", "official"): ("accuracy", 0.644, "pixels"),
}
TITLES = {
    ("relations", "grouped"): "relations, from boxes alone",
    ("completion", "grouped"): "relations, all others of the image known",
    ("half", "grouped"): "relations, half of the image's known",
    ("relations", "official"): "relations, the published parts",
}


def models_in(part: dict[str, Any]) -> list[str]:
    """The models of a part, in the order of all tables."""
    return [name for name in ORDER if name in part["scores"]]


def title_of(part: dict[str, Any]) -> str:
    """What a part asks."""
    return TITLES[part["task"], part["split"]]
