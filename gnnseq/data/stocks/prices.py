"""Prices from files: a folder of Yahoo's CSVs, a wide table, or a packed panel.

Reads nothing that runs code: no pickles. What a file says wrong is an error with its line; what a market does (gaps,
listings, splits) is a :class:`gnnseq.data.stocks.panel.Finding`.
"""

import csv
import io
import math
import zipfile
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gnnseq.data.stocks.panel import DATE, Finding, Panel, examine

__all__ = ["load_prices", "read_utf8"]

NOTHING = {"", "null", "nan", "na", "n/a", "none", "-"}  # how tables write that there is no number


def load_prices(path: str | Path, adjusted: bool = False) -> Panel:
    r"""Closing prices from whichever of these ``path`` is.

    - A folder of CSVs, one a ticker, in Yahoo's form: ``Date,Open,High,Low,Close,Adj Close,Volume``. "Adj Close" is
      used where there is one. It is scaled by later splits and dividends, but its ratios from day to day are not, and
      nothing else is used. Trading days are those of all files together. A day without volume is a day without price.
    - A CSV or Parquet file whose first column is the date and whose others are the closes of one ticker each; an empty
      cell is no price. Parquet needs pandas and pyarrow.
    - A packed panel, an ``.npz`` with ``features`` [N, T, F] whose last is the close, ``tickers`` and ``dates``.

    Days are sorted; of a date that occurs twice the last row counts; both are findings.

    Args:
        path: Folder or file.
        adjusted: Whether closes are adjusted for splits already; "Adj Close" and packed panels always are.

    Raises:
        ValueError: The file's form is unknown, or a line is wrong; the message gives file and line.
        FileNotFoundError: There is nothing at ``path``, or no CSV in the folder.
        ImportError: The file is Parquet and pyarrow is missing.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "closes.csv"
        >>> _ = path.write_text("Date,A,B\n2024-01-02,1.0,2.0\n2024-01-03,1.1,\n")
        >>> load_prices(path).closes.tolist()
        [[1.0, 2.0], [1.1, nan]]
    """
    path = Path(path)
    if path.is_dir():
        return _folder(path, adjusted)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder; expected prices there")
    readers = {".csv": _wide_csv, ".parquet": _parquet}
    if path.suffix in readers:
        return readers[path.suffix](path, adjusted)
    if path.suffix == ".npz":
        return _packed(path)
    raise ValueError(f"{path}: form {path.suffix!r} is unknown; expected a folder of CSVs, .csv, .parquet or .npz")


def read_utf8(path: Path) -> str:
    """The text of a file, without a byte order mark.

    Raises:
        ValueError: It is not UTF-8; with file and line.
    """
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}:{line}: not UTF-8 ({error.reason}); convert the file") from error


def _rows(path: Path) -> Iterator[tuple[str, list[str]]]:
    """The lines of a CSV that are not empty, each with "file:line" to complain about."""
    reader = csv.reader(io.StringIO(read_utf8(path), newline=""))
    line = 1  # where the row begins: a quotation mark that is never closed makes it end far below
    try:
        for row in reader:
            if row:
                yield f"{path}:{line}", row
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{path}:{line}: not a line of CSV ({error})") from error


def _float(text: str) -> float:
    """The number that a text is, NaN where it is none; not Python's own ways to write one, such as 1_000."""
    try:
        return math.nan if "_" in text else float(text)
    except ValueError:
        return math.nan


def _number(text: str, where: str, column: str) -> float:
    """A positive price; NaN where there is none."""
    if text.strip().lower() in NOTHING:
        return math.nan
    value = _float(text)
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{where}: {column} is {text!r}; expected a positive number, or nothing for no price")
    return value


def _date(text: str, where: str) -> str:
    if not DATE.fullmatch(text):
        raise ValueError(f"{where}: the date is {text!r}; expected YYYY-MM-DD")
    try:
        return str(np.datetime64(text, "D"))
    except ValueError as error:
        raise ValueError(f"{where}: the date {text!r} is not in the calendar") from error


def _in_order(dates: Sequence[str], ticker: str) -> tuple[list[int], list[Finding]]:
    """Which rows to keep, in order of time: the last of each date."""
    found = []
    if any(before > after for before, after in pairwise(dates)):
        found.append(Finding("order", ticker, min(dates), "rows not in order of time; sorted"))
    last = {date: row for row, date in enumerate(dates)}
    for date in sorted(last):
        count = dates.count(date) if len(last) < len(dates) else 1
        if count > 1:
            found.append(Finding("duplicated date", ticker, date, f"{count} rows; the last one counts"))
    return [last[date] for date in sorted(last)], found


def _folder(path: Path, adjusted: bool) -> Panel:
    files = sorted(path.glob("*.csv"))
    if not files:
        raise FileNotFoundError(f"{path}: no .csv in this folder; expected one a ticker")
    series: dict[str, dict[str, float]] = {}
    found: list[Finding] = []
    has_adjusted = []
    for file in files:
        prices, own, uses_adjusted = _yahoo(file)
        series[file.stem] = prices
        found += own
        has_adjusted.append(uses_adjusted)
    if any(has_adjusted) and not all(has_adjusted):
        other = files[has_adjusted.index(False)]
        raise ValueError(f'{other}:1: has no "Adj Close" and other files have; expected it in all files or in none')
    dates = sorted(set().union(*series.values()))
    days = {date: day for day, date in enumerate(dates)}
    closes = np.full((len(dates), len(series)), np.nan)
    for stock, prices in enumerate(series.values()):
        closes[[days[date] for date in prices], stock] = list(prices.values())
    return examine(closes, dates, tuple(series), adjusted=adjusted or all(has_adjusted), found=found)


