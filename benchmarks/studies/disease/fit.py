"""All models on one split: who is tested gives features and phenotypes at most, and no label but to be scored.

Letters: N people, F features, n people in training.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from gnnseq.data.populations import Population, population_graph
from harness.files import cached_while_unchanged
from studies.disease import runs as of
from studies.disease.filters import GRID, response, site_filter
from studies.disease.folds import Integers, site_folds, stratified_folds
from studies.disease.networks import Chebyshev, Graph, learn
from studies.disease.ridge import Fitted, center, gaussian, kernel_ridge
from studies.disease.runs import DiseaseRun, PopulationSource
from studies.disease.sources import read
from studies.disease.views import views

__all__ = ["auc", "best_of_epochs", "fit", "measure", "prepared", "select"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Prepared:
    """A population, and what of it no split and no label changes.

    Attributes:
        population: The people.
        sites: A number for everybody's site, zeros without sites. [N]
        views: What ridges read, by name. [N, .] each
        kernels: Their products between people, less the mean over all. [N, N] each
        full, nearest: The population graph, and its sparse form.
    """

    population: Population
    sites: Integers
    views: dict[str, Array]
    kernels: dict[str, Array]
    full: Graph
    nearest: Graph


@cached_while_unchanged(1)
def prepared(source: PopulationSource, neighbours: int) -> Prepared:
    """Read and prepare, once a process."""
    population = read(source)
    column = population.phenotypes.get(source.site)
    sites = np.zeros(len(population), dtype=np.int64)
    if column is not None:
        sites = np.unique(column, return_inverse=True)[1].astype(np.int64)
    made = views(population.features, source.correlations)
    kernels = {}
    for name, view in made.items():
        centred = view - view.mean(0)  # for accuracy of the products alone: every ridge centres anew in training
        kernels[name] = centred @ centred.T
    within = dict(source.within)
    full, nearest = (population_graph(population, k, within=within) for k in (None, neighbours))
    return Prepared(population, sites, made, kernels, full, nearest)


def phenotype_columns(population: Population, train: Integers) -> Array:
    """Numbers less their mean in training over their spread there, 0 where missing; a column for each text, "" too."""
    columns = [np.zeros(len(population))]
    for values in population.phenotypes.values():
        if values.dtype.kind == "f":
            known = values[train][~np.isnan(values[train])]
            if len(known):
                columns.append(np.nan_to_num((values - known.mean()) / (known.std() or 1.0)))
        else:
            columns += [np.asarray(values == value, dtype=np.float64) for value in np.unique(values[train])]
    return np.column_stack(columns)


def age_kernel(population: Population, train: Integers) -> Array | None:
    """Products of Gaussian kernels .75 standard deviations wide, of logarithms where numbers are positive. [N, N]

    Of phenotypes that are numbers of more than ten values, as ages are; None if there are none.
    """
    made = None
    for values in population.phenotypes.values():
        known = values[train]
        if values.dtype.kind != "f" or len(np.unique(known[~np.isnan(known)])) <= 10:
            continue
        scaled = np.log(values) if np.nanmin(values) > 0 else values
        difference = (scaled[:, None] - scaled) / (0.75 * np.nanstd(scaled[train]))
        kernel = np.where(np.isnan(difference), 0, np.exp(-0.5 * np.nan_to_num(difference) ** 2))
        made = kernel if made is None else made * kernel
    return made


def split_of(data: Prepared, run: DiseaseRun, site: str) -> tuple[Integers, Integers]:
    """The training and the tested people of a run."""
    labels = data.population.labels
    if run.protocol == "sites":
        test = site_folds(data.population.phenotypes[site], labels)[run.part]
    else:
        test = stratified_folds(labels, run.folds, run.repeat)[int(run.part)]
    return np.setdiff1d(np.arange(len(labels)), test), test


def measure(run: DiseaseRun, source: PopulationSource) -> dict[str, Any]:
    """AUC and accuracy of every model on the run's tested people."""
    data = prepared(source, run.training.neighbours)
    train, test = split_of(data, run, source.site)
    found, about = fit(data, train, test, data.population.labels, run, has_sites=data.sites.max() > 0)
    truth = data.population.labels[test]
    scores = {name: [round(auc(truth, values[test]), 5), round(float(((values[test] > 0) == truth).mean()), 5)]
              for name, values in found.items()}  # fmt: skip
    if "by_epoch" in about:
        scores[of.BEST_EPOCH] = best_of_epochs(about.pop("by_epoch")[:, test], truth)
    return {"scores": scores, "tested": len(test), **about}


def auc(truth: NDArray[np.bool_], scores: Array) -> float:
    """The share of pairs of the two classes that the scores order rightly; equal scores count one half.

    Example:
        >>> auc(np.array([False, True, True]), np.array([0.1, 0.1, 0.7]))
        0.75
    """
    if not np.isfinite(scores).all():
        raise ValueError("scores hold NaN or infinity, of which no order is right")
    ranks, ill = stats.rankdata(scores), int(truth.sum())
    return float((ranks[truth].sum() - ill * (ill + 1) / 2) / (ill * (len(truth) - ill)))


def best_of_epochs(by_epoch: Array, truth: NDArray[np.bool_]) -> list[float]:
    """LEAK: the best AUC and the best accuracy of all epochs on the tested people, as if one knew when to stop."""
    return [max(auc(truth, logits) for logits in by_epoch),
            max(float(((logits > 0) == truth).mean()) for logits in by_epoch)]  # fmt: skip


