"""Signals and events as histories: stand-ins with the fields that the packages' own classes have."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch_geometric.data import TemporalData

from gnnseq.data.signals import from_temporal_data, from_temporal_signal
from gnnseq.layers import TemporalGCN

T, N, F = 4, 5, 2
RANDOM = np.random.default_rng(0)
EDGES = [RANDOM.integers(0, N, (2, size)) for size in (3, 0, 6, 2)]
WEIGHTS = [RANDOM.random(edges.shape[1]) for edges in EDGES]
X, Y = [RANDOM.random((N, F)) for _ in range(T)], [RANDOM.random(N) for _ in range(T)]
BATCH, SAME, CROSS = np.array([0, 0, 1, 1, 1]), ("a", "to", "a"), ("a", "in", "b")


def of_types(value):
    return {"a": value, "b": np.ones((2, F))}


def of_relations(value):
    return {SAME: value, CROSS: np.array([[0], [1]])}


def signal(**fields):
    return SimpleNamespace(**{"targets": Y, "additional_feature_keys": [], **fields})


STATIC = {"edge_index": EDGES[2], "edge_weight": WEIGHTS[2], "features": X}
DYNAMIC = {"edge_indices": EDGES, "edge_weights": WEIGHTS, "features": X}
SIGNALS = {
    "static": signal(**STATIC),
    "static, batches": signal(**STATIC, batches=BATCH),
    "static, several types": SimpleNamespace(
        edge_index_dict=of_relations(EDGES[2]),
        edge_weight_dict={SAME: WEIGHTS[2]},
        feature_dicts=[of_types(x) for x in X],
        target_dicts=[{"a": y} for y in Y],
        batch_dict={"a": BATCH},
        additional_feature_keys=[],
    ),
    "dynamic": signal(**DYNAMIC),
    "dynamic, static features": signal(edge_indices=EDGES, edge_weights=WEIGHTS, feature=X[0]),
    "dynamic, batches": signal(**DYNAMIC, batches=[BATCH] * T),
    "dynamic, several types": SimpleNamespace(
        edge_index_dicts=[of_relations(edges) for edges in EDGES],
        edge_weight_dicts=[{SAME: weight} for weight in WEIGHTS],
        feature_dicts=[of_types(x) for x in X],
        target_dicts=[{"a": y} for y in Y],
        batch_dicts=[{"a": BATCH}] * T,
        additional_feature_keys=[],
    ),
    "dynamic, static features, several types": SimpleNamespace(
        edge_index_dicts=[of_relations(edges) for edges in EDGES],
        edge_weight_dicts=[{SAME: weight} for weight in WEIGHTS],
        feature_dict=of_types(X[0]),
        target_dicts=[{"a": y} for y in Y],
        additional_feature_keys=[],
    ),
}


@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_is_what_a_layer_takes(name):
    history = from_temporal_signal(SIGNALS[name])
    x = [X[0]] * T if "static features" in name else X
    assert torch.equal(history.x, torch.tensor(np.stack(x)).float())
    assert torch.equal(history.y, torch.tensor(np.stack(Y)).float())
    if name.startswith("static"):
        assert torch.equal(history.edge_index, torch.tensor(EDGES[2]))
        assert torch.equal(history.edge_weight, torch.tensor(WEIGHTS[2]).float())
    else:
        for t in range(T):
            assert torch.equal(history.edge_index[t], torch.tensor(EDGES[t]))
            assert torch.equal(history.edge_weight[t], torch.tensor(WEIGHTS[t]).float())
    batch = history.extra.get("batch")
    assert batch is None or torch.equal(batch.view(-1, N)[-1], torch.tensor(BATCH))
    assert TemporalGCN(F, 4, 1)(*history[:3])[0].shape == (T, N, 1)


def test_windows_as_of_sensors():
    """Snapshots [N, F, P] with targets [N, P], as METR-LA's loader makes them."""
    x, y = RANDOM.random((7, N, F, 12)), RANDOM.random((7, N, 12))
    history = from_temporal_signal(signal(**{**STATIC, "features": list(x)}, targets=list(y)))
    assert torch.equal(history.x, torch.tensor(x).permute(0, 3, 1, 2).float())
    assert history.y.shape == (7, N, 12)
    assert TemporalGCN(F, 4, 1)(*history[:3])[0].shape == (7, 12, N, 1)


