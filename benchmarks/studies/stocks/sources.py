"""Where a market's files are, and what they hold; all that is wrong with them is one error."""

from collections.abc import Iterable
from pathlib import Path

from gnnseq.data import cache
from gnnseq.data.stocks.panel import Panel
from gnnseq.data.stocks.prices import load_prices
from gnnseq.data.stocks.relations import Relations, load_relations
from studies.stocks.runs import Source

# Arguments of the library that its errors ask for, and options that give them.
PRICE_OPTIONS = {"adjusted=": "--adjusted or --raw", "zone=": "--zone Asia/Tokyo", "columns=": "--columns close=NAME"}
RELATION_OPTIONS = {"columns=": "--relation-columns group=NAME"}


def read(source: Source) -> tuple[Panel, list[Relations]]:
    """Prices and relations, or what is wrong with all files; named columns are those of tables."""
    panel, several, wrong = None, [], []
    try:
        columns = dict(source.columns) or None
        panel = load_prices(source.prices, source.adjusted, zone=source.zone, columns=columns)
    except ValueError as error:
        wrong.append(_with_options(str(error), PRICE_OPTIONS))
    tickers = () if panel is None else panel.tickers
    for path in source.relations:
        named = dict(source.relation_columns) if path.suffix.lower() not in (".json", ".npz") else None
        try:
            several.append(load_relations(path, tickers, columns=named))
        except ValueError as error:
            if "of the 0 tickers" not in str(error):  # which is for want of prices
                wrong.append(_with_options(str(error), RELATION_OPTIONS))
    if panel is None or wrong:
        raise ValueError("\n".join(wrong))
    return panel, several


def _with_options(message: str, options: dict[str, str]) -> str:
    """An error of the library, with the options of the command line that answer it."""
    found = [option for argument, option in options.items() if argument in message]
    return f"{message}. On the command line: {', '.join(found)}" if found else message


def find_all(paths: Iterable[str]) -> list[Path]:
    """What :func:`find` finds of each, or all that it does not find."""
    found, missing = [], []
    for path in paths:
        try:
            found.append(find(path))
        except FileNotFoundError as error:
            missing.append(str(error))
    if missing:
        raise FileNotFoundError("\n".join(missing))
    return found


def find(path: str) -> Path:
    """A path that exists, else one in the cache of published files, which are downloaded if need be."""
    given = Path(path)
    if given.exists() or given.is_absolute():
        return given
    folder, published_files = cache.folder(), cache.names(path if given.suffix else f"{path.rstrip('/')}/")
    for name in published_files:
        cache.fetch(name)
    if not published_files and not (folder / given).exists():
        raise FileNotFoundError(f"{path}: not here, not in {folder}, and none of the published files")
    return folder / given
