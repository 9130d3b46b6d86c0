"""Prices and relations from files: what markets do is reported, what files do wrong is an error with its line."""

import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gnnseq.data.stocks.panel import Panel, examine
from gnnseq.data.stocks.prices import load_prices
from gnnseq.data.stocks.relations import from_groups, join, load_relations, nearest

YAHOO = "Date,Open,High,Low,Close,Adj Close,Volume\n"


def yahoo(folder, ticker, rows):
    folder.mkdir(exist_ok=True)
    lines = [f"{date},1,1,1,{close},{close / 2 if close else 'null'},{volume}" for date, close, volume in rows]
    (folder / f"{ticker}.csv").write_text(YAHOO + "\n".join(lines) + "\n")


def kinds(panel):
    return [(finding.kind, finding.ticker, finding.date) for finding in panel.findings]


def test_a_folder_of_yahoos_csvs_is_one_panel(tmp_path):
    yahoo(tmp_path, "A", [(f"2024-01-0{day}", 10.0 + day, 5) for day in (1, 2, 3, 4, 5)])
    yahoo(
        tmp_path,
        "B",
        [("2024-01-04", 20.0, 5), ("2024-01-02", 21.0, 5), ("2024-01-03", 23.0, 0), ("2024-01-04", 22.0, 5)],
    )
    (tmp_path / "sectors.tsv").write_text("not prices")
    panel = load_prices(tmp_path)
    assert panel.tickers == ("A", "B")
    assert panel.dates == tuple(f"2024-01-0{day}" for day in (1, 2, 3, 4, 5))
    np.testing.assert_array_equal(panel.closes[:, 0], [5.5, 6, 6.5, 7, 7.5])
    np.testing.assert_array_equal(panel.closes[:, 1], [np.nan, 10.5, np.nan, 11, np.nan])
    assert kinds(panel) == [
        ("order", "B", "2024-01-02"),
        ("duplicated date", "B", "2024-01-04"),
        ("no volume", "B", "2024-01-03"),
        ("late listing", "B", "2024-01-02"),
        ("gap", "B", "2024-01-03"),
        ("early end", "B", "2024-01-04"),
    ]


def test_no_price_depends_on_a_later_volume(tmp_path):
    rows = [("2024-01-01", 1.0, 0), ("2024-01-02", 1.1, 0), ("2024-01-03", 1.2, 7), ("2024-01-04", 1.3, 0)]
    yahoo(tmp_path, "A", rows)
    known = load_prices(tmp_path).closes[:, 0]
    np.testing.assert_array_equal(known, [0.5, 0.55, 0.6, np.nan])  # adjusted closes
    for day in range(1, len(rows)):
        changed = [
            (date, close, volume if at < day else 5 - volume % 5) for at, (date, close, volume) in enumerate(rows)
        ]
        yahoo(tmp_path, "A", changed)
        np.testing.assert_array_equal(load_prices(tmp_path).closes[:day, 0], known[:day])


def test_rows_of_nulls_are_days_without_price_and_an_index_needs_no_volume(tmp_path):
    yahoo(tmp_path, "A", [("2024-01-01", 1.0, 0), ("2024-01-02", None, 0), ("2024-01-03", 2.0, 0)])
    panel = load_prices(tmp_path)
    np.testing.assert_array_equal(panel.closes[:, 0], [0.5, np.nan, 1])
    assert kinds(panel) == [("empty row", "A", "2024-01-02"), ("gap", "A", "2024-01-02"), ("jump", "A", "2024-01-03")]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("2024-01-02,1,1,1,1,abc,5", r"A.csv:3: Adj Close is 'abc'; expected a positive number"),
        ("2024-01-02,1,1,1,1,-3,5", r"A.csv:3: Adj Close is '-3'"),
        ("2024-01-02,1,1,1,1,0,5", r"A.csv:3: Adj Close is '0'"),
        ("2024-01-02,1,1,1,1,inf,5", r"A.csv:3: Adj Close is 'inf'"),
        ("2024-01-02,1,1,1", r"A.csv:3: 4 cells; expected 7"),
        ("02/01/2024,1,1,1,1,1,5", r"A.csv:3: the date is '02/01/2024'; expected YYYY-MM-DD"),
        ("2024-02-30,1,1,1,1,1,5", r"A.csv:3: the date '2024-02-30' is not in the calendar"),
        ("2024-01-02,1,1,1,1,1,-5", r"A.csv:3: Volume is '-5'"),
        ('2024-01-02,"1,1,1,1,1,5', r"A.csv:3: 2 cells; expected 7"),
    ],
)
def test_a_bad_row_is_an_error_with_file_and_line(tmp_path, row, message):
    (tmp_path / "A.csv").write_text(f"{YAHOO}2024-01-01,1,1,1,1,1,5\n{row}\n2024-01-03,1,1,1,1,1,5\n")
    with pytest.raises(ValueError, match=message):
        load_prices(tmp_path)