def test_what_may_be_missing():
    history = from_temporal_signal(
        signal(**{**STATIC, "edge_weight": None, "features": np.stack(X)}, targets=[None] * T)
    )
    assert history.edge_weight is None
    assert history.y is None
    few = signal(**{**DYNAMIC, "edge_indices": [None, *EDGES[1:]], "edge_weights": [None] * 3 + [WEIGHTS[3]]})
    few.targets = [None, *(y.astype(int) for y in Y[1:])]
    history = from_temporal_signal(few)
    assert history.edge_index[0].shape == (2, 0)
    assert [weight is None for weight in history.edge_weight] == [True, True, True, False]
    assert [None if y is None else y.dtype for y in history.y] == [None] + [torch.int64] * 3
    assert from_temporal_signal(signal(**{**DYNAMIC, "edge_weights": [None] * T})).edge_weight is None


def test_more_features_and_flat_ones_are_kept():
    hours = [np.array([t]) for t in range(T)]
    history = from_temporal_signal(
        signal(**{**STATIC, "features": [x[:, 0] for x in X]}, hour=hours, additional_feature_keys=["hour"])
    )
    assert history.x.shape == (T, N, 1)
    assert torch.equal(history.extra["hour"], torch.arange(T).view(T, 1))


def test_a_history_is_no_view_of_the_signals_arrays():
    edges = EDGES[2].copy()
    history = from_temporal_signal(signal(**{**STATIC, "edge_index": edges}))
    edges[:] = 0
    assert torch.equal(history.edge_index, torch.tensor(EDGES[2]))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (TemporalData(), "TemporalData and has none of edge_index"),
        (SimpleNamespace(x=1), "signal is a SimpleNamespace and has none of edge_index, edge_indices"),
        (signal(**{**STATIC, "features": X[:3]}), r"signal has \[3, 4\] snapshots"),
        (signal(**{**STATIC, "features": []}, targets=[]), r"signal has \[0\] snapshots"),
        (signal(**{**STATIC, "features": [*X[:3], None]}), "step 3: signal has no features"),
        (signal(**{**STATIC, "features": [*X[:3], X[3][:4]]}), r"step 3: features have shape \[4, 2\]"),
        (signal(**{**DYNAMIC, "edge_indices": [*EDGES[:2], EDGES[2] + N, EDGES[3]]}), "step 2: edge_index holds node"),
        (signal(**{**DYNAMIC, "edge_weights": [*WEIGHTS[:3], WEIGHTS[0]]}), r"step 3: edge_weight has shape \[3\]"),
        (signal(**{**DYNAMIC, "edge_weights": WEIGHTS[:3]}), "signal has 3 edge weights and 4 snapshots"),
        (signal(**{**DYNAMIC, "features": [np.ones((N, F, 3))] * T}), "expected one graph of all windows"),
        (signal(**{**STATIC, "edge_weight": np.ones((6, 2))}), r"edge_weight has shape \[6, 2\]; expected \[6\]"),
    ],
)
def test_what_is_no_signal_is_refused(given, words):
    with pytest.raises(ValueError, match=words):
        from_temporal_signal(given)


def test_a_relation_is_chosen():
    two = SIGNALS["static, several types"]
    assert torch.equal(from_temporal_signal(two, SAME).edge_index, torch.tensor(EDGES[2]))
    for relation in (CROSS, ("a", "no", "a")):
        with pytest.raises(ValueError, match=r"expected one between nodes of one type: \('a', 'to', 'a'\)"):
            from_temporal_signal(two, relation)
    with pytest.raises(ValueError, match="all join two types of nodes"):
        from_temporal_signal(SimpleNamespace(**{**vars(two), "edge_index_dict": {CROSS: EDGES[2]}}))
    with pytest.raises(ValueError, match="signal has one type of edges"):
        from_temporal_signal(SIGNALS["static"], SAME)


