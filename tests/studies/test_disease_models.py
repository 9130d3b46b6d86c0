"""Diagnoses in a population: no label and no feature where none may be, and estimators equal to slow ones."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.linalg import logm
from sklearn.linear_model import RidgeClassifierCV
from sklearn.metrics import roc_auc_score

from gnnseq.data.populations import planted_population, population_graph
from harness.significance import corrected_t, paired_t, weighted_t
from studies.disease import fit as fits
from studies.disease import runs as of
from studies.disease.filters import site_filter
from studies.disease.folds import inner_split, site_folds, stratified_folds
from studies.disease.networks import PopulationNetwork, choose_epoch, learn
from studies.disease.ridge import ALPHAS, center, gaussian, kernel_ridge
from studies.disease.runs import DiseaseRun, DiseaseTraining, PopulationSource
from studies.disease.views import fisher, logarithm, matrices, profile, views

RUN = DiseaseRun("folds", 0, "0", 4, "", DiseaseTraining(epochs=4, components=10, hidden=4, selected=6, neighbours=4))
SOURCE = PopulationSource("planted", within=(("age", 2.0),), small=True)


def prepare(population, monkeypatch):
    fits.prepared.cache_clear()
    monkeypatch.setattr(fits, "read", lambda _: population)
    return fits.prepared(SOURCE, RUN.training.neighbours)


@pytest.fixture(scope="module")
def people():
    return planted_population(people=64, features=12, sites=4)


@pytest.fixture(scope="module")
def split(people):
    test = stratified_folds(people.labels, 4, 0)[0]
    return np.setdiff1d(np.arange(len(people)), test), test


@pytest.fixture(scope="module")
def fitted(people, split):
    with pytest.MonkeyPatch.context() as patch:
        return fits.fit(prepare(people, patch), *split, people.labels, RUN, has_sites=True)


def test_no_model_but_the_leak_reads_a_label_of_the_tested(people, split, fitted, monkeypatch):
    """Put the tested people among those whose labels choose features, or means, or epochs, and this fails."""
    train, test = split
    labels = people.labels.copy()
    labels[test] = ~labels[test]
    found, about = fits.fit(prepare(people, monkeypatch), train, test, labels, RUN, has_sites=True)
    before, chosen = fitted
    assert set(found) == set(before) == set(of.MODELS) - {of.BEST_EPOCH}
    changed = {name for name in found if not np.array_equal(found[name], before[name])}
    assert changed == {of.SELECTED}
    assert about["epochs"] == chosen["epochs"]
    assert np.array_equal(about["by_epoch"], chosen["by_epoch"])
    # The best test epoch is chosen by the labels of the tested, which is what makes it a leak.
    truth = people.labels[test]
    by_epoch = about["by_epoch"][:, test]
    assert fits.best_of_epochs(by_epoch, truth)[0] >= max(fits.auc(truth, logits) for logits in by_epoch)


def test_epochs_are_chosen_in_the_training_part(people, split):
    """Labels of the tested are NaN: a loss that read one would be NaN, and no epoch better than the first."""
    train, test = split
    training = dataclasses.replace(RUN.training, epochs=20)
    x = torch.from_numpy(people.features).float()
    labels, chosen = torch.from_numpy(people.labels).float(), []
    for known in (labels, labels.index_fill(0, torch.from_numpy(test), torch.nan)):
        torch.manual_seed(0)
        network = PopulationNetwork("none", 12, 4, 1, 0.0, offset=False)
        inputs = x, (torch.empty(2, 0), torch.empty(0)), torch.zeros(()), torch.zeros(len(people))
        chosen.append(choose_epoch(network, inputs, train, known, training, 0))
    assert chosen[0] == chosen[1] > 1


def test_a_label_of_the_tested_in_selection_would_be_noticed(people, split, fitted, monkeypatch):
    """The same with the leak put into the honest row: the comparison above is not blind."""
    train, test = split
    honest = fits._selected
    everybody = np.concatenate([train, test])
    monkeypatch.setattr(fits, "_selected", lambda data, _, *rest: honest(data, everybody, *rest))
    labels = people.labels.copy()
    labels[test] = ~labels[test]
    found, _ = fits.fit(prepare(people, monkeypatch), train, test, labels, RUN, has_sites=True)
    assert not np.array_equal(found[of.SELECTED_INSIDE], fitted[0][of.SELECTED_INSIDE])


def test_rows_that_are_not_transductive_read_no_feature_of_others_who_are_tested(people, split, fitted, monkeypatch):
    train, test = split
    features, known = people.features.copy(), {name: column.copy() for name, column in people.phenotypes.items()}
    features[test[1:]] += np.random.default_rng(0).standard_normal(features[test[1:]].shape)
    known["age"][test[1:]] = 33.0
    other = dataclasses.replace(people, features=features, phenotypes=known)
    found, _ = fits.fit(prepare(other, monkeypatch), train, test, people.labels, RUN, has_sites=True)
    kept = [*train, test[0]]
    same = {
        name for name in found if np.allclose(found[name][kept], fitted[0][name][kept], rtol=1e-4, atol=1e-4)
    }  # networks: float32
    assert same.isdisjoint(of.TRANSDUCTIVE)
    assert set(found) - same - set(of.TRANSDUCTIVE) == {of.SELECTED}  # which reads whom it should not


def test_leave_one_out_is_what_leaving_one_out_gives(people):
    train, labels = np.arange(0, 60, 2), people.labels
    kernel = center(people.features @ people.features.T, train)
    found = kernel_ridge(kernel, train, labels, alphas=(0.3,))
    penalty = 0.3 * np.trace(kernel[np.ix_(train, train)]) / len(train)
    x, y = people.features - people.features[train].mean(0), labels.astype(float)
    for place, person in enumerate(train):
        rest = np.delete(train, place)
        mean = y[rest].mean()
        # All anew: the mean that is subtracted, the intercept, the weights.
        others = x[rest] - x[rest].mean(0)
        weights = np.linalg.solve(others.T @ others + penalty * np.eye(12), others.T @ (y[rest] - mean))
        left_out = (x[person] - x[rest].mean(0)) @ weights + mean
        assert found.scores[person] == pytest.approx(left_out - 0.5, abs=1e-10)
    weights = np.linalg.solve(x[train].T @ x[train] + penalty * np.eye(12), x[train].T @ (y[train] - y[train].mean()))
    outside = np.setdiff1d(np.arange(64), train)
    assert np.allclose(found.scores[outside], x[outside] @ weights + y[train].mean() - 0.5, atol=1e-10)


def test_alpha_is_chosen_where_shortcuts_take_the_first(people):
    """Of noise a large penalty is best; RidgeClassifierCV by accuracy and the usual shortcut take the smallest."""
    generator = np.random.default_rng(0)
    noise, labels = generator.standard_normal((64, 200)), people.labels
    everybody = np.arange(64)
    kernel = center(noise @ noise.T, everybody)
    assert kernel_ridge(kernel, everybody, labels).alpha >= 1
    theirs = RidgeClassifierCV(alphas=[1e-3, 1.0, 1e3], scoring="accuracy").fit(noise, labels)
    assert (theirs.alpha_, theirs.best_score_) == (1e-3, 1.0)
    errors = []
    for alpha in ALPHAS:
        inverse = np.linalg.inv(kernel + alpha * np.trace(kernel) / 64 * np.eye(64))
        errors.append(np.mean((inverse @ (labels - labels.mean()) / np.diag(inverse)) ** 2))
    assert int(np.argmin(errors)) == 0


def test_centring_is_that_of_features(people):
    x, train = people.features, np.arange(40)
    sites = np.unique(people.phenotypes["site"], return_inverse=True)[1]
    kernel = x @ x.T
    z = x - x[train].mean(0)
    assert np.allclose(center(kernel, train), z @ z.T, atol=1e-10)
    for own in (False, True):
        z, only = x.copy(), train[sites[train] != 3]  # nobody of site 3 is trained on
        for site in range(4):
            of_site = np.flatnonzero(sites == site)
            counted = of_site if own else np.intersect1d(of_site, only)
            z[of_site] -= x[counted if len(counted) else only].mean(0)
        assert np.allclose(center(kernel, only, sites, own), z @ z.T, atol=1e-10)
    assert np.allclose(center(kernel, train, sites, own=True), site_filter(kernel, sites, 1.0), atol=1e-10)


def test_what_makes_harmonisers_fail_is_no_nan_here(monkeypatch):
    """A constant feature, a site of one person, an unseen site, a site without a name."""
    people = planted_population(people=40, features=6, sites=4)
    site = people.phenotypes["site"].copy()
    site[:3] = ["alone", "", "unseen"]
    features = np.column_stack([people.features, np.ones(40)])
    other = dataclasses.replace(people, features=features, feature_names=(*people.feature_names, "one"),
                                phenotypes={**people.phenotypes, "site": site})  # fmt: skip
    data = prepare(other, monkeypatch)
    test = np.array([2, *range(20, 30)])
    found, _ = fits.fit(data, np.setdiff1d(np.arange(40), test), test, people.labels, RUN, has_sites=True)
    assert all(np.isfinite(values).all() for values in found.values())
    assert set(site_folds(site, people.labels)) == {"site 0", "site 1", "site 2", "site 3"}
    with pytest.raises(ValueError, match="1 sites have people of both classes"):
        site_folds(np.array(["A"] * 40), people.labels)


def test_folds_hold_everybody_once_and_both_classes():
    labels = np.arange(53) % 3 == 0
    for seed in range(5):
        folds = stratified_folds(labels, 10, seed)
        assert sorted(np.concatenate(folds).tolist()) == list(range(53))
        assert {int(labels[fold].sum()) for fold in folds} <= {1, 2}
        assert {len(fold) for fold in folds} <= {5, 6}
    assert not np.array_equal(stratified_folds(labels, 10, 0)[0], stratified_folds(labels, 10, 1)[0])
    with pytest.raises(ValueError, match="18 people of a class for 20 folds"):
        stratified_folds(labels, 20, 0)
    train = np.arange(10, 50)
    rest, held_out = inner_split(train, labels, 0)
    assert sorted([*rest, *held_out]) == train.tolist()
    assert len(held_out) == 8


def test_auc_is_scikit_learns_with_ties():
    generator = np.random.default_rng(0)
    truth, scores = generator.random(50) < 0.4, generator.integers(0, 6, 50).astype(float)
    assert fits.auc(truth, scores) == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    with pytest.raises(ValueError, match="scores hold NaN"):
        fits.auc(truth, np.full(50, np.nan))


def test_views_of_correlations():
    generator = np.random.default_rng(0)
    signals = generator.standard_normal((3, 5, 12))
    r = np.stack([np.corrcoef(each) for each in signals])
    upper = r[(slice(None), *np.triu_indices(5, 1))]
    assert np.allclose(matrices(upper), r, atol=1e-15)
    exact = np.stack([logm(0.3 * each + 0.7 * np.eye(5)) for each in r])
    flat = logarithm(upper, shrink=0.7)
    assert np.allclose(flat @ flat.T, np.einsum("aij,bij->ab", exact, exact), atol=1e-10)  # an isometry
    assert np.allclose(fisher(upper), np.arctanh(upper), atol=1e-12)
    assert np.isfinite(fisher(np.ones((1, 3)))).all()
    assert np.allclose(profile(upper).std(1), 1)
    assert set(views(upper, True)) == set(views(upper * 9, False))
    with pytest.raises(ValueError, match="4 features are no upper triangle"):
        matrices(np.zeros((1, 4)))
    with pytest.raises(ValueError, match="no correlations; expected -1 to 1"):
        matrices(np.full((1, 3), 1.5))
    with pytest.raises(ValueError, match=r"person 1: an eigenvalue of -0\.8"):
        logarithm(np.array([[0.0, 0, 0], [0.9, 0.9, -0.9]]), shrink=0.0)


def test_a_gaussian_kernel_is_centred_and_wide_as_the_median():
    x = np.random.default_rng(0).standard_normal((12, 3))
    train = np.arange(8)
    found = gaussian(x @ x.T, train)
    squared = ((x[:, None] - x) ** 2).sum(2)
    assert np.allclose(found, center(np.exp(-squared / (2 * np.median(squared[:8, :8]))), train), atol=1e-12)
    assert np.allclose(found[:, train].sum(1), 0, atol=1e-12)


def test_an_offset_of_a_network_is_learnt_from_left_out_scores(people, split):
    """The same seed, the same numbers; and what is added changes the scores of everybody."""
    train, _ = split
    graph, x = population_graph(people, 4, within={"age": 2}), people.features
    once, again = (learn("chebyshev", x, graph, train, people.labels, RUN.training, 0) for _ in range(2))
    assert np.array_equal(once.scores, again.scores)
    assert np.array_equal(once.scores, once.by_epoch[-1])
    every = learn("chebyshev", x, graph, train, people.labels, RUN.training, 0, all_epochs=True)
    assert np.array_equal(every.by_epoch[every.epoch - 1], once.scores)
    added = learn("chebyshev", x, graph, train, people.labels, RUN.training, 0, offset=people.features[:, 0])
    assert not np.allclose(added.scores, once.scores)


def test_repeated_folds_are_fewer_than_they_seem():
    d = np.random.default_rng(0).normal(0.01, 0.03, 100)
    mean, error, p = corrected_t(d, 0.1)
    assert (mean, error) == (pytest.approx(d.mean()), pytest.approx(np.sqrt((1 / 100 + 1 / 9) * d.var(ddof=1))))
    assert p == pytest.approx(2 * stats.t.sf(mean / error, 99))
    assert p > 30 * stats.ttest_1samp(d, 0).pvalue
    assert corrected_t(np.zeros(10), 0.1) == (0, 0, 1)
    with pytest.raises(ValueError, match=r"test_share=1; expected"):
        corrected_t(d, 1)


def test_sites_are_the_units_of_a_test_by_site():
    d = np.array([0.1, -0.2, 0.3, 0.05])
    assert weighted_t(d, np.full(4, 7.0))[2] == pytest.approx(paired_t(d))
    mean, error, _ = weighted_t(d, np.array([1.0, 2, 3, 4]))
    w = np.array([1.0, 2, 3, 4]) / 10
    assert mean == pytest.approx(w @ d)
    assert error == pytest.approx(np.sqrt(4 / 3 * ((w * (d - mean)) ** 2).sum()))
    assert weighted_t(np.ones(4), np.ones(4))[2] == 1
