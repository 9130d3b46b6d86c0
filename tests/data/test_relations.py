"""Relations of every form of file; what files do wrong is an error with its line."""

import json

import numpy as np
import pytest
import torch

from gnnseq.data.stocks.relations import from_groups, join, load_relations, nearest


def edges(relations):
    """{(source, target): names of its types}"""
    return {
        (source, target): {name for name, one in zip(relations.names, types, strict=True) if one}
        for (source, target), types in zip(relations.edge_index.t().tolist(), relations.types.tolist(), strict=True)
    }


TICKERS = ("A", "B", "C", "D")


PAIR = {(0, 1): {"x"}, (1, 0): {"x"}}


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("g.json", '{"x": ["A", "B"], "n/a": ["C", "D"], "alone": ["D"]}', PAIR),
        ("s.tsv", "Sector\tSymbol\tCompany\nx\t$A\tAs\nx\t$B\tBs\ny\t$C\tCs\n", PAIR),
        ("s.csv", "ticker,industry\nA,x\nB,x\nC,\nD,\n", PAIR),
        ("e.csv", "source,target,type\nA,B,x\nA,B,y\nB,A,x\nC,C,x\n", {(0, 1): {"x", "y"}, (1, 0): {"x"}}),
        ("e.csv", "source,target\nA,D\n", {(0, 3): {"related"}}),
    ],
)
def test_relations_from_each_form(tmp_path, name, text, expected):
    (tmp_path / name).write_text(text)
    assert edges(load_relations(tmp_path / name, TICKERS)) == expected


def test_a_packed_panels_edges_are_of_its_own_tickers(tmp_path):
    path = tmp_path / "p.npz"
    arrays = {"wiki_edge_index": np.array([[0, 1], [1, 2]]), "wiki_edge_type": np.array([7, 3])}
    np.savez(path, tickers=np.array(["B", "Z", "A"]), **arrays)
    with pytest.raises(ValueError, match="relates no two of the 4 tickers"):
        load_relations(path, TICKERS)
    np.savez(path, tickers=np.array(["B", "D", "A"]), **arrays)
    assert edges(load_relations(path, TICKERS)) == {(1, 3): {"wiki 07"}, (3, 0): {"wiki 03"}}
    np.savez(path, tickers=np.array(["B", "D"]), **arrays)
    with pytest.raises(ValueError, match="an edge names stock 2; expected 0 to 1"):
        load_relations(path, TICKERS)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"p\.npz: not packed relations of plain arrays"):
        load_relations(path, TICKERS)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("g.json", '{"x": \n oops', r"g.json:2: not JSON"),
        ("g.json", '["A"]', "expected an object from group to list of tickers"),
        ("s.csv", "name,colour\nA,red\n", r"s.csv:1: the header is 'name, colour'"),
        ("s.csv", "ticker,sector\nA\n", r"s.csv:2: 1 cells; expected 2"),
        ("s.csv", "ticker,sector\nY,x\nZ,x\n", "relates no two of the 4 tickers"),
        ("s.xml", "", r"form '\.xml' is unknown"),
    ],
)
def test_what_is_wrong_with_relations_is_said(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        load_relations(tmp_path / name, TICKERS)


def test_joined_relations_have_the_types_of_all():
    joined = join(
        [from_groups({"x": ["A", "B"]}, TICKERS), from_groups({"x": ["B", "A"], "y": ["B", "C", "Q"]}, TICKERS)]
    )
    assert joined.names == ("x", "x", "y")
    assert joined.types.sum(1).tolist() == [2, 2, 1, 1]
    assert joined.left_out == ("Q",)
    order = joined.edge_index[1] * 4 + joined.edge_index[0]
    assert torch.equal(order, order.sort().values)


def test_nearest_neighbours_are_those_of_the_correlation_matrix():
    returns = np.random.default_rng(0).normal(size=(80, 6))
    correlation = np.corrcoef(returns.T)
    np.fill_diagonal(correlation, -1)
    one_way = {(int(other), stock) for stock in range(6) for other in np.argsort(-correlation[stock])[:2]}
    assert edges(nearest(returns, 2)).keys() == one_way | {(target, source) for source, target in one_way}
    with pytest.raises(ValueError, match="k=6; expected 1 to 5"):
        nearest(returns, 6)


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [("groups.json", b'{"x":\n["B\xff"]}', 2), ("sectors.csv", b"ticker,sector\nB,x\nC,\xff\n", 3)],
)
def test_relations_that_are_not_utf8_are_refused_with_their_line(tmp_path, name, content, line):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}:{line}: not UTF-8"):
        load_relations(tmp_path / name, TICKERS)


