"""Prices from files: one ticker a file, tables of every usual form, or a packed panel.

Reads nothing that runs code: no pickles. What files say wrong is one error, with file and line of each; what a market
does (gaps, listings, splits) is a :class:`gnnseq.data.stocks.panel.Finding`.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gnnseq.data.packed import read_arrays
from gnnseq.data.stocks.days import time_zone
from gnnseq.data.stocks.forms import GIVEN, quotes_of
from gnnseq.data.stocks.panel import Panel, examine
from gnnseq.data.stocks.quotes import Quotes, assemble
from gnnseq.data.stocks.ranking_files import is_calendar, ranking_panel
from gnnseq.data.stocks.tables import Errors, read_table

__all__ = ["load_prices", "price_files"]

TABLES = (".csv", ".tsv", ".parquet", ".pq")
IN_FOLDERS = (".csv", ".parquet", ".pq")  # what else lies in a folder may be about stocks and no prices


def load_prices(
    path: str | Path,
    adjusted: bool | None = None,
    *,
    zone: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Panel:
    r"""Closing prices from whichever of these ``path`` is.

    - A folder of CSV or Parquet files, one a ticker that the file is named after: ``Date`` and ``Close`` among the
      columns. Trading days are those of all files together. Files may also have a column of tickers.
    - One table: of one ticker; one row a ticker and day, with a column such as "Ticker"; one column a ticker; or one
      column a field and ticker, as pandas downloads come, in three rows of names or two levels.
    - The files of Feng et al. 2019, ``NASDAQ_AAPL_1.csv``, without names: day, four averages and close, -1234 for none.
    - A packed panel, an ``.npz`` with ``features`` [N, T, F] whose last is the close, ``tickers`` and ``dates``.

    An adjusted close, however it is spelled, is used where there is one. It is scaled by later splits and dividends,
    but its ratios from day to day are not, and nothing else is used. A day without volume is a day without price. Days
    are sorted; of a date that occurs twice each ticker's last row with a price counts; both are findings.

    Whether plain closes are adjusted, ``adjusted`` says. If it does not, and the file lists no splits, a move that a
    split could be is an error: in adjusted closes it is a return, in others none. Days are those that timestamps say in
    their own zone. The guide lists every form, and what is refused.

    Args:
        path: Folder or file. Parquet needs pandas and pyarrow.
        adjusted: Whether plain closes are adjusted for splits: yes, no, or unknown.
        zone: Time zone of the exchange, such as "Asia/Tokyo", where timestamps are instants in UTC.
        columns: Names of the columns of ``"date"``, ``"ticker"``, ``"close"`` and ``"volume"``, where they do not tell.

    Raises:
        ValueError: A form is unknown, lines are wrong, or it is unknown whether a price split; the message gives every
            wrong file, with lines.
        FileNotFoundError: There is nothing at ``path``, or no table in the folder.
        ImportError: The file is Parquet and pyarrow is missing.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "closes.csv"
        >>> _ = path.write_text("Date,A,B\n2024-01-02,1.0,2.0\n2024-01-03,1.1,\n")
        >>> load_prices(path).closes.tolist()
        [[1.0, 2.0], [1.1, nan]]
        >>> _ = path.write_text("day,symbol,adjClose\n2024-01-02,A,1\n2024-01-02,B,2\n2024-01-03,A,1.1\n")
        >>> load_prices(path).closes.tolist()
        [[1.0, 2.0], [1.1, nan]]
    """
    path, given, exchange = Path(path), dict(columns or {}), time_zone(zone)
    if unknown := given.keys() - set(GIVEN):
        raise ValueError(f"columns: got {', '.join(sorted(unknown))}; expected some of {', '.join(GIVEN)}")
    files = price_files(path)
    if path.suffix.lower() == ".npz" and not path.is_dir():
        return _packed(path)
    errors, tables = Errors(), []
    for file in files:
        try:
            tables.append(read_table(file, errors))
        except ValueError as error:
            errors.add(file, str(error))
    nameless = [table for table in tables if not table.names]
    if nameless and len(nameless) == len(tables):
        return ranking_panel(path, nameless, errors)
    quotes: list[Quotes] = []
    for table in tables:
        try:
            if not table.names:
                raise ValueError(f"{table.header}: holds numbers alone; expected a header with Date and Close")
            quotes += quotes_of(table, given, exchange, errors, alone=not path.is_dir())
        except ValueError as error:
            errors.add(table.path, str(error))
    errors.check()
    try:
        return assemble(quotes, adjusted, errors)
    except ValueError as error:
        raise error if str(path) in str(error) else ValueError(f"{path}: {error}") from error


def price_files(path: Path) -> list[Path]:
    """The files that prices at ``path`` are read from.

    Raises:
        ValueError: The file's form is unknown.
        FileNotFoundError: There is nothing at ``path``, or no table in the folder.
    """
    if path.is_dir():
        files = sorted(
            file
            for file in path.iterdir()
            if file.suffix.lower() in IN_FOLDERS and not file.name.startswith(".") and not is_calendar(file)
        )
        if not files:
            raise FileNotFoundError(f"{path}: no .csv in this folder; expected one a ticker")
        return files
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder; expected prices there")
    if path.suffix.lower() not in (*TABLES, ".npz"):
        raise ValueError(f"{path}: form {path.suffix!r} is unknown; expected a folder of CSVs, .csv, .tsv, .parquet or "
                         ".npz")  # fmt: skip
    return [path]


def _packed(path: Path) -> Panel:
    arrays = read_arrays(path, "not a packed panel of plain arrays")
    missing = {"features", "tickers", "dates"} - arrays.keys()
    if missing:
        raise ValueError(f"{path}: has {', '.join(arrays)}; expected also {', '.join(sorted(missing))}")
    given, dates, tickers = arrays["features"], arrays["dates"], arrays["tickers"]
    if given.dtype.kind not in "iuf" or given.ndim != 3 or given.shape[:2] != (tickers.size, dates.size):
        raise ValueError(f"{path}: features are {given.dtype} {list(given.shape)}; expected numbers [tickers, dates, "
                         f"F], of {tickers.size} tickers and {dates.size} dates")  # fmt: skip
    features = given.astype(np.float64).swapaxes(0, 1)  # [T, N, F]
    names = arrays.get("feature_names", np.array([f"feature {index}" for index in range(features.shape[2])]))
    try:
        return examine(
            features[..., -1],
            [str(date) for date in dates.reshape(-1)],
            [str(ticker) for ticker in tickers.reshape(-1)],
            adjusted=True,
            features=features,
            feature_names=[str(name) for name in names.reshape(-1)],
        )
    except (IndexError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
