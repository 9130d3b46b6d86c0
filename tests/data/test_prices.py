"""Prices from files: what markets do is reported, what files do wrong is an error with its line."""

import sys

import numpy as np
import pytest

from gnnseq.data.stocks.prices import load_prices

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
    panel = load_prices(path, adjusted=False)
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
    for content in (b"text", b""):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="not a packed panel"):
            load_prices(path)


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