def _yahoo(path: Path) -> tuple[dict[str, float], list[Finding], bool]:
    """The closes of one ticker by date, what was found, and whether they are adjusted."""
    rows = _rows(path)
    where, header = next(rows, (f"{path}:1", []))
    names = [name.strip().lower() for name in header]
    if "date" not in names or "close" not in names:
        raise ValueError(f"{where}: the header is {','.join(header)!r}; expected Date and Close among the columns")
    for name in ("date", "close", "adj close", "volume"):
        if names.count(name) > 1:
            raise ValueError(f"{where}: the header has {name!r} {names.count(name)} times; expected it once")
    price = names.index("adj close" if "adj close" in names else "close")
    volume = names.index("volume") if "volume" in names else None
    dates, closes, volumes = [], [], []
    for where, row in rows:
        if len(row) != len(header):
            raise ValueError(f"{where}: {len(row)} cells; expected {len(header)}, as in the header")
        dates.append(_date(row[names.index("date")], where))
        closes.append(_number(row[price], where, header[price]))
        volumes.append(1.0 if volume is None else _volume(row[volume], where))
    if not dates:
        raise ValueError(f"{path}:2: no prices follow the header")
    kept, found = _in_order(dates, path.stem)
    # A stock without volume on a day was not traded; an index never has any. Which of the two it is may only be learnt
    # from the days before: no price may depend on a later volume.
    traded = False
    for line in kept:
        traded = traded or volumes[line] > 0
        if math.isnan(closes[line]):
            found.append(Finding("empty row", path.stem, dates[line], "no number in it; a day without price"))
        elif traded and volumes[line] == 0:
            found.append(Finding("no volume", path.stem, dates[line], "nothing was traded; a day without price"))
            closes[line] = math.nan
    return {dates[line]: closes[line] for line in kept}, found, "adj close" in names


def _volume(text: str, where: str) -> float:
    if text.strip().lower() in NOTHING:
        return 1.0  # unknown is not zero
    value = _float(text)
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{where}: Volume is {text!r}; expected a number of 0 or more")
    return value


def _wide_csv(path: Path, adjusted: bool) -> Panel:
    rows = _rows(path)
    where, header = next(rows, (f"{path}:1", []))
    header = [name.strip() for name in header]
    if len(header) < 2 or header[0].lower() not in ("", "date", "day", "time") or not all(header[1:]):
        raise ValueError(f"{where}: the header begins {header[:3]}; expected Date and then one column a ticker, each "
                         "with its name")  # fmt: skip
    dates, closes = [], []
    for where, row in rows:
        if len(row) != len(header):
            raise ValueError(f"{where}: {len(row)} cells; expected {len(header)}, as in the header")
        dates.append(_date(row[0], where))
        closes.append([_number(text, where, name) for text, name in zip(row[1:], header[1:], strict=True)])
    if not dates:
        raise ValueError(f"{path}:2: no prices follow the header")
    return _wide(dates, np.array(closes), header[1:], adjusted)


def _wide(dates: Sequence[str], closes: NDArray[np.float64], tickers: Sequence[str], adjusted: bool) -> Panel:
    kept, found = _in_order(dates, "all")
    return examine(closes[kept], [dates[row] for row in kept], tickers, adjusted=adjusted, found=found)


def _parquet(path: Path, adjusted: bool) -> Panel:
    try:
        import pandas as pd

        table = pd.read_parquet(path)
    except ImportError as error:
        raise ImportError(
            f"{path}: reading Parquet needs pandas and pyarrow; run `pip install pandas pyarrow`, or save the table as "
            "CSV"
        ) from error
    if not isinstance(table.index, pd.DatetimeIndex):  # the dates are the first column, not the index
        table = table.set_index(table.columns[0])
    dates = [_date(str(date)[:10], f"{path}: row {row}") for row, date in enumerate(table.index)]
    return _wide(dates, table.to_numpy(dtype=np.float64), [str(name) for name in table.columns], adjusted)


def _packed(path: Path) -> Panel:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: not a packed panel of plain arrays ({error})") from error
    missing = {"features", "tickers", "dates"} - arrays.keys()
    if missing:
        raise ValueError(f"{path}: has {', '.join(arrays)}; expected also {', '.join(sorted(missing))}")
    features = arrays["features"].astype(np.float64).swapaxes(0, 1)  # [T, N, F]
    names = arrays.get("feature_names", np.array([f"feature {index}" for index in range(features.shape[2])]))
    return examine(
        features[..., -1],
        [str(date) for date in arrays["dates"]],
        [str(ticker) for ticker in arrays["tickers"]],
        adjusted=True,
        features=features,
        feature_names=[str(name) for name in names],
    )
