"""What the result of a graph file is called, so that no file's result overwrites another's."""

from pathlib import Path

from harness.files import UnreadableResultError, fitting, read_json, short_hash

__all__ = ["file_key", "result_name", "stem_of"]


def file_key(graph: Path) -> str:
    """Stands for where a graph file is, whatever its contents are; kept in its result."""
    return short_hash(str(graph.resolve()))


def stem_of(graph: Path) -> str:
    """The file's name without its suffix, and without .gz."""
    return Path(graph.stem).stem if graph.suffix.lower() == ".gz" else graph.stem


def result_name(graph: Path, folder: Path, taken: tuple[str, ...]) -> str:
    """The file's stem, or the stem and the file's key where the stem's result in the folder is another file's.

    Args:
        graph: The graph file, which need not exist.
        folder: Where results are.
        taken: Names of results that are no graph file's.

    Example:
        >>> result_name(Path("kite.csv"), Path("nowhere"), ("quick",))
        'kite'
    """
    stem, key = fitting(stem_of(graph)), file_key(graph)
    alone = f"{stem}-{key}"
    if stem.lower() in taken or (folder / f"{alone}.json").exists():
        return alone
    try:
        there = read_json(folder / f"{stem}.json")
    except (FileNotFoundError, UnreadableResultError):  # one that was cut off is nobody's
        return stem
    own = isinstance(there, dict) and (
        there["graph_file"] == key if "graph_file" in there else there.get("influence_on") == graph.name
    )
    return stem if own else alone
