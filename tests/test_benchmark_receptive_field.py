"""The receptive-field script: its verdict, its exit code, its reading of graphs."""

import json
import sys
from pathlib import Path

import networkx as nx
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))  # scripts import their neighbours, as when run

import receptive_field as script
from receptive_field_report import figures


@pytest.fixture
def settings(tmp_path):
    path = tmp_path / "kite.txt"
    path.write_text("a b\nb c\nc d\nd b\nd e\ne f\n")
    return script.Settings(graph=path, results=tmp_path / "results", hops=2)


def test_a_graph_of_the_users_is_exact(settings, capsys):
    assert script.main(settings) == 0
    assert "exact: every pair is as networkx has it" in capsys.readouterr().out
    result = json.loads((settings.results / "kite.json").read_text())
    assert [row["layers"] for row in result["gcn"]] == [1, 2]
    assert result["gcn"][0]["reached"] == 6 + 2 * 6  # every node sees itself and its neighbours


def test_a_layer_too_many_is_named_and_fails(settings, capsys, monkeypatch):
    make = script.make_gcn
    monkeypatch.setattr(script, "make_gcn", lambda layers: make(layers + 1))
    assert script.main(settings) == 1
    out = capsys.readouterr().out
    assert "not exact" in out
    assert "node 0 sees node 2, 2 hops away" in out


def test_a_layer_too_few_is_named_and_fails(settings, capsys, monkeypatch):
    make = script.make_gcn
    monkeypatch.setattr(script, "make_gcn", lambda layers: make(max(layers - 1, 1)))
    assert script.main(settings) == 1
    assert "node 0 misses node 2, 2 hops away" in capsys.readouterr().out


def test_a_report_needs_no_measurement(settings, capsys, monkeypatch):
    script.main(settings)
    first = capsys.readouterr().out
    monkeypatch.setattr(script, "measure", None)
    assert script.main(script.Settings(**{**vars(settings), "report_only": True})) == 0
    assert capsys.readouterr().out.strip() == first.strip()


@pytest.mark.parametrize("name", ["graph.txt", "graph.csv", "graph.graphml"])
def test_formats_of_graphs(tmp_path, name):
    path = tmp_path / name
    if path.suffix == ".graphml":
        nx.write_graphml(nx.DiGraph([("x", "y"), ("y", "z")]), path)
    else:
        path.write_text({".txt": "# comment\nx y\ny z\n", ".csv": "x,y\ny,z\n"}[path.suffix])
    graph = script.read_graph(path)
    assert list(graph.edges()) == [(0, 1), (1, 2)]
    assert graph.is_directed() == (path.suffix == ".graphml")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("missing.txt", None, "no such file"),
        ("empty.txt", "", "no nodes"),
        ("cut.graphml", "<graphml><graph", "expected GraphML"),
    ],
)
def test_graphs_that_cannot_be_read(tmp_path, name, text, words):
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=words) as raised:
        script.read_graph(path)
    assert name in str(raised.value)


def test_a_figure_of_influence(tmp_path):
    tiny = script.Settings(quick=True, length=20, hidden=4)
    rows = script.part_four(tiny, lambda: None)
    assert {row["network"] for row in rows} >= {"GCN, 2 layers", "RNN", "LSTM", "LSTM, chrono"}
    gcn = next(row for row in rows if row["network"] == "GCN, 2 layers")
    assert all(value == 0 for value in gcn["influence"][0][3:])
    assert gcn["influence"][0][2] > 0
    written = figures({"influence": rows}, tmp_path, "tiny")
    assert [path.name for path in written] == ["tiny_influence.png", "tiny_influence.svg"]
    assert all(path.stat().st_size > 1000 for path in written)
