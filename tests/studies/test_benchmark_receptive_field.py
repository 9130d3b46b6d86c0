"""The receptive-field script: its verdict, its exit code, its reading of graphs."""

import dataclasses
import json

import networkx as nx
import pytest

import receptive_field as script
from harness.cli import publish
from studies.receptive_field import page as page_module
from studies.receptive_field import report, study
from studies.receptive_field.graphs import read_graph
from studies.receptive_field.names import file_key


@pytest.fixture
def settings(tmp_path):
    path = tmp_path / "kite.txt"
    path.write_text("a b\nb c\nc d\nd b\nd e\ne f\n")
    return script.Settings(graph=path, results=tmp_path / "results", hops=2, seeds=1)


@pytest.fixture
def _undrawn(monkeypatch):
    """For tests of the verdict: its figures are drawn in other tests, and take longer."""
    monkeypatch.setattr(report, "figures", lambda result, stem: [])


@pytest.mark.usefixtures("_undrawn")
def test_a_graph_of_the_users_is_exact(settings, capsys):
    assert publish(settings) == 0
    assert "pairs are as networkx has them, and proven" in capsys.readouterr().out
    result = json.loads((settings.results / "kite.json").read_text())
    assert [row["layers"] for row in result["gcn"]] == [1, 2]
    assert result["gcn"][0]["reached"] == 6 + 2 * 6  # every node sees itself and its neighbours


@pytest.mark.usefixtures("_undrawn")
def test_a_layer_too_many_is_named_and_fails(settings, capsys, monkeypatch):
    make = study.make_gcn
    monkeypatch.setattr(study, "make_gcn", lambda layers, *width: make(layers + 1, *width))
    assert publish(settings) == 1
    out = capsys.readouterr().out
    assert "not exact" in out
    assert "output a sees input c, 2 hops away" in out


@pytest.mark.usefixtures("_undrawn")
def test_a_layer_too_few_is_named_and_fails(settings, capsys, monkeypatch):
    make = study.make_gcn
    monkeypatch.setattr(study, "make_gcn", lambda layers, *width: make(max(layers - 1, 1), *width))
    assert publish(settings) == 1
    assert "output a misses input c, 2 hops away" in capsys.readouterr().out


@pytest.mark.usefixtures("_undrawn")
def test_a_report_needs_no_measurement(settings, capsys, monkeypatch):
    publish(settings)
    first = capsys.readouterr().out
    monkeypatch.setattr(study, "run", None)
    assert publish(script.Settings(**{**vars(settings), "report_only": True})) == 0
    assert capsys.readouterr().out.strip() == first.strip()


@pytest.mark.parametrize("name", ["graph.txt", "graph.csv", "graph.graphml"])
def test_formats_of_graphs(tmp_path, name):
    path = tmp_path / name
    if path.suffix == ".graphml":
        nx.write_graphml(nx.DiGraph([("x", "y"), ("y", "z")]), path)
    else:
        path.write_text({".txt": "# comment\nx y\ny z\n", ".csv": "x,y\ny,z\n"}[path.suffix])
    graph = read_graph(path, directed=False)
    assert list(graph.edges()) == [(0, 1), (1, 2)]
    assert graph.is_directed() == (path.suffix == ".graphml")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("missing.txt", None, "no such file"),
        ("empty.txt", "", "no nodes"),
        ("lonely.txt", "a b\nc\n", "line 2: 'c' is no edge"),
        ("bytes.txt", b"\xff\xfe\x00", "not text"),
        ("cut.graphml", "<graphml><graph", "expected GraphML"),
    ],
)
def test_graphs_that_cannot_be_read(tmp_path, name, text, words):
    path = tmp_path / name
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=words) as raised:
        read_graph(path, directed=False)
    assert name in str(raised.value)


@pytest.mark.parametrize("directed", [False, True])
def test_direction_of_an_edge_list(tmp_path, directed):
    path = tmp_path / "graph.txt"
    path.write_text("x y\ny x\ny z 0.5\n")
    graph = read_graph(path, directed=directed)
    assert graph.number_of_edges() == (3 if directed else 2)
    assert [graph.nodes[node]["name"] for node in graph] == ["x", "y", "z"]


def test_a_directed_graph_is_swept_and_drawn(tmp_path, capsys):
    path = tmp_path / "dag.txt"
    path.write_text("a b\na c\nb d\nc d\n")
    settings = script.Settings(graph=path, directed=True, hops=2, seeds=1, results=tmp_path)
    assert publish(settings) == 0
    assert "all ancestors" in capsys.readouterr().out
    names = sorted(file.name for file in tmp_path.glob("dag*"))
    figures = ["dag_influence.png", "dag_influence.svg", "dag_reach.png", "dag_reach.svg"]
    assert names == ["dag.json", "dag.txt", *figures]
    assert all((tmp_path / name).stat().st_size > 1000 for name in figures)