def fit(
    data: Prepared, train: Integers, test: Integers, labels: NDArray[np.bool_], run: DiseaseRun, has_sites: bool
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Scores of everybody by model, above zero for the second class, and what was chosen on the way.

    Labels of ``test`` are read by the model that is called a leak, and by no other.
    """
    sites, kernels, training = data.sites if has_sites else None, data.kernels, run.training
    mean = float(labels[train].mean())
    found = {of.MAJORITY: np.full(len(labels), mean - 0.5)}
    about: dict[str, Any] = {}

    def ridge(kernel: Array) -> Fitted:
        return kernel_ridge(kernel, train, labels)

    columns, ages = phenotype_columns(data.population, train), age_kernel(data.population, train)
    found[of.PHENOTYPES] = ridge(center(columns @ columns.T, train)).scores
    plain = ridge(center(kernels["plain"], train))
    # Weights may vary with age: a product of kernels, of features and of ages. A member each: site means stay or go.
    logs = center(kernels["logarithm"], train)
    members = [ridge(logs if ages is None else center(logs * (0.5 + 0.5 * ages), train))]
    of_sites = [center(kernels[view], train, sites) for view in ("logarithm", "profile")]
    inductive = [*members, ridge(of_sites[0]), ridge(gaussian(of_sites[1], train))]
    found[of.RIDGE], found[of.ENSEMBLE] = plain.scores, together(inductive)
    if has_sites:
        found[of.SITE_RIDGE] = ridge(center(kernels["plain"], train, sites)).scores
        found[of.GAUSSIAN] = ridge(gaussian(center(kernels["plain"], train, sites), train)).scores
        # Every ridge on the site graph's filter 1 - theta A, with theta of the least leave-one-out error.
        filtered = {theta: ridge(center(site_filter(kernels["plain"], data.sites, theta), train)) if theta else plain
                    for theta in GRID}  # fmt: skip
        about["theta"] = min(filtered, key=lambda theta: filtered[theta].error)
        found[of.OWN_RIDGE] = filtered[about["theta"]].scores
        owned = [center(kernels[view], train, sites, own=True) for view in ("logarithm", "profile")]
        found[of.OWN_ENSEMBLE] = together([*members, ridge(center(owned[0], train)), ridge(gaussian(owned[1], train))])
    first = run.protocol == "folds" and run.repeat == 0  # leaks need no repeats to be seen
    if first:
        found[of.SELECTED_INSIDE] = _selected(data, train, train, labels, training.selected)
        found[of.SELECTED] = _selected(data, np.concatenate([train, test]), train, labels, training.selected)

    x = components(logs, train, training.components)
    seed, base = run.repeat, found[of.ENSEMBLE] / (found[of.ENSEMBLE][train].std() or 1.0)
    epochs: dict[str, int] = {}
    for name, kind, graph, offset in (
        (of.MLP, "none", data.full, None), (of.CHEBYSHEV, "chebyshev", data.full, None),
        (of.NEAREST, "chebyshev", data.nearest, None), (of.GCNS, "gcn", data.nearest, None),
        (of.ADDED_MLP, "none", data.full, base), (of.ADDED_CHEBYSHEV, "chebyshev", data.full, base),
    ):  # fmt: skip
        shown = first and name == of.CHEBYSHEV
        learnt = learn(kind, x, graph, train, labels, training, seed, offset, all_epochs=shown)
        found[name], epochs[name] = learnt.scores, learnt.epoch
        if shown:
            about["by_epoch"] = learnt.by_epoch
        layer = learnt.network.layers[0]
        if first and isinstance(layer, Chebyshev) and name in (of.CHEBYSHEV, of.NEAREST):
            about.setdefault("response", {})[name] = response(layer, x[train])
    for name, network in ((of.MEAN_MLP, of.MLP), (of.MEAN_CHEBYSHEV, of.CHEBYSHEV)):
        found[name] = base + found[network] / (found[network][train].std() or 1.0)
    return found, {**about, "epochs": epochs, "alpha": plain.alpha}


def together(members: list[Fitted]) -> Array:
    """The mean of scores, each over its spread: all weigh alike, so that nothing is chosen. [N]"""
    return np.asarray(np.mean([member.scores / member.scale for member in members], axis=0))


def components(kernel: Array, train: Integers, count: int) -> Array:
    """Everybody on the principal components of the training part, of a mean square norm of 100 there. [N, <= count]"""
    values, vectors = np.linalg.eigh(kernel[np.ix_(train, train)])
    kept = values[-count:] > 1e-9 * max(values[-1], 1e-300)
    x = kernel[:, train] @ vectors[:, -count:][:, kept] / np.sqrt(values[-count:][kept])
    return np.asarray(x * 10 / math.sqrt((x[train] ** 2).sum(1).mean() or 1.0))


def select(view: Array, people: Integers, labels: NDArray[np.bool_], count: int) -> Integers:
    """Features of the largest weights in a ridge of these people's labels; half of the features at most a time. [count]

    Recursive elimination, as the publication has it; which people's labels are read makes it right or a leak.
    """
    chosen = np.arange(view.shape[1])
    while len(chosen) > count:
        own = view[people][:, chosen]
        own = own - own.mean(0)
        kernel = own @ own.T
        dual = np.linalg.solve(
            kernel + np.trace(kernel) / len(own) * np.eye(len(own)), labels[people] - labels[people].mean()
        )
        keep = max(count, len(chosen) // 2)
        chosen = chosen[np.sort(np.argsort(-np.abs(own.T @ dual), kind="stable")[:keep])]
    return chosen


def _selected(data: Prepared, people: Integers, train: Integers, labels: NDArray[np.bool_], count: int) -> Array:
    """A ridge on the features that a ridge of ``people``'s labels likes best."""
    view = data.views["plain"]
    chosen = view[:, select(view, np.sort(people), labels, count)]
    return kernel_ridge(center(chosen @ chosen.T, train), train, labels).scores
