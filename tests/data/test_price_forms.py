"""One market in every form that files have for it is one panel; what a form leaves open is refused by name."""

import re

import numpy as np
import pytest

from gnnseq.data.stocks.prices import load_prices

DATES = ("2024-01-30", "2024-01-31", "2024-02-01")
CLOSES = np.array([[10.5, 1200.25], [11.25, 1210.5], [10.75, 1190.0]])
OHLC = "Open,High,Low,Close"


def read(tmp_path, text, name="closes.csv", **options):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return load_prices(path, **options)


def lines(header, rows):
    return "\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n"


def long(header="Date,Ticker,Close", tickers=("A", "B"), dates=DATES):
    rows = [(date, ticker, CLOSES[t, n]) for t, date in enumerate(dates) for n, ticker in enumerate(tickers)]
    return lines(header, rows)


def wide(header="Date,A,B", dates=DATES, end=""):
    return lines(header, [(date, *map(repr, row.tolist())) for date, row in zip(dates, CLOSES, strict=True)]) + end


def fields(first, second, third="Date,,,,\n", order=(0, 0, 1, 1)):
    """Close and volume of A and B, with a volume that would be a frightful price."""
    columns = {("Close", "A"): CLOSES[:, 0], ("Close", "B"): CLOSES[:, 1], "Volume": [5e6] * 3}
    keys = list(zip(first, second, strict=True))
    found = [columns.get(key, columns.get(key[::-1], columns["Volume"])) for key in keys]
    rows = [(date, *(column[t] for column in found)) for t, date in enumerate(DATES)]
    return lines("Price," + ",".join(first) + "\nTicker," + ",".join(second), [third.strip().split(","), *rows])


SEMICOLONS = "Datum;A;B\n2024-01-30;10,5;1.200,25\n2024-01-31;11,25;1.210,50\n2024-02-01;10,75;1.190,00\n"

