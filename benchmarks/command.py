"""What the scripts' commands do alike: end with an exit code, and report from the JSON alone."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import tyro
from rich.console import Console

from gnnseq.experiments import PLAIN, read_json

Settings = TypeVar("Settings")


def run(main: Callable[[Settings], int], settings: type[Settings]) -> NoReturn:
    """Call ``main`` with the settings that the command line gives, and end with an exit code.

    0: done; 1: a claim does not hold, as ``main`` says; 2: an argument or a file is wrong, and stderr says which;
    130: interrupted.
    """
    try:
        sys.exit(main(tyro.cli(settings, config=(tyro.conf.FlagCreatePairsOff, tyro.conf.DisallowNone))))
    except (ImportError, OSError, ValueError) as error:
        print(f"{Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\ninterrupted; the same command continues from the finished runs in cache/, if any", file=sys.stderr)
        sys.exit(130)


def read_result(path: Path) -> Any:
    """Read the result that a run without --report-only has written.

    Raises:
        FileNotFoundError: There is none.
        UnreadableResultError: It is not complete JSON.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; run the command without --report-only first")
    return read_json(path)


def report(
    path: Path,
    print_report: Callable[[Any, Console], None],
    figures: Callable[[Any, Path], Iterable[Path]],
    console: Console,
) -> Any:
    """Print the tables and draw the figures of the result at ``path``, beside it; gives the result."""
    result = read_result(path)
    print_report(result, console)
    for figure in figures(result, path.with_suffix("")):
        console.print(f"wrote {figure}", **PLAIN)
    console.print(f"from  {path}", **PLAIN)
    return result
