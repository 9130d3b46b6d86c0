"""Adjacency matrices: MatrixMarket's text and NumPy's .npz. Row i, column j is the edge i -> j; nodes count from 0."""

import io
import math
import re
import zipfile
from typing import Any

import numpy as np

from gnnseq.data.graph_files.draft import Draft, number, wrong
from gnnseq.data.packed import DAMAGED

__all__ = ["MOST_BYTES", "read_matrix_market", "read_npz"]

MOST_BYTES = 2**29  # of a file, unpacked
BANNER = "%%MatrixMarket matrix coordinate|array real|integer|pattern general|symmetric"


def read_matrix_market(text: str, draft: Draft) -> None:
    """A square matrix; an entry of 0 is no edge, and symmetric matrices are undirected graphs."""
    lines = [
        (line, content.split())
        for line, content in enumerate(text.split("\n"), start=1)
        if content.strip() and not content.lstrip().startswith("%")
    ]
    banner = text.partition("\n")[0].lower().split()
    if (
        len(banner) != 5
        or banner[:2] != ["%%matrixmarket", "matrix"]
        or banner[2] not in ("coordinate", "array")
        or banner[3] not in ("real", "double", "integer", "pattern")
        or banner[4] not in ("general", "symmetric")
        or banner[2:4] == ["array", "pattern"]
    ):
        raise wrong(draft.path, 1, f"{text.partition(chr(10))[0].strip()[:80]!r}", BANNER)
    _, _, layout, kind, symmetry = banner
    draft.form, symmetric = f"MatrixMarket, {layout} {kind} {symmetry}", symmetry == "symmetric"
    draft.by_symmetry = not symmetric
    sizes = [int(size) for size in lines[0][1] if re.fullmatch(r"\d{1,18}", size)] if lines else []
    if len(sizes) != (3 if layout == "coordinate" else 2) or len(sizes) != len(lines[0][1]):
        raise wrong(
            draft.path, lines[0][0] if lines else None, "no sizes", "rows, columns and, of coordinates, entries"
        )
    rows, columns = sizes[:2]
    if rows != columns:
        raise wrong(
            draft.path, lines[0][0], f"{rows} rows and {columns} columns", "as many rows as columns, one a node"
        )
    dense = rows * (rows + 1) // 2 if symmetric else rows * rows
    count = sizes[2] if layout == "coordinate" else dense
    if count != len(lines) - 1:
        raise wrong(
            draft.path,
            lines[0][0],
            f"{count:,} entries by its sizes and {len(lines) - 1:,} lines below",
            "one line an entry",
        )
    draft.declare(rows, count, lines[0][0])
    draft.nodes.update(dict.fromkeys(map(str, range(rows))))
    seen: dict[tuple[int, int], int] = {}
    width = 1 if layout == "array" else 2 if kind == "pattern" else 3
    at = [0, 0]  # row and column, as an array goes down them
    for line, fields in lines[1:]:
        value = 1.0 if kind == "pattern" else number(fields[-1])
        if len(fields) != width or value is None or not math.isfinite(value):
            raise wrong(
                draft.path,
                line,
                f"{' '.join(fields)[:60]!r}",
                "row, column and a finite number"
                if width == 3
                else "row and column"
                if width == 2
                else "a finite number",
            )
        if layout == "coordinate":
            if not all(re.fullmatch(r"\d{1,18}", end) and 1 <= int(end) <= rows for end in fields[:2]):
                raise wrong(draft.path, line, f"entry {' '.join(fields[:2])[:60]!r}", f"row and column of 1..{rows}")
            source, target = int(fields[0]) - 1, int(fields[1]) - 1
            before = seen.setdefault((source, target), line)
            if before != line:
                raise wrong(
                    draft.path,
                    line,
                    f"entry {source + 1} {target + 1}, which stands in line {before} too",
                    "each entry once: add them up or keep one",
                )
        else:
            source, target = at
            at = [at[0] + 1, at[1]] if at[0] + 1 < rows else [at[1] + 1 if symmetric else 0, at[1] + 1]
        if value != 0:
            draft.link(
                str(source), str(target), None if kind == "pattern" else value, False if symmetric else None, line
            )