def test_files_that_are_no_prices_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no \.csv in this folder"):
        load_prices(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        load_prices(tmp_path / "nothing")
    (tmp_path / "A.csv").write_text("Day,Price\n2024-01-01,1\n")
    with pytest.raises(ValueError, match=r"A.csv:1: the header is 'Day,Price'; expected Date and Close"):
        load_prices(tmp_path)
    (tmp_path / "A.csv").write_text(YAHOO)
    with pytest.raises(ValueError, match=r"A.csv:2: no prices follow"):
        load_prices(tmp_path)
    (tmp_path / "A.csv").write_text(f"{YAHOO}2024-01-01,1,1,1,1,1,5\n")
    (tmp_path / "B.csv").write_text("Date,Close\n2024-01-01,1\n")
    with pytest.raises(ValueError, match=r'B.csv:1: has no "Adj Close"'):
        load_prices(tmp_path)
    (tmp_path / "prices.txt").write_text("")
    with pytest.raises(ValueError, match=r"form '\.txt' is unknown"):
        load_prices(tmp_path / "prices.txt")


def test_a_wide_csv_with_a_split_a_gap_and_a_duplicated_date(tmp_path):
    path = tmp_path / "closes.csv"
    path.write_text(
        "Date,A,B\n2024-01-01,90,1\n2024-01-02,30.3,1.1\n2024-01-03,31,\n2024-01-04,32,1.2\n2024-01-04,33,1.3\n"
    )
    panel = load_prices(path)
    np.testing.assert_array_equal(panel.closes[:, 0], [90, 3 * 30.3, 93, 99])
    np.testing.assert_array_equal(panel.closes[:, 1], [1, 1.1, np.nan, 1.3])
    assert kinds(panel) == [
        ("duplicated date", "all", "2024-01-04"),
        ("split", "A", "2024-01-02"),
        ("gap", "B", "2024-01-03"),
    ]
    assert load_prices(path, adjusted=True).counts() == {"duplicated date": 1, "jump": 1, "gap": 1}
    path.write_text("Date,A\n2024-01-01,1\n2024-01-02,x\n")
    with pytest.raises(ValueError, match=r"closes.csv:3: A is 'x'"):
        load_prices(path)


def test_parquet_is_the_same_table_and_says_what_it_needs(tmp_path, monkeypatch):
    pandas = pytest.importorskip("pandas")
    path = tmp_path / "closes.parquet"
    path.write_bytes(b"")
    table = pandas.DataFrame({"Date": pandas.to_datetime(["2024-01-01", "2024-01-02"]), "A": [1.0, float("nan")]})
    monkeypatch.setattr(pandas, "read_parquet", lambda _: table)  # so that the test needs no pyarrow
    panel = load_prices(path)
    assert panel.dates == ("2024-01-01", "2024-01-02")
    np.testing.assert_array_equal(panel.closes, [[1.0], [np.nan]])
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "fastparquet", None)
    with pytest.raises(ImportError, match=r"needs pandas and pyarrow; run `pip install pandas pyarrow`"):
        load_prices(path)


def test_a_packed_panel_holds_plain_arrays_only(tmp_path):
    path = tmp_path / "panel.npz"
    features = np.random.default_rng(0).random((3, 4, 5)).astype(np.float32)
    names = {"tickers": np.array(["A", "B", "C"]), "dates": np.array([f"2024-01-0{day}" for day in (1, 2, 3, 4)])}
    np.savez(path, features=features, **names)
    panel = load_prices(path)
    np.testing.assert_array_equal(panel.closes, features[:, :, -1].T)
    assert panel.features.shape == (4, 3, 5)
    np.savez(path, features=features, dates=names["dates"])
    with pytest.raises(ValueError, match="expected also tickers"):
        load_prices(path)
    np.savez(path, features=np.array([{}], dtype=object), **names)  # a pickle, which could run anything
    with pytest.raises(ValueError, match="not a packed panel of plain arrays"):
        load_prices(path)
    path.write_bytes(b"text")
    with pytest.raises(ValueError, match="not a packed panel"):
        load_prices(path)


