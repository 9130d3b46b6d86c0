"""What columns hold, from their names: days, tickers, closes, adjusted closes, volumes, splits.

Names are compared without case, spaces and signs, so that "Adj Close", "adj_close" and "adjClose" are one name.
"""

import re
from collections.abc import Sequence

__all__ = ["FIELDS", "LABELS", "SECOND", "is_date", "is_factor", "role", "split_names", "squeezed"]

DATES = {
    "date", "dates", "day", "datetime", "timestamp", "time", "tradedate", "tradingdate", "tradingday", "datadate",
    "caldt", "dlycaldt", "dtyyyymmdd", "pricedate", "asof", "asofdate", "datum",
}  # fmt: skip
TICKERS = {
    "ticker", "tickers", "symbol", "symbols", "tic", "tickersymbol", "stocksymbol", "permno", "permco", "gvkey",
    "cusip", "isin", "sedol", "figi", "ric", "code", "stockcode", "tscode", "id", "secid", "securityid", "stockid",
    "assetid", "instrument", "instrumentid", "asset", "stock", "stkcd", "name", "variable",
}  # fmt: skip
CLOSES = {
    "close", "closes", "closeprice", "closingprice", "closelast", "closeusd", "priceclose", "pxlast", "lastclose",
    "prccd", "closingpriceusd", "pricelast", "closing", "schluss", "schlusskurs",
}  # fmt: skip
PRICES = {"price", "prices", "last", "lastprice", "prc", "settle", "dlyprc", "value"}  # closes beside tickers or opens
VOLUMES = {
    "volume",
    "vol",
    "volumes",
    "totalvolume",
    "tradedvolume",
    "sharestraded",
    "volumeshares",
    "pxvolume",
    "volumen",
}
SPLITS = {"stocksplits", "stocksplit", "split", "splits", "splitratio", "splitfactor", "splitcoefficient"}
OTHERS = {"dividend", "dividends", "capitalgains", "divcash", "exdividend", "dividendamount", "openint", "repaired"}
FACTORS = {"cfacpr", "cumfacpr", "dlycumfacpr", "ajexdi", "cumulativefactor", "pricefactor"}
RANGES = {
    "open", "high", "low", "openprice", "highprice", "lowprice", "openingprice", "pxopen", "pxhigh", "pxlow",
    "eröffnung", "erster", "hoch", "tief",
}  # fmt: skip
FIELDS = ("open", "close", "adjusted", "volume", "splits", "other")  # roles of what a provider gives of one ticker
LABELS = {"ticker", "tickers", "symbol", "symbols", "price", "prices", "field", "fields", "attributes"}  # of such names
SECOND = re.compile(r"(?<=.)\.\d+$")
SEPARATORS = " _.|/:-"


def squeezed(name: str) -> str:
    """A name's letters and digits in small letters.

    Without a number before them ("5. adjusted close"), and without one by which pandas tells two columns apart.

    Example:
        >>> squeezed("Adj_Close*"), squeezed("5. adjusted close"), squeezed("Close.1")
        ('adjclose', 'adjustedclose', 'close')
    """
    small = "".join(sign for sign in SECOND.sub("", name.strip()).lower() if sign.isalnum())
    return re.sub(r"^\d+(?=[a-z])", "", small)


def is_date(name: str) -> bool:
    """Whether a column of this name holds days."""
    return squeezed(name) in DATES


def is_factor(name: str) -> bool:
    """Whether a column of this name holds what prices are multiplied with, or divided by, to adjust them.

    Example:
        >>> [is_factor(name) for name in ("Adj Factor", "cfacpr", "splitFactor", "Adj Close")]
        [True, True, False, False]
    """
    small = squeezed(name)
    return small in FACTORS or ("adj" in small and "vol" not in small and re.search("factor|ratio", small) is not None)


def role(name: str) -> str | None:
    """What a column of this name holds; None if that is unknown.

    "open" is any of open, high and low; "price" is a close only beside tickers or opens.

    Example:
        >>> [role(name) for name in ("adjusted_close", "Closeadj", "Close/Last", "Unadjusted Close", "AAPL")]
        ['adjusted', 'adjusted', 'close', 'close', None]
    """
    small = squeezed(name)
    if re.search("unadj|nonadj|notadj|rawclose", small):
        small = re.sub("unadjusted|unadj|nonadjusted|nonadj|notadjusted|notadj|raw", "", small)
        return role(small) if small else None
    if "adj" in small:
        if re.search("open|high|low|vol|factor|ratio", small):
            return "other"
        return "adjusted" if re.search("clos|price|prc|last|^adjusted$", small) else None
    for names, found in (
        (DATES, "date"), (TICKERS, "ticker"), (CLOSES, "close"), (PRICES, "price"), (VOLUMES, "volume"),
        (SPLITS, "splits"), (OTHERS, "other"), (RANGES, "open"),
    ):  # fmt: skip
        if small in names:
            return found
    return None


def split_names(names: Sequence[str]) -> list[tuple[str, str]] | None:
    """Field and ticker of names such as "Close_A" or "A.Close", where all are of one kind and one is a close.

    Example:
        >>> split_names(["A.Open", "A.Adjusted"]), split_names(["Adj Close B"]), split_names(["BRK.B", "A"])
        ([('Open', 'A'), ('Adjusted', 'A')], [('Adj Close', 'B')], None)
    """
    for before in (True, False):
        found = [pair for name in names if (pair := _pair(name, before)) is not None]
        if found and len(found) == len(names) and {role(field) for field, _ in found} & {"close", "adjusted"}:
            return found
    return None


def _pair(name: str, before: bool) -> tuple[str, str] | None:
    """The longest field before the ticker, or after it."""
    places = [place for place, sign in enumerate(name) if sign in SEPARATORS]
    for place in reversed(places) if before else places:
        field, ticker = (name[:place], name[place + 1 :]) if before else (name[place + 1 :], name[:place])
        if ticker.strip(SEPARATORS) and field.strip() and role(field) in FIELDS:
            return field, ticker.strip()
    return None