FORMS = {
    "wide": wide(),
    "newest first": lines("Date,A,B", [(DATES[t], *CLOSES[t]) for t in (2, 1, 0)]),
    "an index and the date after it": lines(",Date,A,B", [(t, DATES[t], *CLOSES[t]) for t in range(3)]),
    "a date in the second column": lines("A,Date,B", [(CLOSES[t, 0], DATES[t], CLOSES[t, 1]) for t in (0, 1, 2)]),
    "empty lines and cells at the end": wide(end="\n,,\n") + ",,\n",
    "a byte order mark": "\ufeff" + wide(),
    "day first": wide(dates=("30/01/2024", "31/01/2024", "01/02/2024")),
    "month first": wide(dates=("01/30/2024", "01/31/2024", "02/01/2024")),
    "named months": wide(dates=("30-Jan-2024", "31-Jan-2024", "1-Feb-2024")),
    "compact": wide(dates=("20240130", "20240131", "20240201")),
    "slashes": wide(dates=("2024/01/30", "2024/01/31", "2024/02/01")),
    "epoch seconds": wide(dates=(1706572800, 1706659200, 1706745600)),
    "epoch milliseconds": wide(dates=(1706572800000, 1706659200000, 1706745600000)),
    "Tokyo's midnight": wide(dates=[f"{date} 00:00:00+09:00" for date in DATES]),
    "New York's midnight": wide(dates=[f"{date}T00:00:00-0500" for date in DATES]),
    "UTC's midnight": wide(dates=[f"{date}T00:00:00Z" for date in DATES]),
    "a close's time": wide(dates=[f"{date} 16:00:00" for date in DATES]),
    "semicolons and decimal commas": SEMICOLONS,
    "Swiss thousands": SEMICOLONS.replace(",", ".").replace(";1.", ";1'"),
    "quoted thousands": re.sub(r"(\d)(\d{3}\.\d+)", r'"\1,\2"', wide()),
    "dollars": "Date,A,B\n2024-01-30,$10.5,$1200.25\n2024-01-31,$11.25,$1210.5\n2024-02-01,$10.75,$1190\n",
    "long": long(),
    "long, other names": long("timestamp,symbol,adjClose"),
    "long, a price": long("date,tic,price"),
    "long, melted": long("Date,variable,value"),
    "long, newest first": "Date,Ticker,Close\n" + "".join(long().splitlines(keepends=True)[:0:-1]),
    "three rows of names": fields(["Close", "Close", "Volume", "Volume"], ["A", "B", "A", "B"]),
    "three rows, tickers first": fields(["A", "A", "B", "B"], ["Close", "Volume", "Close", "Volume"])
        .replace("Price,", "Ticker,", 1).replace("\nTicker", "\nPrice", 1),
    "flat names": wide("Date,Close_A,Close_B"),
    "flat names, adjusted": wide("Date,A.Adjusted,B.Adjusted"),
    "names of pairs": wide("""Date,"('Close', 'A')","('Close', 'B')\""""),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same_panel(form, tmp_path):
    panel = read(tmp_path, FORMS[form])
    assert panel.tickers == ("A", "B")
    assert panel.dates == DATES
    np.testing.assert_array_equal(panel.closes, CLOSES)


ADJUSTED = ["Adj Close", "Adj_Close", "AdjClose", "adjusted_close", "adjustedClose", "Adj. Close", "Close (adj)",
            "closeadj", "Adjusted Closing Price", "Adj Close**", "5. adjusted close", "AAPL.Adjusted"]  # fmt: skip


@pytest.mark.parametrize("name", ADJUSTED)
def test_an_adjusted_close_in_any_spelling_knows_a_split(name, tmp_path):
    folder = tmp_path / "prices"
    folder.mkdir()
    close = "AAPL.Close" if name.startswith("AAPL") else "Close"
    (folder / "AAPL.csv").write_text(
        f"Date,{close},{name}\n2024-01-30,150,100\n2024-01-31,100,100\n2024-02-01,101,101\n"
    )
    np.testing.assert_array_equal(load_prices(folder).closes[:, 0], [100, 100, 101])


def test_an_empty_adjusted_close_is_none(tmp_path):
    panel = read(tmp_path, "Date,Open,Close,Adj Close\n2024-01-30,9,10,\n2024-01-31,9,11,n/a\n", "A.csv")
    np.testing.assert_array_equal(panel.closes[:, 0], [10, 11])


def test_what_is_not_adjusted_by_its_name_is_no_adjusted_close(tmp_path):
    panel = read(tmp_path, "Date,Unadjusted Close,Adj Open,Volume\n2024-01-30,10,1,5\n2024-01-31,11,2,5\n", "A.csv")
    np.testing.assert_array_equal(panel.closes[:, 0], [10, 11])
    with pytest.raises(ValueError, match="Adj Close and adjusted may both be the close"):
        read(tmp_path, "Date,Close,Adj Close,adjusted\n2024-01-30,10,1,5\n", "A.csv")


@pytest.mark.parametrize(("after", "move"), [(49.0, "-51%"), (200.0, "\\+100%")])
def test_a_move_that_may_be_a_split_is_kept_or_repaired_as_is_said(after, move, tmp_path):
    for text in (f"Date,A\n2024-01-30,100\n2024-01-31,{after}\n",
                 f"Date,Open,Close\n2024-01-30,1,100\n2024-01-31,1,{after}\n",
                 f"Date,Ticker,Close\n2024-01-30,A,100\n2024-01-31,A,{after}\n"):  # fmt: skip
        with pytest.raises(ValueError, match=rf"A 2024-01-31 {move}.*adjusted=True.*adjusted=False"):
            read(tmp_path, text, "A.csv")
        assert read(tmp_path, text, "A.csv", adjusted=True).closes[1, 0] == after
        assert read(tmp_path, text, "A.csv", adjusted=False).counts() == {"split": 1}
    assert read(tmp_path, "Date,A\n2024-01-30,100\n2024-01-31,55\n").counts() == {"jump": 1}  # no split's ratio


HISTORY = "Date,Open,High,Low,Close,Volume,Dividends,Stock Splits\n"


def history(closes, splits):
    days = [f"2024-01-{day:02d} 00:00:00-05:00" for day in range(2, 2 + len(closes))]
    return HISTORY + lines("", [(day, 1, 1, 1, close, 5, 0.0, split)
                                for day, close, split in zip(days, closes, splits, strict=True)])[1:]  # fmt: skip


def test_listed_splits_tell_whether_closes_are_adjusted(tmp_path):
    real = read(tmp_path, history([100, 49, 50, 51], [0, 0, 0, 0]), "A.csv")  # nothing split, the price fell
    np.testing.assert_array_equal(real.closes[:, 0], [100, 49, 50, 51])
    kept = read(tmp_path, history([100, 101, 49, 50], [0, 2.0, 0, 0]), "A.csv")
    np.testing.assert_array_equal(kept.closes[:, 0], [100, 101, 49, 50])
    raw = read(tmp_path, history([150, 101, 100, 49], [0, "3:2", 0, 0]), "A.csv")
    np.testing.assert_array_equal(raw.closes[:, 0], [150, 151.5, 150, 73.5])
    assert [str(finding) for finding in raw.findings if finding.kind == "split"] == [
        "split: A 2024-01-03, 1.5 for 1, as listed; later prices times 1.5"
    ]
    with pytest.raises(ValueError, match="expected to be told which"):  # one split tells this, the other that
        read(tmp_path, history([100, 50, 49, 48], [0, 2, 2, 0]), "A.csv")


def test_of_a_day_that_is_there_twice_each_ticker_keeps_its_last_price(tmp_path):
    text = "Date,TOKYO,YORK\n2024-01-30,10,\n2024-01-30,,20\n2024-01-31,11,\n2024-01-31,,21\n2024-01-31,12,\n"
    panel = read(tmp_path, text)
    np.testing.assert_array_equal(panel.closes, [[10, 20], [12, 21]])
    assert panel.counts() == {"duplicated date": 2}


def test_of_two_rows_of_a_day_the_one_without_volume_takes_no_price_away(tmp_path):
    text = "Date,Close,Volume\n2024-01-30,10,5\n2024-01-31,11,4\n2024-01-31,11,0\n2024-02-01,12,0\n"
    np.testing.assert_array_equal(read(tmp_path, text, "A.csv").closes[:, 0], [10, 11, np.nan])


@pytest.mark.parametrize("name", ["Adj Factor", "adjustment_factor", "cfacpr"])
def test_a_factor_that_nobody_applied_is_refused_by_name(name, tmp_path):
    text = f"Date,Open,Close,{name}\n2024-01-30,9,150,0.6667\n2024-01-31,9,100,1\n"
    with pytest.raises(ValueError, match=f"'{name}' is not applied, and 'Close' is not adjusted"):
        read(tmp_path, text, "A.csv")
    np.testing.assert_array_equal(read(tmp_path, text, "A.csv", columns={"close": "Close"}).closes[:, 0], [150, 100])
    assert read(tmp_path, text.replace("0.6667", "1"), "A.csv").closes[0, 0] == 150


def test_the_last_price_of_a_day_is_the_last_in_time(tmp_path):
    text = "Datetime,A\n2024-01-31 16:00:00,12\n2024-01-31 09:30:00,11\n2024-01-30 16:00:00,10\n2024-01-30 20:00:00,\n"
    np.testing.assert_array_equal(read(tmp_path, text).closes[:, 0], [10, 12])


def test_instants_in_utc_need_the_exchanges_zone(tmp_path):
    instants = ("2024-01-29 15:00:00+00:00", "2024-01-30T15:00:00Z", "2024-01-31 15:00:00+00:00")
    with pytest.raises(ValueError, match=r"closes\.csv:2: .* an instant in UTC.*zone='Asia/Tokyo'"):
        read(tmp_path, wide(dates=instants))
    assert read(tmp_path, wide(dates=instants), zone="Asia/Tokyo").dates == DATES
    with pytest.raises(ValueError, match=r"1706540400.* an instant in UTC"):
        read(tmp_path, wide(dates=(1706540400, 1706626800, 1706713200)))
    assert read(tmp_path, wide(dates=(1706540400, 1706626800, 1706713200)), zone="Asia/Tokyo").dates == DATES
    with pytest.raises(ValueError, match="zone='Mars'; expected a time zone's name"):
        read(tmp_path, wide(), zone="Mars")
    winter_and_summer = ("2024-01-30 16:30:00+00:00", "2024-01-31 16:30:00+00:00", "2024-07-01 16:30:00+01:00")
    assert read(tmp_path, wide(dates=winter_and_summer)).dates[0] == "2024-01-30"  # London's own time


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_one_tickers_table_is_one_ticker(ending, tmp_path, monkeypatch):
    text = lines(
        f"Date,{OHLC},Volume", [(date, 1, 2, 3, close, 10**6) for date, close in zip(DATES, (10, 11, 12), strict=True)]
    )
    if ending == "parquet":
        pandas = pytest.importorskip("pandas")
        (tmp_path / "text.csv").write_text(text)
        table = pandas.read_csv(tmp_path / "text.csv", parse_dates=["Date"])
        monkeypatch.setattr(pandas, "read_parquet", lambda _: table)
        text = ""
    panel = read(tmp_path, text, f"AAPL.{ending}")
    assert panel.tickers == ("AAPL",)
    np.testing.assert_array_equal(panel.closes[:, 0], [10, 11, 12])


def test_frames_of_pandas(tmp_path, monkeypatch):
    pandas = pytest.importorskip("pandas")
    dates = pandas.DatetimeIndex(DATES, name="Date")
    names = pandas.MultiIndex.from_product([["Close", "Volume"], ["A", "B"]])
    download = pandas.DataFrame(np.hstack([CLOSES, np.full((3, 2), 1e6)]), index=dates, columns=names)
    closes = pandas.DataFrame(CLOSES, index=dates, columns=["A", "B"])
    tokyo = closes.set_axis(dates.tz_localize("Asia/Tokyo"))
    flat = download.set_axis([str(name) for name in names], axis=1)
    numbers = closes.set_axis([1, 2], axis=1).rename_axis(columns="Ticker").stack(future_stack=True)
    numbers = numbers.rename("Close").reset_index()
    mixed = closes.reset_index()
    mixed["Date"] = [
        pandas.Timestamp(DATES[0], tz="Asia/Tokyo"),
        pandas.Timestamp(DATES[1], tz="America/New_York"),
        dates[2],
    ]
    texts = closes.map("${:,.2f}".format).reset_index()
    stacked = closes.rename_axis(index=None).stack(future_stack=True).rename("Close").to_frame()
    frames = {
        "wide": closes, "download": download, "swapped": download.swaplevel(axis=1),
        "download reset": download.reset_index(),
        "pairs as text": flat, "Tokyo": tokyo, "a column of Tokyo": tokyo.reset_index(),
        "numbers": numbers,
        "stacked": stacked, "stacked and named": stacked.rename_axis(["Date", "Ticker"]), "mixed zones": mixed,
        "texts": texts, "periods": closes.set_axis(dates.to_period("D")),
        "stacked download": download.stack(future_stack=True),
        "nullable": closes.astype("Float64"), "integers": closes.set_axis(dates.astype("datetime64[s]").astype(int)),
    }  # fmt: skip
    path = tmp_path / "closes.parquet"
    path.touch()
    for name, frame in frames.items():
        monkeypatch.setattr(pandas, "read_parquet", lambda _, frame=frame: frame)
        panel = load_prices(path)
        assert panel.tickers == (("1", "2") if name == "numbers" else ("A", "B")), name
        assert panel.dates == DATES, name
        np.testing.assert_array_equal(panel.closes, CLOSES, err_msg=name)
    for zone in ("Etc/UTC", "UTC"):
        monkeypatch.setattr(pandas, "read_parquet", lambda _, zone=zone: tokyo.tz_convert(zone))
        with pytest.raises(ValueError, match=r"row 0: .* an instant in UTC"):
            load_prices(path)
    assert load_prices(path, zone="Asia/Tokyo").dates == DATES


def test_columns_that_names_do_not_tell_are_named_by_the_caller(tmp_path):
    text = lines("when,what,worth", [(date, "A", close) for date, close in zip(DATES, (1, 2.5, 3), strict=True)])
    columns = {"date": "when", "ticker": "what", "close": "Worth"}
    np.testing.assert_array_equal(read(tmp_path, text, columns=columns, adjusted=True).closes[:, 0], [1, 2.5, 3])
    with pytest.raises(ValueError, match="close='value', and the header is 'when,what,worth'"):
        read(tmp_path, text, columns={"close": "value"})
    with pytest.raises(ValueError, match="columns: got open; expected some of date, ticker"):
        read(tmp_path, text, columns={"open": "worth"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Date,A\n01/02/2024,1\n02/02/2024,2\n", r"csv:2: .*'01/02/2024', and either number may be the month"),
        ("Date,A\n13/02/2024,1\n02/13/2024,2\n", "some have the day first, others the month"),
        ("Date,A\n1/2/24,1\n", r"csv:2: the date is '1/2/24'; expected YYYY-MM-DD"),
        ("Date,A\n45321,1\n", "the date is '45321'; expected"),
        ("Date;A\n2024-01-30;1,234\n", "'1,234' may have a decimal comma, or thousands"),
        ('Date,A,B\n2024-01-30,"1,5",1.5\n', "'1.5' has a decimal point and '1,5' a decimal comma"),
        ('Date,A\n2024-01-30,"1,5"\n2024-01-31,"1,234.5"\n', "'1,234.5' has a decimal point and '1,5' a decimal comma"),
        ("Date,A\n2024-01-30,$1\n2024-01-31,€2\n", r"csv:3: A is in € and before in \$; expected one currency"),
        ("Date,A\n2024-01-30,0\n", "A is '0'; expected a positive number"),
        ("Date,A\n2024-01-30,-3\n", "A is '-3'; expected a positive number"),
        ("Date,A,A\n2024-01-30,1,2\n", r"csv:1: 'A' occurs twice"),
        ("Date,A,A.1\n2024-01-30,1,2\n", r"csv:1: 'A.1' occurs twice"),
        ("Date,Close,Close.1\n2024-01-30,1,2\n", "Close and Close.1 may both be the close"),
        ("Date,aapl,AAPL\n2024-01-30,1,2\n", "'aapl' and 'AAPL' differ in case alone"),
        ("Date,Ticker,Close\n2024-01-30,A,1\n2024-01-31,a,1\n", "'A' and 'a' differ in case alone|'a' and 'A'"),
        ("Date,Ticker,Close\n2024-01-30,,1\n", r"csv:2: Ticker is empty"),
        ("Date,Open,High,Low,Volume\n2024-01-30,1,1,1,1\n", "has 'Volume', which is no ticker, and no close"),
        ("Date,Open,High,Low\n2024-01-30,1,1,1\n", "has 'Open', which is no ticker, and no close"),
        ("Date,A,Volume\n2024-01-30,1,1\n", "has 'Volume', which is no ticker"),
        ("Date,Close,Stock Splits\n2024-01-30,1,x\n2024-01-31,1,0\n", "csv:2: Stock Splits is 'x'"),
        ("Date,Open,Close,Adj Value\n2024-01-30,1,1,1\n", "'Adj Value' may be the adjusted close"),
        ("Date,ADJ,BHP,Close\n2024-01-30,1,1,1\n", "'ADJ' may be the adjusted close"),
        ("Datum;Erster;Hoch;Tief\n2024-01-30;1;1;1\n", "has 'Erster', which is no ticker"),
        ("Date,Ticker,Worth\n2024-01-30,7203,1\n2024-01-30,6758,1\n", "has 'Ticker' and no close"),
        ("Date,Close,A\n2024-01-30,1,1\n", "has 'Close' and 'A', which may be a ticker"),
        ("Date,Datum Date,A\n2024-01-30,,1\nx,,1\n", "the date is 'x'"),
        ("2024-01-30,1\n2024-01-31,2\n", r"csv:1: the header begins \['2024-01-30', '1'\]"),
        ("Price,Open,Volume\nTicker,A,A\nDate,,\n2024-01-30,1,1\n", "expected a field such as Close and a ticker"),
        ("Price,Close,Close\nTicker,A,A\nDate,,\n2024-01-30,1,1\n", "'Close A' is there twice"),
        ("", "nothing is in this file"),
    ],
)  # fmt: skip
def test_what_is_open_or_wrong_is_named(text, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, text)


def test_decimals_are_those_of_the_whole_table(tmp_path):
    panel = read(tmp_path, "Date;Open;Close;Volume\n2024-01-30;1,5;1.234;9.000\n", "A.csv")
    np.testing.assert_array_equal(panel.closes, [[1234]])
    panel = read(tmp_path, 'Date,Open,Close,Volume\n2024-01-30,1.5,"1,234","9,000"\n', "A.csv")
    np.testing.assert_array_equal(panel.closes, [[1234]])


def test_tickers_that_are_words_are_tickers(tmp_path):
    panel = read(tmp_path, "Date,LOW,DAY,OPEN,HD\n2024-01-30,1,2,3,4\n")
    assert panel.tickers == ("LOW", "DAY", "OPEN", "HD")


def test_a_number_of_the_row_is_no_ticker(tmp_path):
    panel = read(tmp_path, "id,date,open,close\n7,2024-01-30,1,1\n8,2024-01-31,1,2.5\n", "A.csv", adjusted=True)
    np.testing.assert_array_equal(panel.closes, [[1], [2.5]])
    assert panel.tickers == ("A",)


def test_a_folder_takes_every_ending_and_files_that_name_their_tickers(tmp_path):
    (tmp_path / "A.CSV").write_text("Date,Close\n2024-01-30,1\n2024-01-31,1.1\n")
    (tmp_path / "old.csv").write_text("Date,Ticker,Close\n2024-01-30,B,2\n")
    (tmp_path / "new.csv").write_text("Date,Ticker,Close\n2024-01-31,B,2.1\n2024-01-31,C,3\n")
    (tmp_path / ".A.csv").write_bytes(b"\xff")
    panel = load_prices(tmp_path)
    assert panel.tickers == ("A", "B", "C")
    np.testing.assert_array_equal(panel.closes, [[1, 2, np.nan], [1.1, 2.1, 3]])
    (tmp_path / "B.csv").write_text("Date,Close\n2024-01-30,2\n")
    with pytest.raises(ValueError, match="'B' occurs twice"):
        load_prices(tmp_path)


def test_all_that_is_wrong_is_said_at_once(tmp_path):
    (tmp_path / "A.csv").write_text("Date,Close\n2024-01-30,x\nyesterday,1\n")
    (tmp_path / "B.csv").write_text("Date,Close\n" + "2024-01-30,-1\n" * 10)
    (tmp_path / "C.csv").write_text("Date,Close\n2024-01-30,1\n")
    (tmp_path / "D.csv").write_text("Day,Price\n2024-01-30,1\n")
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        load_prices(tmp_path)
    said = str(caught.value)
    assert said.startswith("13 errors in 3 files:")
    for part in ("A.csv:2: Close is 'x'", "A.csv:3: the date is 'yesterday'", "B.csv:2", "B.csv: 7 more", "D.csv:1"):
        assert part in said
    assert "C.csv" not in said


def ranking(folder, name, closes):
    folder.mkdir(exist_ok=True)
    rows = [
        f"{day:.6f}," + ",".join(["-1234" if day < 1 else f"{close:.6f}"] * 4) + f",{close}"
        for day, close in enumerate(closes)
    ]
    (folder / name).write_text("\n".join(rows) + "\n")


def test_the_files_of_relational_stock_ranking(tmp_path):
    folder = tmp_path / "2013-01-01"
    ranking(folder, "NASDAQ_AAPL_1.csv", [0.5, 0.25, 0.75])
    ranking(folder, "NASDAQ_MSFT_1.csv", [0.9, -1234, 1.0])
    panel = load_prices(folder)
    assert panel.tickers == ("AAPL", "MSFT")
    np.testing.assert_array_equal(panel.closes, [[0.5, 0.9], [0.25, np.nan], [0.75, 1.0]])  # adjusted: no split
    assert panel.features.shape == (3, 2, 5)
    assert np.isnan(panel.features[0, 0, :4]).all()
    assert panel.counts()["no calendar"] == 1
    (tmp_path / "NASDAQ_aver_line_dates.csv").write_text("\n".join(f"2013-01-0{day} 16:00:00" for day in (2, 3, 4, 7)))
    assert load_prices(folder).dates == ("2013-01-03", "2013-01-04", "2013-01-07")
    ranking(folder, "NASDAQ_MSFT_1.csv", [0.9, 0.9, -1234])
    ranking(folder, "NASDAQ_GE_1.csv", [0.9, 0.9, -1234])
    assert load_prices(folder).dates == ("2013-01-03", "2013-01-04")  # as the authors' program reads NASDAQ
    ranking(folder, "B_1.csv", [-5, 0.5])
    (folder / "C_1.csv").write_text("0,1,2\n")
    with pytest.raises(ValueError, match=r"(?s)B_1\.csv:1: expected positive.*C_1\.csv:1: 3 numbers and no header"):
        load_prices(folder)
