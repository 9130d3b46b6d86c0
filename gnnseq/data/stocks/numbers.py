"""Numbers from the texts that tables have for them: decimal points or commas, thousands apart, signs of currencies."""

import math
import re
from collections.abc import Callable, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

__all__ = ["decimal_sign", "read_numbers"]

# How tables write that there is no number.
NOTHING = {
    "",
    "null",
    "nan",
    "na",
    "n/a",
    "none",
    "-",
    "--",
    "—",
    ".",
    "n.a.",
    "nat",
    "<na>",
    "#n/a",
    "#na",
    "#n/a n/a",
}
CURRENCY = "$€£¥₹₩₽฿₺₫₪"
GROUPS = re.compile(r"(?<=\d)[\u00a0\u2009\u202f '’](?=\d{3}(?!\d))")  # 1 234 or 1'234
PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
GROUPED = {sign: re.compile(rf"[+-]?\d{{1,3}}(\{sign}\d{{3}})+") for sign in ".,"}
UNITS = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}


def decimal_sign(columns: Sequence[Sequence[str]]) -> str:
    """Whether a table's decimals follow a point or a comma.

    Raises:
        ValueError: Some follow a point and some a comma, or that is open, as in 1,234 alone.

    Example:
        >>> decimal_sign([["1.234,5", "7"]]), decimal_sign([["1,234", "1.5"]]), decimal_sign([["1.234"], ["9.000.000"]])
        (',', '.', ',')
    """
    if not any("," in cell or cell.count(".") > 1 for cell in chain.from_iterable(columns)):
        return "."
    proofs: dict[str, str] = {}
    open_cell = None
    for cell in chain.from_iterable(columns):
        number = GROUPS.sub("", cell.strip(f"{CURRENCY} +-kKmMbBtT"))
        if not re.fullmatch(r"[\d.,]*[.,][\d.,]*", number):
            continue
        last = max(".,", key=number.rfind)
        other = "," if last == "." else "."
        whole, _, rest = number.rpartition(last)
        if number.count(last) > 1:
            if GROUPED[last].fullmatch(number):
                proofs.setdefault(other, cell)
        elif other in number or len(rest) != 3 or not 1 <= len(whole) <= 3 or whole == "0":
            proofs.setdefault(last, cell)
        elif last == ",":
            open_cell = open_cell or cell
    if len(proofs) > 1:
        raise ValueError(
            f"{proofs['.']!r} has a decimal point and {proofs[',']!r} a decimal comma; expected one of them"
        )
    if not proofs and open_cell is not None:
        raise ValueError(f"{open_cell!r} may have a decimal comma, or thousands; expected decimals after a point")
    return next(iter(proofs), ".")


def read_numbers(
    column: Sequence[str] | NDArray[np.float64],
    complain: Callable[[int, str], None],
    decimal: str = ".",
    units: bool = False,
) -> NDArray[np.float64]:
    """Numbers of a column; NaN where there is none, infinite where a text is no number.

    Args:
        column: Texts or numbers.
        complain: Takes the row and what is wrong with several cells together: currencies.
        decimal: Point or comma.
        units: Whether 1.2M is a number.

    Example:
        >>> read_numbers(["$1,234.50", "n/a", "12", "x"], print).tolist()
        [1234.5, nan, 12.0, inf]
    """
    if isinstance(column, np.ndarray):
        return column.astype(np.float64)
    if decimal == "." and "_" not in "".join(column):  # 1_000 is a number to Python alone
        try:
            return np.array([float(cell or "nan") for cell in column])
        except ValueError:
            pass  # cell by cell, then
    found = np.empty(len(column))
    currencies: dict[str, int] = {}
    for row, cell in enumerate(column):
        if decimal == "." and PLAIN.fullmatch(cell):
            found[row] = float(cell)
        elif cell.lower() in NOTHING:
            found[row] = math.nan
        else:
            sign = next((sign for sign in CURRENCY if cell.lstrip("+-").startswith(sign) or cell.endswith(sign)), None)
            if sign is not None:
                currencies.setdefault(sign, row)
            found[row] = _written(cell.replace(sign or " ", "", 1) if sign else cell, decimal, units)
    if len(currencies) > 1:
        one, other, *_ = currencies
        complain(currencies[other], f"is in {other} and before in {one}; expected one currency a column")
    return found


def _written(text: str, decimal: str, units: bool) -> float:
    text = GROUPS.sub("", text.strip())
    factor = 1.0
    if units and text and text[-1].lower() in UNITS:
        factor, text = UNITS[text[-1].lower()], text[:-1].strip()
    thousands = "," if decimal == "." else "."
    whole, point, rest = text.partition(decimal)
    if thousands in whole:
        if not GROUPED[thousands].fullmatch(whole):
            return math.inf
        whole = whole.replace(thousands, "")
    text = whole + "." * bool(point) + rest
    return factor * float(text) if PLAIN.fullmatch(text) else math.inf