def test_groups_may_begin_with_a_mark_and_tickers_with_a_dollar(tmp_path):
    one, other = TICKERS[:2]
    path = tmp_path / "groups.json"
    path.write_text(f'{{"x": ["${one}", "{other}"]}}', encoding="utf-8-sig")
    assert edges(load_relations(path, TICKERS)) == {(0, 1): {"x"}, (1, 0): {"x"}}


def test_a_group_listed_twice_is_not_lost(tmp_path):
    file = tmp_path / "groups.json"
    file.write_text('{"tech": ["A"], "tech": ["B"]}')
    with pytest.raises(ValueError, match=r"groups\.json: the group 'tech' is there more than once"):
        load_relations(file, ["A", "B"])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("s.csv", "Ticker,Sector,Industry\nA,x,y\nB,x,z\n", "Sector and Industry may both be the group"),
        ("s.csv", "Ticker,Industry,GICS Sector\nA,x,y\nB,x,z\n", "Industry and GICS Sector may both be the group"),
        ("s.csv", "ticker,sector\n,x\nB,x\n", "the ticker is empty"),
        ("s.csv", "ticker,sector\nAAPL,x\nMSFT,x\n", "relates no two of the 2 tickers .* for example, 'AAPL', .* 'A'"),
        ("e.csv", "source,target,weight\nA,B,-0.5\n", "weight is '-0.5'; expected a number of 0 or more"),
        ("e.csv", "source,target,weight\nA,B,heavy\n", "weight is 'heavy'"),
        ("e.csv", "source,target,weight\nA,B,0.5\nA,B,0.7\n", "A to B, 'related': weights 0.5 and 0.7"),
    ],
)
def test_relations_that_are_open_are_named(name, text, message, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        load_relations(tmp_path / name, ("A", "B"))


@pytest.mark.parametrize("name", ["Value", "probability", "w"])
def test_weights_count_under_other_names_too(name, tmp_path):
    (tmp_path / "e.csv").write_text(f"source,target,{name}\nA,B,0.5\n")
    assert load_relations(tmp_path / "e.csv", TICKERS).types.tolist() == [[0.5]]


def test_relations_have_columns_that_are_named_and_weights_that_count(tmp_path):
    path = tmp_path / "S.TSV"
    path.write_text("Ticker\tSector\tIndustry\na\tx\ty\nB\tx\tz\n")
    assert load_relations(path, ("A", "B"), columns={"group": "sector"}).names == ("x",)
    with pytest.raises(ValueError, match="relates no two"):
        load_relations(path, ("A", "B"), columns={"group": "Industry"})
    path = tmp_path / "e.csv"
    path.write_text("source;target;type;weight\nA;B;x;0,5\nA;B;y;0,25\nB;A;x;0\nB;C;x;1\n")
    found = load_relations(path, ("A", "B", "C"))
    assert found.edge_index.tolist() == [[0, 1], [1, 2]]
    assert found.types.tolist() == [[0.5, 0.25], [1, 0]]
    assert found.edge_weight.tolist() == [0.5, 1]
    both = join([from_groups({"g": ["A", "B"]}, ("A", "B", "C")), found])
    assert both.edge_weight.tolist() == [1, 1, 1]
    assert both.types.tolist() == [[1, 0, 0], [1, 0.5, 0.25], [0, 1, 0]]
    groups = tmp_path / "g.json"
    groups.write_text(json.dumps({"g": ["a", "B"]}))
    assert load_relations(groups, ("A", "B")).num_edges == 2