def read_npz(content: bytes, draft: Draft) -> None:
    """scipy.sparse.save_npz's csr, csc and coo, or arrays called edge_index [2, E] and perhaps edge_weight [E]."""
    draft.place, draft.by_symmetry = "entry", True
    fields = _arrays(content, draft)
    names = set(fields)
    weight: np.ndarray | None
    if "edge_index" in names and "format" not in names:
        draft.form = "npz, edge_index"
        edges, weight = fields["edge_index"], fields.get("edge_weight")
        if edges.ndim != 2 or len(edges) != 2 or edges.dtype.kind not in "iu":
            raise wrong(
                draft.path,
                None,
                f"edge_index of shape {list(edges.shape)} and type {edges.dtype}",
                "whole numbers [2, E], sources above targets: transpose it",
            )
        declared = fields.get("num_nodes")
        count = int(edges.max(initial=-1)) + 1
        if declared is not None:
            if declared.size != 1 or declared.dtype.kind not in "iu" or int(declared.ravel()[0]) < count:
                raise wrong(draft.path, None, f"num_nodes {declared.tolist()}", f"one whole number of {count} or more")
            count = int(declared.ravel()[0])
        source, target = edges
    elif {"format", "shape", "data"} <= names:
        source, target, weight, count = _sparse(fields, draft)
    else:
        raise wrong(
            draft.path,
            None,
            f"arrays {', '.join(sorted(names))[:80] or 'none'}",
            "those of scipy.sparse.save_npz, or edge_index [2, E]",
        )
    if weight is not None and (weight.shape != source.shape or weight.dtype.kind not in "biuf"):
        raise wrong(
            draft.path,
            None,
            f"weights of shape {list(weight.shape)} and type {weight.dtype}",
            f"a real number an edge, [{len(source)}]",
        )
    for ends in (source, target):
        outside = (ends < 0) | (ends >= count)
        if outside.any():
            entry = int(outside.argmax())
            raise wrong(draft.path, entry, f"node {ends[entry]}", f"0..{count - 1}", "entry")
    draft.declare(count, len(source), None)
    draft.nodes.update(dict.fromkeys(map(str, range(count))))
    values = [None] * len(source) if weight is None or weight.dtype.kind == "b" else weight.astype(float).tolist()
    for entry, (here, there, value) in enumerate(zip(source.tolist(), target.tolist(), values, strict=True)):
        draft.link(str(here), str(there), value, None, entry)


def _sparse(fields: dict[str, Any], draft: Draft) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Row, column and value of each entry that is not 0, and the number of nodes; each entry once."""
    layout = fields["format"].tobytes().replace(b"\0", b"").decode("ascii", "replace")
    draft.form = f"npz, scipy.sparse {layout}"
    needed = {"coo": ("row", "col"), "csr": ("indices", "indptr"), "csc": ("indices", "indptr")}.get(layout)
    if needed is None or not set(needed) <= set(fields):
        raise wrong(draft.path, None, f"a sparse matrix of format {layout[:20]!r}", "csr, csc or coo: use .tocsr()")
    shape, values = fields["shape"].ravel(), fields["data"]
    one, two = (fields[name] for name in needed)
    if any(part.dtype.kind not in "iu" or part.ndim != 1 for part in (shape, one, two)) or values.ndim != 1:
        raise wrong(
            draft.path, None, "indices that are no whole numbers, or of two dimensions", "scipy.sparse.save_npz"
        )
    if len(shape) != 2 or shape[0] != shape[1] or shape[0] < 0:
        raise wrong(draft.path, None, f"a matrix of shape {shape.tolist()}", "as many rows as columns, one a node")
    count = int(shape[0])
    draft.declare(count, len(values), None)
    if layout == "coo":
        row, column = one, two
    else:
        steps = np.diff(two.astype(np.int64))
        if len(two) != count + 1 or two[0] != 0 or (steps < 0).any() or two[-1] != len(one):
            raise wrong(
                draft.path,
                None,
                f"indptr {two[:4].tolist()}...",
                f"{count + 1} numbers from 0 to {len(one)}, none smaller than the one before",
            )
        major = np.repeat(np.arange(count), steps)
        row, column = (major, one) if layout == "csr" else (one, major)
    if not len(row) == len(column) == len(values):
        raise wrong(draft.path, None, f"{len(row)} rows, {len(column)} columns and {len(values)} values", "one of each")
    pairs = np.stack([row, column], axis=1).astype(np.int64)
    _, first, times = np.unique(pairs, axis=0, return_index=True, return_counts=True)
    if (times > 1).any():
        twice = pairs[first[times > 1][0]].tolist()
        raise wrong(draft.path, None, f"entry {twice} stands more than once", "each entry once: use .sum_duplicates()")
    kept = values != 0
    return pairs[kept, 0], pairs[kept, 1], values[kept], count


def _arrays(content: bytes, draft: Draft) -> dict[str, np.ndarray]:
    """The arrays of a zip file, none of them pickled, and none larger than the file says it is."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
            total = sum(info.file_size for info in members)
            packed = {info.filename: archive.read(info) for info in members} if total <= MOST_BYTES else {}
    except DAMAGED as error:
        raise wrong(draft.path, None, f"{error}", "an .npz file of NumPy's") from error
    if total > MOST_BYTES:
        raise wrong(draft.path, None, f"{total:,} bytes of arrays", f"at most {MOST_BYTES:,}")
    return {name.removesuffix(".npy"): _array(array, name, draft) for name, array in packed.items()}


def _array(content: bytes, name: str, draft: Draft) -> np.ndarray:
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
    except DAMAGED as error:
        raise wrong(draft.path, None, f"{name}: {str(error)[:80]}", "an array of numpy.save") from error
    size = math.prod(shape) * dtype.itemsize
    if dtype.hasobject:
        raise wrong(
            draft.path, None, f"{name} holds Python objects, which can run code when they are read", "arrays of numbers"
        )
    if size != len(content) - stream.tell():
        raise wrong(
            draft.path,
            None,
            f"{name} says {size:,} bytes and has {len(content) - stream.tell():,}",
            "a whole array of numpy.save",
        )
    stream.seek(0)
    array: np.ndarray = np.lib.format.read_array(stream, allow_pickle=False)
    return array