@pytest.mark.usefixtures("_undrawn")
def test_files_of_one_stem_keep_their_results(settings, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(report, "print_report", lambda result, console: None)
    monkeypatch.setattr(report, "checks", lambda result: [])
    monkeypatch.setattr(study, "run", lambda own, console: {"graph_file": file_key(own.graph), "of": str(own.graph)})
    (tmp_path / "other").mkdir()
    files = [settings.graph, tmp_path / "kite.csv", tmp_path / "other" / "kite.txt", tmp_path / "kite.txt.gz"]
    every = [script.Settings(graph=file, results=settings.results, report_only=True) for file in files]
    for file in files:
        file.write_text("a b\n")
    for own in (*every, *every):  # once more: each finds its own again
        assert publish(dataclasses.replace(own, report_only=False)) == 0
    assert len(list(settings.results.glob("*.json"))) == len(files)
    assert every[0].path.name == "kite.json"
    capsys.readouterr()
    for own, file in zip(every, files, strict=True):
        assert publish(dataclasses.replace(own, json=True)) == 0
        assert json.loads(capsys.readouterr().out)["of"] == str(file)


@pytest.mark.parametrize("name", ["quick.txt", "receptive_field.csv", "quick.csv.gz"])
def test_a_graphs_result_is_never_the_studys(tmp_path, name):
    own = script.Settings(graph=tmp_path / name, results=tmp_path, report_only=True)
    assert own.path.stem not in ("quick", "receptive_field")
    assert own.path == script.Settings(graph=tmp_path / name, results=tmp_path, report_only=True).path


@pytest.mark.usefixtures("_undrawn")
def test_the_quick_form_samples_influence_and_says_what_it_read(tmp_path, capsys, monkeypatch):
    path = tmp_path / "graph.csv"
    path.write_text("source,target\n" + "".join(f"{node},{node + 1}\n{node + 1},{node}\n" for node in range(11)))
    asked = []
    measure = study.receptive_field
    monkeypatch.setattr(
        study, "receptive_field", lambda *a, **k: asked.append(k["influence_nodes"]) or measure(*a, **k)
    )
    own = script.Settings(graph=path, quick=True, results=tmp_path)
    assert publish(own) == 0
    read = capsys.readouterr()
    assert "under the heading 'source, target': 12 nodes, 11 undirected edges, 11 more that repeat them" in read.err
    assert [line for line in read.err.splitlines() if line.endswith(" ...")] == [
        "k layers, k hops ...", "sweeps and rounds ...", "torch_geometric's layers ...", "influence by hops ...",
    ]  # fmt: skip
    result = json.loads(own.path.read_text())
    assert set(asked) == {2, study.SAMPLED}
    assert result["influence_on"] == f"{study.SAMPLED} of 12 nodes of graph.csv"
    assert all(row["pairs"] == 12**2 for part in ("gcn", "schedules", "claims") for row in result[part])


def test_a_heading_that_is_none_is_said(tmp_path):
    path = tmp_path / "graph.csv"
    path.write_text("City,Neighbour\nBonn,Ulm\nUlm,Rome\n")
    with pytest.raises(ValueError, match=r"--graph .*--heading yes or no"):
        read_graph(path, directed=False)
    assert len(read_graph(path, directed=False, heading=True)) == 3


def test_influence_ends_where_reach_does():
    tiny = script.Settings(quick=True, length=20, hidden=4, seeds=1)
    rows = {row["network"]: row["influence"][0] for row in study.influences(None, tiny)}
    assert {"RNN", "LSTM", "LSTM, chrono"} <= set(rows)
    assert rows["GCN, 2 layers"][2] > 0
    assert not any(rows["GCN, 2 layers"][3:])
    assert len(rows["RNN"]) == 20
    assert rows["RNN"][19] > 0


def test_claims_of_other_layers_are_measured():
    rows = {row["layer"]: row for row in study.claims(nx.path_graph(25))}
    assert all(row["counterexample"] is None for row in rows.values())
    assert {name: row["claimed"] for name, row in rows.items()}["APPNP(K=10)"] == 1
    assert rows["APPNP(K=10)"]["farthest"] == 10


def test_orders_of_time_and_space_are_exact():
    rows = list(study.orders(3, 3))
    assert [row["counterexample"] for row in rows] == [None] * 3
    assert rows[0]["seen"] == rows[1]["seen"] == list(range(9))
    assert rows[2]["seen"] == [0, 1, 2, 3, 4, 5, 7]  # of the last step the node itself alone


def test_a_page_of_the_grid_and_of_a_graph_of_the_users(settings, capsys, monkeypatch):
    monkeypatch.setattr(page_module, "CELLS", (study.LSTM,))
    for own in (
        script.Settings(quick=True, page=True, results=settings.results),
        dataclasses.replace(settings, page=True),
    ):
        assert script.main(own) == 0
        page = own.path.with_suffix(".html")
        assert f"wrote {page}" in capsys.readouterr().out
        text = page.read_text(encoding="utf-8")
        assert page.stat().st_size < 2e6
        sweeps = '"name":"LSTM, sweep"' in text
        assert sweeps == own.quick  # the kite has edges both ways
        assert '"name":"GCN"' in text
        assert '"names":["row 1, column 1",' in text or '"names":["a","b",' in text
    assert [path.suffix for path in settings.results.iterdir()] == [".html", ".html"]


@pytest.mark.parametrize("other", ["record", "report_only", "json"])
def test_a_page_is_in_place_of_the_study(other):
    with pytest.raises(ValueError, match=f"--page and --{other.replace('_', '-')}"):
        script.Settings(page=True, **{other: True})