def test_suspensions_frozen_prices_and_jumps_are_found():
    closes = np.array([[1.0, 5], [1, 5], [1, 5], [1, 5], [1, 5], *[[np.nan, 6]] * 6, [1.6, 5.5]])
    dates = [f"2024-01-{day:02d}" for day in range(1, 13)]
    panel = examine(closes, dates, ["A", "B"], adjusted=True)
    assert kinds(panel) == [
        ("frozen", "A", "2024-01-01"),
        ("suspension", "A", "2024-01-06"),
        ("jump", "A", "2024-01-12"),
        ("frozen", "B", "2024-01-01"),
        ("frozen", "B", "2024-01-06"),
    ]
    assert str(panel.findings[1]) == "suspension: A 2024-01-06, 6 days without a price"


@given(st.integers(1, 20), st.integers(0, 1000))
def test_examining_later_prices_never_changes_earlier_ones(day, seed):
    generator = np.random.default_rng(seed)
    closes = 10 * np.exp(np.cumsum(generator.normal(scale=0.4, size=(21, 3)), axis=0))
    closes[generator.random(closes.shape) < 0.1] = np.nan
    dates = [str(np.datetime64("2024-01-01") + t) for t in range(21)]
    whole = examine(closes, dates, ["A", "B", "C"], adjusted=False)
    early = examine(closes[:day], dates[:day], ["A", "B", "C"], adjusted=False)
    assert np.array_equal(whole.closes[:day], early.closes, equal_nan=True)


def test_a_panel_refuses_what_is_none():
    closes = np.ones((2, 1))
    with pytest.raises(ValueError, match="expected increasing days"):
        Panel(closes, ("2024-01-02", "2024-01-02"), ("A",))
    with pytest.raises(ValueError, match=r"closes has shape \(2, 1\); expected \(2, 2\)"):
        Panel(closes, ("2024-01-01", "2024-01-02"), ("A", "B"))
    with pytest.raises(ValueError, match="'A' occurs twice"):
        Panel(np.ones((1, 2)), ("2024-01-01",), ("A", "A"))
    with pytest.raises(ValueError, match=r"A 2024-01-01 is -1.0; expected a positive price"):
        Panel(np.array([[-1.0]]), ("2024-01-01",), ("A",))


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Date,Close\n2024-01-01,1_000\n", r"A\.csv:2: Close is '1_000'"),
        ("Date,Close,Volume\n2024-01-01,1,inf\n", r"A\.csv:2: Volume is 'inf'"),
        ("Date,Close,Close\n2024-01-01,1,2\n", r"A\.csv:1: the header has 'close' 2 times; expected it once"),
        (b"Date,Close\n2024-01-01,1\n2024-01-02,\xff\n", r"A\.csv:3: not UTF-8"),
    ],
    ids=["underscore", "infinite volume", "column twice", "not UTF-8"],
)
def test_what_is_no_price_is_named_with_its_line(text, message, tmp_path):
    (tmp_path / "A.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=message):
        load_prices(tmp_path)


def test_a_column_needs_the_name_of_its_ticker(tmp_path):
    file = tmp_path / "closes.csv"
    file.write_text("Date, A ,\n2024-01-01,1,2\n")
    with pytest.raises(ValueError, match=r"closes\.csv:1: .* each with its name"):
        load_prices(file)
    file.write_text("Date, A ,B\n2024-01-01,1,2\n")
    assert load_prices(file).tickers == ("A", "B")


def test_a_group_listed_twice_is_not_lost(tmp_path):
    file = tmp_path / "groups.json"
    file.write_text('{"tech": ["A"], "tech": ["B"]}')
    with pytest.raises(ValueError, match=r"groups\.json: the group 'tech' is there more than once"):
        load_relations(file, ["A", "B"])
