"""Tables of the study: scores with intervals, and what messages add."""

from typing import Any

from rich.console import Console

from harness.report import PLAIN, markdown_table, mean_std, table
from studies.social_relations.figures import figures
from studies.social_relations.results import PUBLISHED, models_in, title_of

__all__ = ["TABLES", "figures", "print_report"]

KINDS = ("accuracy", "recall", "mAP")


def rows(result: dict[str, Any], part: dict[str, Any]) -> list[list[str]]:
    """Name, accuracy, recall and mAP; intervals of accuracy and mAP."""
    made = []
    for name in models_in(part):
        scores, ends = part["scores"][name], part["intervals"][name]
        cells = [f"{scores[kind]:.3f}" for kind in KINDS]
        made.append([name, *cells, *(f"{ends[kind][0]:.3f}-{ends[kind][1]:.3f}" for kind in ("accuracy", "mAP"))])
    kind, score, whose = PUBLISHED.get((result["data"], part["task"], part["split"]), ("", 0.0, ""))
    if whose:
        made.append([f"published: {whose}", *(f"{score:.3f}" if each == kind else "" for each in KINDS), "", ""])
    return made


def differences(part: dict[str, Any]) -> list[list[str]]:
    """What messages add: model against model, differences of accuracy and mAP with intervals and p."""
    made = []
    for found in part["differences"]:
        cells = []
        for kind in ("accuracy", "mAP"):
            low, high = found["interval"][kind]
            cells += [f"{found['difference'][kind]:+.3f}", f"{low:+.3f} to {high:+.3f}", f"{found['p'][kind]:.3f}"]
        made.append([f"{found['model']} - {found['against']}", *cells])
    return made


def partitions(part: dict[str, Any]) -> list[list[str]]:
    """Name, number of partitions, accuracy and mAP with their spread, of models that have several."""
    made = []
    for name in models_in(part):
        found = part.get("partitions", {}).get(name, [])
        if len(found) > 1:
            cells = [mean_std([each[kind] for each in found], digits=3) for kind in ("accuracy", "mAP")]
            made.append([name, str(len(found)), *cells])
    return made


SCORES = ("accuracy", "macro recall", "mAP", "95 % of accuracy", "95 % of mAP")
PARTITIONS = ("partitions", "accuracy", "mAP")
DIFFERENCES = ("accuracy", "95 %", "p", "mAP", "95 %", "p")


def about(part: dict[str, Any]) -> str:
    """What was tested."""
    folds = len(part["folds"])
    tested = f"{folds} folds, each tested once" if part["split"] == "grouped" else "the published test part"
    return f"{part['pairs']:,} pairs in {part['images']:,} images of {part['groups']:,} groups; {tested}"


def print_report(result: dict[str, Any], console: Console) -> None:
    """Two tables a task."""
    for part in result["parts"]:
        caption = f"{about(part)}.\nIntervals: {part['draws']} bootstrap draws of groups, images or albums."
        made = table(f"{result['data']}: {title_of(part)}", caption, [""], SCORES)
        for row in rows(result, part):
            made.add_row(*row, style="" if row[4] else "dim")
        console.print("", made, sep="\n")
        if part["differences"]:
            against = table("What messages add", "Paired: the same draws for both.", [""], ["", "", "95 %", "p"])
            for name, *cells in differences(part):
                against.add_row(name, "accuracy", *cells[:3])
                against.add_row("", "mAP", *cells[3:])
            console.print("", against, sep="\n")
        if partitions(part):
            several = table("Other ways to divide", "Mean and spread over partitions.", [""], PARTITIONS)
            for row in partitions(part):
                several.add_row(*row)
            console.print("", several, sep="\n")
        few = rare(part)
        if few:
            console.print(f"Relations with fewer than five pairs in some fold: {', '.join(few)}.", **PLAIN)


def rare(part: dict[str, Any], least: int = 5) -> list[str]:
    """Relations of which a fold has fewer than so many pairs."""
    if part["split"] != "grouped":
        return []
    counts = zip(*part["folds"], strict=True)
    return [name for name, own in zip(part["relations"], counts, strict=True) if min(own) < least]


def _page(task: str, split: str, compared: bool) -> Any:
    def made(result: dict[str, Any]) -> str:
        part = next(part for part in result["parts"] if (part["task"], part["split"]) == (task, split))
        if compared:
            return markdown_table([f"{result['data']}, messages add", *DIFFERENCES], differences(part))
        return markdown_table([f"{result['data']}: {title_of(part)}", *SCORES], rows(result, part))

    return made


def _partitions(task: str) -> Any:
    def made(result: dict[str, Any]) -> str:
        part = next(part for part in result["parts"] if (part["task"], part["split"]) == (task, "grouped"))
        return markdown_table([f"{result['data']}: {title_of(part)}", *PARTITIONS], partitions(part))

    return made


TABLES = {
    "relations": _page("relations", "grouped", compared=False),
    "completion": _page("completion", "grouped", compared=False),
    "official": _page("relations", "official", compared=False),
    "relations-differences": _page("relations", "grouped", compared=True),
    "completion-differences": _page("completion", "grouped", compared=True),
    "half": _page("half", "grouped", compared=False),
    "half-differences": _page("half", "grouped", compared=True),
    "relations-partitions": _partitions("relations"),
    "completion-partitions": _partitions("completion"),
    "half-partitions": _partitions("half"),
}
