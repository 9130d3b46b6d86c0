"""The study of the evolving graph: evaluators by definition, strict histories, and leaks that are seen."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from studies.social_graph import heuristics, live
from studies.social_graph.candidates import draw
from studies.social_graph.choice import BestSoFar
from studies.social_graph.classifiers import balanced, classifier_scores, make_classifier, reciprocal_rank, trained
from studies.social_graph.features import NODE, PAIR, node_features, pair_features
from studies.social_graph.history import DAY, DECAYS, WEEK, Events
from studies.social_graph.live import LiveNetwork, rank_loss
from studies.social_graph.network import PairNetwork
from studies.social_graph.planted import planted
from studies.social_graph.ranking import evaluate, evaluate_slowly, week_query
from studies.social_graph.runs import EVOLVING, NETWORKS, SHORT, SocialRun
from studies.social_graph.stream import pairs_at
from studies.social_graph.streaming import questions, score_stream, score_stream_slowly
from studies.social_graph.structure import adjacency, pagerank, two_steps, walk
from studies.social_graph.weeks import inputs_of_week

RNG = np.random.default_rng(0)


def log(events=300, nodes=12, weeks=5, seed=0):
    """Contacts at few moments, so that many are of the same one, some with oneself, and a node that is never seen."""
    rng = np.random.default_rng(seed)
    time = np.sort(rng.integers(0, 40, events)) * (weeks * WEEK / 40)
    return Events(rng.integers(0, nodes - 1, events), rng.integers(0, nodes - 1, events), time, nodes)


def run(model="GCN → GRU + recency", **options):
    return SocialRun("made up", "", WEEK, "live", model, hidden=8, state=4, steps=2, **options)


# Evaluators


@pytest.mark.parametrize("negatives", [4, 1000])
def test_ranks_are_those_of_the_definition(negatives):
    events = log()
    for week in range(1, 5):
        query = week_query(events, week, WEEK, negatives)
        scores = RNG.integers(0, 4, (len(query.source), events.nodes)) / 2  # many ties
        fast, slow = evaluate(scores, query), evaluate_slowly(scores, query)
        assert fast == pytest.approx(slow, abs=1e-12, nan_ok=True)


def test_ties_get_the_mean_rank_and_nan_is_refused():
    query = week_query(log(), 2, WEEK)
    flat = np.zeros((len(query.source), 12))
    others = np.array([(query.negatives[row] >= 0).sum() for row in query.row])
    assert evaluate(flat, query)["edge MRR"] == pytest.approx((1 / (1 + others / 2)).mean())
    flat[0, 3] = np.nan
    with pytest.raises(ValueError, match=r"scores\[0, 3\]=nan; expected finite"):
        evaluate(flat, query)
    with pytest.raises(ValueError, match=r"scores has shape \[1, 12\]"):
        evaluate(flat[:1], query)


def test_negatives_are_neither_the_source_nor_its_positives_and_none_comes_twice():
    events = log()
    query = week_query(events, 2, WEEK)
    for row, source in enumerate(query.source):
        drawn = query.negatives[row][query.negatives[row] >= 0]
        positives = set(query.target[query.row == row].tolist())
        assert set(drawn.tolist()) == set(range(12)) - positives - {int(source)}
        assert len(drawn) == len(set(drawn.tolist()))
    assert (query.source[query.row] != query.target).all()
    again = week_query(events, 2, WEEK)
    assert (again.negatives == query.negatives).all()


def test_streaming_scores_are_those_of_the_definition():
    events = log()
    query = questions(events, WEEK, 4 * WEEK, negatives=3)
    own = RNG.integers(0, 5, len(query.source)) / 2
    scores = [RNG.integers(0, 5, (len(own), 3)) / 2 for _ in range(2)]
    assert score_stream(own, *scores, query) == pytest.approx(score_stream_slowly(own, *scores, query), abs=1e-12)
    own[0] = np.nan
    with pytest.raises(ValueError, match="NaN has no rank"):
        score_stream(own, *scores, query)


def test_streaming_negatives_keep_the_source_and_what_is_written_now_is_none():
    events = log(900)
    query = questions(events, WEEK, 4 * WEEK, negatives=5)
    for q, (i, t) in enumerate(zip(query.source, query.time, strict=True)):
        now = set(events.target[(events.source == i) & (events.time == t)].tolist())
        before = events.time < t
        written = set(events.target[(events.source == i) & before].tolist())
        drawn = query.historical[q][query.historical[q] >= 0].tolist()
        assert set(drawn) <= written - now - {i}
        assert len(drawn) == min(5, len(written - now - {i})) == len(set(drawn))
        assert not (now | {i}) & set(query.random[q].tolist())
        j = query.target[q]
        either = ((events.source == i) & (events.target == j)) | ((events.source == j) & (events.target == i))
        assert query.met[q] == (either & before).any()


# Features


def test_features_are_those_of_events_strictly_before():
    events = log()
    for moment in (0.0, 2 * WEEK, float(events.time[100]), 1e9):
        for i, j in ((0, 1), (3, 2), (5, 11), (11, 11)):
            past = [(a, b, t) for a, b, t in zip(events.source, events.target, events.time, strict=True) if t < moment]
            forth = [t for a, b, t in past if (a, b) == (i, j)]
            (pair,) = pair_features(events, *(np.array([each]) for each in (i, j)), np.array([moment]))
            (node,) = node_features(events, np.array([i]), np.array([moment]))
            sent = [t for a, _, t in past if a == i]
            found = dict(zip(PAIR, pair, strict=True)) | dict(zip(NODE, node, strict=True))
            assert found["written"] == bool(forth)
            assert found["log count"] == pytest.approx(np.log1p(len(forth)))
            decayed = sum(np.exp((t - moment) / DECAYS[2]) for t in forth)
            assert found["count, 7 d"] == pytest.approx(np.log1p(decayed), rel=1e-5)
            assert found["log sent"] == pytest.approx(np.log1p(len(sent)))
            assert found["log out-degree"] == pytest.approx(np.log1p(len({b for a, b, _ in past if a == i})))
            assert found["seen"] == any(i in (a, b) for a, b, _ in past)
            if i != j and any({a, b} == {i, j} for a, b, _ in past):
                last = max(place for place, (a, b, _) in enumerate(past) if {a, b} == {i, j})
                since = sum(int(a == i) + int(b == i) for a, b, _ in past[last + 1 :])
                assert found["freshness in source's events"] * 3 == pytest.approx(16 - np.log1p(since), abs=1e-4)


def test_who_has_never_met_has_no_features():
    events = log()
    moments = np.full(3, 2 * WEEK)
    assert not pair_features(events, np.array([11, 0, 11]), np.array([0, 11, 11]), moments).any()
    assert not node_features(events, np.array([11]), moments[:1])[0, : NODE.index("log out-degree")].any()


def test_walks_and_common_contacts():
    events = Events(np.array([0, 1, 3]), np.array([1, 2, 1]), np.array([0.0, 1.0, 2.0]), 5)
    weights = adjacency(events, 3.0, 1e12)
    step = walk(weights).toarray()
    exact = sum(0.15 * 0.85**k * np.linalg.matrix_power(step, k) for k in range(1, 9))
    assert pagerank(weights, np.arange(5)) == pytest.approx(exact)
    assert two_steps(weights, np.array([0]))[0, 2] == pytest.approx(1 / np.log1p(3))
    assert not adjacency(events, 1.0, 1e12).toarray()[1].any()  # what happens at the moment itself is not before it


# Leaks


def changed(events, moment):
    """The same log with everything from a moment on made another."""
    later = events.time >= moment
    source, target = events.source.copy(), events.target.copy()
    source[later], target[later] = RNG.permutation(source[later]), RNG.permutation(target[later])
    assert later.any()
    return dataclasses.replace(events, source=source, target=target)


def same(one, other):
    return all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in ("node", "row", "column", "pair", "near")
    )


def test_no_feature_of_a_week_knows_the_week_and_a_leak_is_seen(monkeypatch):
    events = log()
    query = week_query(events, 3, WEEK)
    other = changed(events, query.start)
    assert same(inputs_of_week(events, query), inputs_of_week(other, query))
    monkeypatch.setattr(Events, "until", lambda self, time: self)  # a later event is put in
    assert not same(inputs_of_week(events, query), inputs_of_week(other, query))


def test_no_feature_of_a_moment_knows_it_and_a_leak_is_seen():
    events = log()
    moment = float(events.time[200])
    ends = np.arange(11), np.roll(np.arange(11), 1)
    for when, equal in ((moment, True), (np.nextafter(moment, np.inf), False)):
        made = [pairs_at(each, *ends, np.full(11, when), WEEK) for each in (events, changed(events, moment))]
        assert np.array_equal(made[0].rows, made[1].rows) == equal


def test_a_network_answers_a_week_without_knowing_it(monkeypatch):
    made = planted(20, 5, 60).events

    def answer(events):
        torch.manual_seed(0)
        weeks = [inputs_of_week(events, week_query(made, 1, WEEK)), inputs_of_week(events, week_query(made, 2, WEEK))]
        asked = [dataclasses.replace(weeks[0]), inputs_of_week(events, week_query(made, 3, WEEK))]
        return LiveNetwork(run(), events, (weeks[0], weeks[1], asked[1])).answer(2)

    other = changed(made, 3 * WEEK)
    assert np.array_equal(answer(made), answer(other))
    snapshot = live.snapshot
    monkeypatch.setattr(live, "snapshot", lambda events, width, week: snapshot(events, width, week + 1))
    assert not np.array_equal(answer(made), answer(other))


# Networks


@pytest.mark.parametrize("model", [model for model in NETWORKS if not model.startswith("GRU on")])
def test_all_scores_are_those_of_single_pairs(model):
    events = planted(15, 4, 50).events
    week = inputs_of_week(events, week_query(events, 3, WEEK))
    torch.manual_seed(0)
    network = PairNetwork(run(model)).eval()
    torch.nn.init.normal_(network.readout.weight)
    torch.nn.init.normal_(network.product.weight)
    node, states = torch.from_numpy(week.node), torch.randn(15, 4)
    met = tuple(map(torch.from_numpy, (week.row, week.column, week.pair)))
    source = torch.from_numpy(week.query.source)
    scores = network.all_scores(source, node, torch.from_numpy(week.near), met, states)
    some = draw(week, 15, np.random.default_rng(0))
    alone = network(node[some.source], node[some.target], some.pair, (states[some.source], states[some.target]))
    assert torch.allclose(scores[some.row, some.target], alone, atol=1e-4)  # float32


def test_training_begins_at_the_recency_score():
    events = planted(15, 4, 50).events
    week = inputs_of_week(events, week_query(events, 3, WEEK))
    network = PairNetwork(run()).eval()
    some = draw(week, 15, np.random.default_rng(0))
    node, states = torch.from_numpy(week.node), torch.randn(15, 4)
    alone = network(node[some.source], node[some.target], some.pair, (states[some.source], states[some.target]))
    assert torch.equal(alone, network.heuristic(some.pair, node[some.target]))


@pytest.mark.parametrize("model", [*SHORT.values(), EVOLVING])
def test_states_do_not_know_numbers_and_without_edges_nothing_of_others(model):
    torch.manual_seed(0)
    network = PairNetwork(run(model)).eval()
    x, perm = torch.randn(3, 6, len(NODE)), torch.randperm(6)
    edges = [torch.randint(6, (2, 9)) for _ in range(3)]
    weights = [torch.rand(9) for _ in range(3)]
    place = torch.empty_like(perm).index_copy(0, perm, torch.arange(6))
    h, moved = network.states(x, edges, weights), network.states(x[:, perm], [place[e] for e in edges], weights)
    assert torch.allclose(h[perm], moved, atol=1e-6)
    network.edges = False
    alone = network.states(x, edges, weights)
    x[:, 1:] = 0
    assert torch.allclose(network.states(x, edges, weights)[0], alone[0], atol=1e-6)
    assert not torch.allclose(h[0], alone[0])


def test_training_begins_at_the_fixed_sum_and_as_much_is_added_as_the_past_recommends():
    events = planted(15, 5, 50).events
    weeks = tuple(inputs_of_week(events, week_query(events, week, WEEK)) for week in range(1, 5))
    learner = LiveNetwork(run("no edges + sum"), events, weeks)
    nothing, *_, everything = LiveNetwork.shared(learner, 0)
    assert np.array_equal(nothing, everything)
    week = weeks[0]
    learner.network.eval()
    met = tuple(map(torch.from_numpy, (week.row, week.column, week.pair)))
    source, near = torch.from_numpy(week.query.source), torch.from_numpy(week.near)
    scores = learner.network.all_scores(source, learner.node[0], near, met, learner.states(0)).numpy()
    other = np.arange(15) != week.query.source[:, None]
    assert scores[other] == pytest.approx(nothing[other], abs=2e-2)  # of 1e-3 messages, where nobody has any


def test_a_choice_is_of_the_weeks_before_and_a_leak_is_seen():
    events = planted(20, 6, 80).events
    weeks = tuple(inputs_of_week(events, week_query(events, week, WEEK)) for week in range(1, 6))
    walks = [week.dense("walks, 28 d").astype(np.float64) for week in weeks]

    def chosen(asked, place):
        best = BestSoFar(
            lambda at: [-walks[at], walks[at]], lambda scores, at: evaluate(scores, asked[at].query)["edge MRR"]
        )
        assert np.array_equal(best.answer(place), [-walks[place], walks[place]][best.chosen[0]])
        return best.chosen[0]

    def turned(week):  # the week as it would be if everybody wrote to those who are far
        far = week.dense("walks, 28 d").argmin(1)
        return dataclasses.replace(week, query=dataclasses.replace(week.query, target=far[week.query.row]))

    assert chosen(weeks, 3) == chosen((*weeks[:3], turned(weeks[3]), turned(weeks[4])), 3) == 1
    assert chosen((*map(turned, weeks[:3]), *weeks[3:]), 3) == 0


def test_the_loss_is_one_minus_the_reciprocal_rank_where_scores_are_far_apart():
    events = planted(15, 4, 50).events
    week = inputs_of_week(events, week_query(events, 3, WEEK))
    some = draw(week, 15, np.random.default_rng(0))  # all of them, each for itself
    dense = RNG.permuted(np.tile(np.arange(15.0), (len(week.query.source), 1)), axis=1)
    scores = torch.from_numpy(40 * dense).float()[some.row, some.target]
    expected = evaluate(dense, week.query)["all-nodes MRR"]
    assert 1 - rank_loss(scores, some, 0.0).item() == pytest.approx(expected, abs=1e-5)
    rows = torch.tensor([0, 2])
    part = some.of(rows)
    assert torch.equal(part.target, some.target[torch.isin(some.row, rows)])
    assert part.row.unique().tolist() == [0, 1]


# Classifiers


def test_positives_of_boosted_trees_weigh_as_much_as_all_negatives_do():
    right = np.array([True, False, False, True, False])
    found = balanced(np.array([1, 30, 1, 1, 5], dtype=np.float32), right)
    assert found.tolist() == [18, 30, 1, 18, 5]
    none = np.zeros(2, dtype=bool)
    assert balanced(np.ones(2, dtype=np.float32), none).tolist() == [1, 1]


def test_trees_are_judged_by_the_rank_among_candidates():
    events = planted(60, 5, 200, seed=2).events
    weeks = tuple(inputs_of_week(events, week_query(events, week, WEEK)) for week in range(1, 5))
    own = run("logistic regression", candidates=60)  # all nodes, each for itself
    learnt = trained(own, weeks, 3)
    expected = evaluate(classifier_scores(learnt, weeks[3]), weeks[3].query)["all-nodes MRR"]
    assert reciprocal_rank(own, weeks, learnt, 3) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("model", ["logistic regression", "boosted trees"])
def test_a_classifier_scores_nodes_that_nobody_saw_alike_and_better_than_at_random(model):
    made = planted(60, 5, 200, seed=2).events
    events = dataclasses.replace(made, nodes=64)  # four more who never write
    weeks = tuple(inputs_of_week(events, week_query(events, week, WEEK)) for week in range(1, 5))
    scores = classifier_scores(trained(run(model), weeks, 3), weeks[3])
    assert scores.shape == (len(weeks[3].query.source), 64)
    assert (scores[:, 60:] == scores[:, 60:61]).all()
    assert (
        evaluate(scores, weeks[3].query)["edge MRR"]
        > 2 * evaluate(RNG.random(scores.shape), weeks[3].query)["edge MRR"]
    )


def test_logistic_regression_does_not_follow_a_column_beyond_what_it_has_seen():
    x = RNG.normal(size=(400, 2))
    x[:, 1] = RNG.random(400) < 0.01  # nearly constant
    learnt = make_classifier("logistic regression", 0).fit(x, x[:, 0] + x[:, 1] > 0)
    inside, beyond = (learnt.decision_function(np.array([[0.0, value]])) for value in (1.0, 1000.0))
    assert inside == beyond


def test_scores_of_classifiers_are_not_tied_where_probabilities_are_one(monkeypatch):
    events = planted(60, 5, 200, seed=2).events
    weeks = tuple(inputs_of_week(events, week_query(events, week, WEEK)) for week in range(1, 5))

    def sure(self, x):
        return 60.0 + np.asarray(x).sum(1)

    monkeypatch.setattr(LogisticRegression, "decision_function", sure)
    scores = classifier_scores(trained(run("logistic regression"), weeks, 3), weeks[3])
    assert len(np.unique(scores)) > 10


# Data and heuristics


def test_nothing_beats_the_probabilities_that_drew_the_weeks():
    made = planted(40, 8, 300, seed=1)
    best, fixed = [], []
    for week in range(2, 8):
        query = week_query(made.events, week, WEEK)
        inputs = inputs_of_week(made.events, query)
        best.append(evaluate(made.probability[week][query.source], query)["edge MRR"])
        fixed.append(evaluate(heuristics.score("fixed sum", inputs.dense, RNG), query)["edge MRR"])
    assert np.mean(best) > np.mean(fixed) + 0.01
    assert all(np.allclose(rows.sum(1), 1) for rows in made.probability.values())


def test_the_fixed_sum_is_what_it_says():
    events = log()
    query = week_query(events, 3, WEEK)
    week = inputs_of_week(events, query)
    last = np.zeros((12, 12))
    past = events.until(query.start)
    last[past.source, past.target] = np.exp((past.time - query.start) / (7 * DAY))
    walks = pagerank(adjacency(events, query.start, 28 * DAY), query.source)
    popular = np.bincount(past.target, np.exp((past.time - query.start) / (7 * DAY)), 12)
    expected = np.maximum(last, last.T)[query.source] + 0.03 * walks + 1e-4 * popular
    found = heuristics.score("fixed sum", week.dense, RNG)
    other = np.arange(12) != query.source[:, None]
    assert found[other] == pytest.approx(expected[other], rel=1e-4, abs=1e-7)  # features are float32