def events(**fields):
    """Six events, stored in no order; two at one time."""
    own = {
        "src": [0, 3, 1, 2, 0, 1],
        "dst": [1, 3, 2, 0, 2, 0],
        "t": [50, 10, 30, 10, 99, 20],
        "msg": [[1.0], [2.0], [4.0], [8.0], [16.0], [32.0]],
        "y": [0, 1, 0, 1, 0, 1],
    } | fields
    return TemporalData(**{name: None if value is None else torch.tensor(value) for name, value in own.items()})


def test_events_are_sorted_into_bins_stably():
    history = from_temporal_data(events(), bins=[0, 20, 50, 100])
    assert [edges.tolist() for edges in history.edge_index] == [[[3, 2], [3, 0]], [[1, 1], [0, 2]], [[0, 0], [1, 2]]]
    assert [y.tolist() for y in history.y] == [[1, 1], [1, 0], [0, 0]]
    assert [t.tolist() for t in history.extra["t"]] == [[10, 10], [20, 30], [50, 99]]
    assert [m.flatten().tolist() for m in history.extra["msg"]] == [[2, 8], [32, 4], [1, 16]]
    # Of each node the messages it took part in, a loop's once.
    assert history.x.squeeze(2).tolist() == [[8, 0, 8, 2], [32, 36, 4, 0], [17, 1, 16, 0]]
    assert history.edge_weight is None
    assert TemporalGCN(1, 4, 2)(*history[:3])[0].shape == (3, 4, 2)


@pytest.mark.parametrize("bins", [1, 2, 5, np.int64(7), torch.tensor(3)])
@pytest.mark.parametrize("scale", [1, 0.001, 10**16])
def test_bins_by_number_are_equally_wide(bins, scale):
    data = events(t=[t * scale for t in [50, 10, 30, 10, 99, 20]])
    history = from_temporal_data(data, bins)
    known, _ = np.histogram(np.array([50, 10, 30, 10, 99, 20]), int(bins))
    assert [edges.size(1) for edges in history.edge_index] == known.tolist()
    assert (torch.cat(history.extra["t"]).diff() >= 0).all()


def test_events_at_one_time_are_in_the_first_bin_and_their_number_is_the_feature():
    history = from_temporal_data(events(t=[5] * 6, msg=None), bins=2, num_nodes=6)
    assert [edges.size(1) for edges in history.edge_index] == [6, 0]
    assert history.x.squeeze(2).tolist() == [[4, 3, 3, 1, 0, 0], [0] * 6]
    own = torch.randn(6, 3)
    assert torch.equal(from_temporal_data(events(), 2, 6, own).x, torch.stack([own, own]))


@pytest.mark.parametrize(
    ("data", "named", "words"),
    [
        (events(), {"bins": [0, 20, 50]}, r"t\[4\]=99 is outside of bins, 0 to 50; widen"),
        (events(), {"bins": [0, 20, 20, 100]}, "two increasing times or more"),
        (events(), {"bins": 0}, "bins=0; expected an integer of 1 or more"),
        (events(), {"bins": 2.5}, "bins=2.5; expected an integer"),
        (events(), {"bins": 2, "num_nodes": 3}, "holds node 3; expected 0..2"),
        (events(), {"bins": 2, "x": torch.ones(3, 4, 1)}, r"x has shape \[3, 4, 1\]; expected \[4, F\] or \[2, 4, F\]"),
        (events(t=[1.0, float("nan"), 1, 1, 1, 1]), {"bins": 2}, r"t\[1\] is no finite time"),
        (events(src=[0.5, 1, 1, 1, 1, 1]), {"bins": 2}, "not whole"),
        (events(dst=[1]), {"bins": 2}, "data has 6 src, 1 dst and 6 t"),
        (events(t=None), {"bins": 2}, "data.t is NoneType; expected a tensor"),
    ],
)
def test_events_that_cannot_be_are_refused(data, named, words):
    with pytest.raises(ValueError, match=words):
        from_temporal_data(data, **named)
