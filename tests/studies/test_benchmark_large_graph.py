"""benchmarks/large_graph.py: graphs from files, its quick form, and what a loader of a peer is given."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import tyro
from scipy.sparse import csr_array, save_npz
from torch_geometric.data import Data
from torch_geometric.loader import NodeLoader

import large_graph as script
from gnnseq.layers import GCN
from gnnseq.sampler import GraphDegrees, NeighborSampler
from harness.cli import publish
from studies.large_graph.batches import cluster_batches, sample_loader
from studies.large_graph.fit import _trimmed, fit, whole
from studies.large_graph.graph import LargeGraph
from studies.large_graph.planted import WITHIN, best_scores, planted, rmat
from studies.large_graph.report import checks
from studies.large_graph.runs import LargeRun
from studies.large_graph.sampling import by_masks
from studies.large_graph.sources import own_graph

N = 120
RUN = LargeRun("samples", 0, "", 8, 1, 32, (4, 3), 6)


def files(folder, edges=None, x=None, y=None):
    random = np.random.default_rng(0)
    edges = random.integers(N, size=(2, 500)) if edges is None else edges
    np.save(folder / "edges.npy", edges)
    np.save(folder / "x.npy", random.normal(size=(N, 3)).astype(np.float32) if x is None else x)
    np.save(folder / "y.npy", np.arange(N) % 3 if y is None else y)
    return folder / "edges.npy", folder / "x.npy", folder / "y.npy"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    planted(folder, 3000, 60000)
    return LargeGraph.load(folder)


def test_planted_edges_are_of_the_block_model(model):
    source, target = model.edge_index()
    assert model.indices.dtype == torch.int32
    assert bool((source != target).all())
    inside = float((model.y[source] == model.y[target]).double().mean())
    assert abs(inside - (WITHIN + (1 - WITHIN) / 10)) < 0.02
    key = (source * 3000 + target).sort().values
    assert torch.equal(key, (target * 3000 + source).sort().values)  # both directions
    features, both = best_scores(model).values()
    assert 0.3 < features < 0.5 < both < 1


def test_every_batch_is_of_the_graph(model):
    edges = {tuple(edge) for edge in model.edge_index().t().tolist()}
    nodes = []
    loader = sample_loader(model, RUN)
    for batch in loader:
        assert {tuple(edge) for edge in batch.n_id[batch.edge_index].t().tolist()} <= edges
        assert torch.equal(batch.x, model.x[batch.n_id])
        nodes += batch.n_id[: batch.batch_size].tolist()
    assert sorted(nodes) == model.nodes(0).tolist()
    batches, _ = cluster_batches(model, RUN)
    batch = next(batches)
    inside = torch.isin(model.edge_index(), batch.n_id).all(0)
    assert batch.edge_index.size(1) == int(inside.sum())
    assert {tuple(edge) for edge in batch.n_id[batch.edge_index].t().tolist()} <= edges


def test_scores_are_those_of_the_whole_graph_and_trimmed_ones_too(model):
    parts = [GCN(32, 8, normalize=False), GCN(8, 10, normalize=False)]
    full = [GCN(32, 8), GCN(8, 10)]
    for part, layer in zip(parts, full, strict=True):
        torch.nn.init.normal_(part.bias)
        layer.load_state_dict(part.state_dict())
    edges = model.edge_index()
    with torch.no_grad():
        expected = full[1](full[0](model.x, edges).relu(), edges)
        assert torch.allclose(whole(parts, model), expected, atol=1e-5)  # float32
        sampler = NeighborSampler(model.csr, [-1, -1])
        loader = NodeLoader(Data(x=model.x, edge_index=edges[:, :0]), sampler, batch_size=100)
        batch, degrees = next(iter(loader)), GraphDegrees(model.csr, 3000)
        out = _trimmed(parts, batch.x, *degrees.normalize(batch), batch.num_sampled_nodes)
        assert torch.allclose(out, expected[:100], atol=1e-5)


def test_masks_of_torch_draw_no_more_than_asked_for():
    edge_index = rmat(8, 200, 2000)
    found = by_masks(edge_index, 200, (3, 2), torch.arange(20))
    source, target = edge_index[:, found]
    assert int(source.max()) < 200
    assert int(torch.bincount(target).max()) <= 3
    assert len(found.unique()) == len(found)


def test_own_graphs_of_every_form_are_the_same(tmp_path):
    graph, x, y = files(tmp_path)
    edges = np.load(graph)
    np.savez(tmp_path / "edges.npz", edge_index=edges)
    np.save(tmp_path / "turned.npy", edges.T)
    matrix = csr_array((np.ones(500), (edges[1], edges[0])), shape=(N, N))
    save_npz(tmp_path / "matrix.npz", matrix)
    save_npz(tmp_path / "pairs.npz", matrix.tocoo())
    raw = tmp_path / "ogb" / "raw"
    raw.mkdir(parents=True)
    for name, table in (("edge", edges.T), ("node-feat", np.load(x)), ("node-label", np.load(y)[:, None])):
        with gzip.open(raw / f"{name}.csv.gz", "wt") as file:
            np.savetxt(file, table, delimiter=",", fmt="%d" if table.dtype.kind == "i" else "%.9g")
    split = tmp_path / "ogb" / "split" / "time"
    split.mkdir(parents=True)
    for number, name in enumerate(("train", "valid", "test")):
        with gzip.open(split / f"{name}.csv.gz", "wt") as file:
            np.savetxt(file, np.arange(number, N, 3), fmt="%d")
    own = [tmp_path / name for name in ("edges.npz", "turned.npy", "matrix.npz", "pairs.npz", "ogb")]
    kinds = [graph, *own]
    made = []
    for kind in kinds:
        folder = tmp_path / f"made-{kind.name}"
        own_graph(folder, kind, None if kind.is_dir() else x, None if kind.is_dir() else y, directed=False)
        made.append(LargeGraph.load(folder))
    for each in made[1:]:
        assert torch.equal(each.indptr, made[0].indptr)
        assert torch.equal(each.indices, made[0].indices)
        assert torch.equal(each.x, made[0].x)
    assert torch.equal(made[-1].part, torch.arange(N, dtype=torch.int8) % 3)
    source, target = made[0].edge_index()
    assert {*zip(source.tolist(), target.tolist(), strict=True)} == {
        (int(a), int(b)) for pair in edges.T for a, b in (pair, pair[::-1])
    }


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"edges": np.array([[0, N], [1, 2]])}, "edges.npy holds node 120"),
        ({"edges": np.array([[0.5], [1.0]])}, "edges.npy has type float64; expected whole"),
        ({"edges": np.zeros((3, 4), int)}, r"edges.npy has shape \[3, 4\]"),
        ({"x": np.zeros((N - 1, 2))}, "119 rows for 120 labels"),
        ({"x": np.full((N, 2), np.nan)}, "x.npy: row 0 holds a number that is not finite"),
        ({"x": np.full((N, 2), 1e300)}, "x.npy: row 0 holds a number that is not finite, or not as a float32"),
        ({"x": np.zeros(N)}, r"x.npy has shape \[120\]"),
        ({"y": np.zeros(N, int)}, "y.npy: labels from 0 to 0"),
        ({"y": np.arange(N) / 2}, "y.npy: labels from"),
        ({"y": np.array(["a"] * N)}, "y.npy has shape"),
    ],
)
def test_what_is_wrong_with_files_is_named(wrong, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        own_graph(tmp_path / "made", *files(tmp_path, **wrong), directed=False)


@pytest.mark.parametrize("kind", ["float64", "float16", "int64", "uint8", ">f4"])
def test_features_of_any_type_are_read_as_float32(kind, tmp_path):
    numbers = np.arange(2 * N).reshape(N, 2) % 7
    own_graph(tmp_path / "made", *files(tmp_path, x=numbers.astype(kind)), directed=False)
    x = LargeGraph.load(tmp_path / "made").x
    assert x.dtype == torch.float32
    assert x.tolist() == numbers.tolist()


def test_a_matrix_of_another_size_or_none_is_named(tmp_path):
    graph, x, y = files(tmp_path)
    graph = graph.with_suffix(".npz")
    save_npz(graph, csr_array((N - 1, N - 1)))
    with pytest.raises(ValueError, match=r"edges\.npz is a matrix of shape \(119, 119\) for 120 labels"):
        own_graph(tmp_path / "made", graph, x, y, directed=False)
    np.savez(graph, format=np.array("csr"), shape=np.array([N, N]), indices=np.arange(3))
    with pytest.raises(ValueError, match=r"edges\.npz: .*data is not a file"):
        own_graph(tmp_path / "made", graph, x, y, directed=False)


def test_a_label_that_is_missing_moves_no_other(tmp_path):
    (tmp_path / "edge.csv").write_text("0,1\n\n1,2\n")
    (tmp_path / "node-label.csv").write_text("0\n\n1\n")
    (tmp_path / "node-feat.csv").write_text("0\n1\n2\n")
    own_graph(tmp_path / "made", tmp_path, None, None, directed=False)
    assert LargeGraph.load(tmp_path / "made").y.tolist() == [0, -1, 1]
    (tmp_path / "node-feat.csv").write_text("0\n\n2\n")
    with pytest.raises(ValueError, match=r"node-feat\.csv: row 1 holds a number that is not finite"):
        own_graph(tmp_path / "made", tmp_path, None, None, directed=False)


@pytest.mark.parametrize("train", ["0.5\n", "nan\n0\n", "0,1\n"])
def test_a_split_that_is_no_list_of_nodes_is_named(train, tmp_path):
    (tmp_path / "edge.csv").write_text("0,1\n1,2\n")
    (tmp_path / "node-label.csv").write_text("0\n1\n1\n")
    (tmp_path / "node-feat.csv").write_text("0\n1\n2\n")
    (tmp_path / "split" / "own").mkdir(parents=True)
    for name, text in (("train", train), ("valid", "1\n"), ("test", "2\n")):
        (tmp_path / "split" / "own" / f"{name}.csv").write_text(text)
    with pytest.raises(ValueError, match=r"train\.csv: expected nodes of 0\.\.2, a whole number a line"):
        own_graph(tmp_path / "made", tmp_path, None, None, directed=False)


def test_files_that_are_cut_off_or_missing_are_named(tmp_path):
    graph, x, y = files(tmp_path)
    graph.write_bytes(graph.read_bytes()[:90])
    with pytest.raises(ValueError, match=r"edges\.npy: no whole file"):
        own_graph(tmp_path / "made", graph, x, y, directed=False)
    with pytest.raises(FileNotFoundError, match=r"edge\.csv"):
        own_graph(tmp_path / "made", tmp_path, None, None, directed=False)
    (tmp_path / "edge.csv").write_text("source,target\n0,1\n")
    (tmp_path / "node-label.csv").write_text("0\n1\n")
    (tmp_path / "node-feat.csv").write_text("0\n1\n")
    with pytest.raises(ValueError, match=r"edge\.csv: column 0 holds 'source'"):
        own_graph(tmp_path / "made", tmp_path, None, None, directed=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"nodes": 1.5}, "--nodes 1.5: expected a whole number"),
        ({"features": Path("x.npy")}, "give --graph too"),
        ({"graph": Path("g.npz")}, "expected --features and --labels"),
        ({"neighbors": ()}, "expected a number a layer"),
        ({"neighbors": (-2,)}, "--neighbors -2"),
        ({"methods": ()}, "expected some of full batch"),
        ({"memory": 0.0}, "--memory 0.0"),
        ({"devices": 0}, "--devices 0: expected 1 or more"),
        ({"machines": 0}, "--machines 0: expected 1 or more"),
        ({"record": True, "graph": Path("g"), "features": Path("x"), "labels": Path("y")}, "the study's own graph"),
    ],
)
def test_arguments_that_are_wrong_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        script.Settings(**arguments)


def test_names_tell_graphs_apart():
    assert script.Settings().name == "planted-1e6-1e7"
    assert script.Settings(nodes=1e7, edges=1e8).name == "planted-1e7-1e8"
    assert len({script.Settings(**own).name for own in ({}, {"devices": 2}, {"machines": 2})}) == 3
    own = {"features": Path("x.npy"), "labels": Path("y.npy")}
    assert script.Settings(graph=Path("a.npy"), **own).name != script.Settings(graph=Path("b.npy"), **own).name
    assert tyro.cli(script.Settings, args=["--nodes", "2e3", "--edges", "3e4"]).size == (2000, 30000)


def test_runs_repeat(tmp_path):
    planted(tmp_path, 400, 4000)
    one, two = fit(RUN, tmp_path), fit(RUN, tmp_path)
    assert (one["test"], one["validation"]) == (two["test"], two["validation"])


def test_quick_form_of_own_graph_and_its_report(tmp_path, capsys):
    graph, x, y = files(tmp_path)
    graph = graph.rename(tmp_path / "[red]x[b] $_1$ :smile:.npy")  # whose name is shown as it is
    settings = script.Settings(quick=True, graph=graph, features=x, labels=y, results=tmp_path / "results",
                               methods=("full batch", "samples", "clusters"), memory=0.9)  # fmt: skip
    assert publish(settings) == 0
    assert "\n[red]x[b] $_1$ :smile:: 120 nodes" in capsys.readouterr().out
    result = json.loads(settings.path.read_text())
    assert {run["method"] for run in result["runs"]} == {"full batch", "samples", "clusters"}
    assert result["best"] is None
    assert checks(result) == []
    assert "features" not in result["graph"]  # nobody's folders
    assert settings.path.with_suffix(".png").exists()
    tight = script.Settings(quick=True, graph=graph, features=x, labels=y, results=tmp_path / "results",
                            methods=("samples", "no edges"), memory=1e-6)  # fmt: skip
    with pytest.raises(ValueError, match="nothing is left to do"):
        publish(tight)
