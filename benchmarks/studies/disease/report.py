"""Tables and checked statements of the study of diagnoses, from its JSON alone."""

from typing import Any

from rich.console import Console

from harness.report import PLAIN, markdown_table, table
from studies.disease import runs as of
from studies.disease.figures import figures
from studies.disease.results import PROTOCOLS, difference, kind, means, models, pairs, scores

__all__ = ["TABLES", "checks", "figures", "print_report"]

PUBLISHED = ["Parisot et al. 2018, published", "tested labels", "", "70.4", "", ""]


def rows(result: dict[str, Any]) -> list[list[str]]:
    """Name, what it reads, then AUC and accuracy of each protocol."""
    made = []
    for model in of.MODELS:
        cells = []
        for protocol in PROTOCOLS:
            if model not in models(result, protocol):
                cells += ["", ""]
                continue
            auc, accuracy, spread = means(result, protocol, model)
            cells += [f"{auc:.3f} ± {spread:.3f}".replace("0.", "."), f"{100 * accuracy:.1f}"]
        if any(cells):
            made.append([model, kind(model), *cells])
    best = result["data"]["best_auc"]
    if best:
        known = ["best possible, sites' offsets known", "best possible, sites unknown"]
        made += [
            [name, "the law", f"{auc:.3f}".replace("0.", "."), "", "", ""]
            for name, auc in zip(known, best, strict=True)
        ]
    return [*made, PUBLISHED] if result["data"]["name"] == "abide" else made


HEADINGS = ["AUC, folds", "accuracy, %", "AUC, sites left out", "accuracy, %"]


def print_report(result: dict[str, Any], console: Console) -> None:
    """The people, the scores, and the paired differences."""
    data, repeats = result["data"], 1 + max(run["repeat"] for run in result["runs"])
    console.print(
        f"\n{data['name']}: {data['people']} people, {data['positive']} {data['classes'][1]}, {data['features']} "
        f"features, phenotypes {', '.join(data['phenotypes']) or 'none'}; edges: {data['edges']['full']:,} of the full "
        f"graph, {data['edges']['nearest']:,} of the nearest", **PLAIN
    )  # fmt: skip
    caption = (
        f"{data['folds']} folds, {repeats} times, ± over repeats; {data['sites']} sites left out one by one, mean over "
        "people, ± over sites.\nRows that read tested features are transductive; those of tested labels are leaks."
    )
    headings = [heading.replace(", ", "\n") for heading in HEADINGS]
    made = table(f"Diagnoses: {data['name']}", caption, ["", "reads"], headings)
    for row in rows(result):
        made.add_row(
            *row, style="red" if row[1] == "tested labels" else "dim" if row[1] == "the law" or row == PUBLISHED else ""
        )
    console.print(made)
    for protocol, title in PROTOCOLS.items():
        for model, other in pairs(result, protocol):
            console.print(f"{title}: {_compared(result, protocol, model, other)}", **PLAIN)


def _compared(result: dict[str, Any], protocol: str, model: str, other: str) -> str:
    mean, error, p = difference(result, protocol, model, other)
    return f"{model} − {other}: AUC {mean:+.4f} ± {error:.4f}, p = {p:.2g}"


def scores_table(result: dict[str, Any]) -> str:
    """A row a model."""
    return markdown_table([result["data"]["name"], "reads", *HEADINGS], rows(result), text=2)


def differences_table(result: dict[str, Any]) -> str:
    """A row a pair: difference of AUC, its standard error and p, both protocols."""
    made: dict[tuple[str, str], list[str]] = {}
    for number, protocol in enumerate(PROTOCOLS):
        for pair in pairs(result, protocol):
            mean, error, p = difference(result, protocol, *pair)
            made.setdefault(pair, [""] * 4)[2 * number : 2 * number + 2] = [f"{mean:+.3f} ± {error:.3f}", f"{p:.2g}"]
    return markdown_table(
        ["difference of AUC, ± standard error", "folds", "p, corrected", "sites left out", "p, by site"],
        [[f"{model} − {other}", *cells] for (model, other), cells in made.items()],
    )


TABLES = {"scores": scores_table, "differences": differences_table}


def checks(result: dict[str, Any]) -> list[tuple[str, bool]]:
    """Statements that must hold: where the best score is known, and that leaks look better than they are."""
    data = result["data"]
    found = []
    if data["name"] == "planted" and data["people"] > 400:
        known, unknown = data["best_auc"]
        auc = means(result, "folds", of.SITE_RIDGE)[0]
        text = (
            f"with site means removed a ridge gets {auc:.3f}: above {unknown:.3f}, the best without, below {known:.3f}"
        )
        found.append((text, unknown < auc < known + 0.01))
    if of.BEST_EPOCH in models(result, "folds"):
        first = scores(result, "folds", of.CHEBYSHEV)[: data["folds"], :2].mean(0)
        best = scores(result, "folds", of.BEST_EPOCH)[:, :2].mean(0)
        gains = best - first
        text = f"knowing the best test epoch would add {gains[0]:.3f} to AUC and {gains[1]:.3f} to accuracy"
        found.append((text, bool((best >= first).all())))
    if data["name"] == "abide":
        inside, leak = (means(result, "folds", model)[0] for model in (of.SELECTED_INSIDE, of.SELECTED))
        found.append(
            (f"features chosen with all labels look like an AUC of {leak:.3f}, in training {inside:.3f}", leak > inside)
        )
    return found
