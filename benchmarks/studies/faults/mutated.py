"""Files as disks, downloads and editors leave them: cut, altered, mixed up.

Read, they give what they hold, or an error that names them; nothing in them is run.
"""

import io
import json
import pickle
import random
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np

from gnnseq.data.contacts import load_contacts
from gnnseq.data.graph_files import read_graph
from gnnseq.data.populations import load_population
from gnnseq.data.scenes import load_scenes
from gnnseq.data.series_files import read_graph_series
from gnnseq.data.stocks import load_prices, load_relations
from gnnseq.data.text import load_corpus
from gnnseq.data.trees import load_trees
from harness.files import read_json

__all__ = ["KINDS", "attempt_file", "whole"]

Draw = random.Random
TICKERS = ("AA", "BB", "CC")
RAN = "a file ran code"


class _Runs:
    """Says, once unpickled, that it was."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return exec, (f"raise SystemExit({RAN!r})",)


def _archive(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _packed_prices() -> bytes:
    dates = np.array([f"2020-01-{day:02d}" for day in range(1, 13)])
    return _archive(features=np.arange(100.0, 136).reshape(3, 12, 1), tickers=np.array(TICKERS), dates=dates)


def _written(write: Callable[[nx.Graph, Any], Any]) -> bytes:
    buffer = io.BytesIO()
    write(nx.path_graph(6), buffer)
    return buffer.getvalue()


def _table(rows: int = 12) -> bytes:
    lines = [
        "Date,AA,BB,CC",
        *(f"2020-01-{day:02d},{90 + day}.5,{100 + day},{110 - day}" for day in range(1, rows + 1)),
    ]
    return ("\n".join(lines) + "\n").encode()


def _scenes() -> bytes:
    boxes = [{"id": k, "image_id": 1, "category_id": 1, "bbox": [k, k, 9, 9]} for k in range(3)]
    found: dict[str, Any] = {
        "images": [{"id": 1, "width": 99, "height": 99, "file_name": "a.jpg"}],
        "annotations": boxes,
    }
    found |= {"box_format": "xywh"}
    found |= {"categories": [{"id": 1, "name": "person"}]}
    found |= {"relations": [{"subject": 0, "object": 1, "relation": "friends"}]}
    return json.dumps(found).encode()


def _conllu() -> bytes:
    words = (f"{k}\tw\tw\tNOUN\t_\t_\t{k - 1}\tx\t_\t_\n" for k in (1, 2, 3))
    return "".join([*words, "\n"]).encode()


def _population(path: Path) -> Any:
    people = path.with_name("people.csv")
    people.write_text("id,dx\n" + "".join(f"s{k},{k % 2}\n" for k in range(12)), encoding="utf-8")
    return load_population(path, people, "dx")


# Of each kind a name, bytes that are right, and what reads them.
KINDS: dict[str, tuple[str, Callable[[], bytes], Callable[[Path], Any]]] = {
    "edge list": ("graph.csv", lambda: b"source,target,weight\na,b,1.5\nb,c,2\nc,d,1e-3\n", read_graph),
    "plain edge list": ("graph.txt", lambda: b"0 1\n1 2\n2 3 \n", read_graph),
    "GraphML": ("graph.graphml", lambda: _written(nx.write_graphml), read_graph),
    "GEXF": ("graph.gexf", lambda: _written(nx.write_gexf), read_graph),
    "GML": ("graph.gml", lambda: _written(nx.write_gml), read_graph),
    "Pajek": ("graph.net", lambda: _written(nx.write_pajek), read_graph),
    "MatrixMarket": ("graph.mtx", lambda: b"%%MatrixMarket matrix coordinate real general\n3 3 2\n1 2 0.5\n2 3 1\n",
                     read_graph),
    "graph as npz": ("graph.npz", lambda: _archive(edge_index=np.array([[0, 1], [1, 2]]), num_nodes=3), read_graph),
    "series": ("series.csv", _table, read_graph_series),
    "series as npz": ("series.npz", lambda: _archive(data=np.arange(60.0).reshape(20, 3)), read_graph_series),
    "series as npy": ("series.npy", lambda: _array(np.arange(60.0).reshape(20, 3)), read_graph_series),
    "prices": ("prices.csv", _table, load_prices),
    "prices as npz": ("prices.npz", _packed_prices, load_prices),
    "relations as npz": ("relations.npz", lambda: _archive(
        tickers=np.array(TICKERS), wiki_edge_index=np.array([[0, 1], [1, 2]]), wiki_edge_type=np.array([0, 1])),
        lambda path: load_relations(path, TICKERS)),
    "relations": ("relations.json", lambda: b'{"steel": ["AA", "BB"], "oil": ["CC", "AA"]}',
                  lambda path: load_relations(path, TICKERS)),
    "relations as a table": ("relations.csv", lambda: b"source,target,type,weight\nAA,BB,x,1\nBB,CC,y,0.5\n",
                             lambda path: load_relations(path, TICKERS)),
    "contacts": ("contacts.txt", lambda: b"".join(b"%d %d %d\n" % (k % 5, (k + 1) % 5, 3600 * k) for k in range(40)),
                 load_contacts),
    "population": ("features.csv", lambda: b"id,f0,f1\n" + b"".join(b"s%d,%d,.5\n" % (k, k) for k in range(12)),
                   _population),
    "scenes": ("scenes.json", _scenes, load_scenes),
    "trees": ("trees.txt", lambda: b"(3 (2 a) (3 (2 good) (2 film)))\n(1 (2 no) (1 plot))\n", load_trees),
    "CoNLL-U": ("trees.conllu", _conllu, load_trees),
    "text": ("corpus.txt", lambda: b"To be, or not to be: that is the question.\n" * 20, load_corpus),
    "result": ("result.json", lambda: b'{"a": [1, 2.5], "b": {"c": "text"}}\n', read_json),
}  # fmt: skip


def _array(value: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, value)
    return buffer.getvalue()


def _pickled(kind: str) -> bytes:
    """What would run code, in the form of such a file, if somebody unpickled it."""
    if kind.endswith("npz"):
        return _archive(data=np.array([_Runs()], dtype=object), edge_index=np.array([_Runs()], dtype=object))
    return pickle.dumps(_Runs())


def _mutated(draw: Draw, kind: str, content: bytes) -> bytes:
    """The content as something went wrong with it."""
    lines, place = content.split(b"\n"), draw.randrange(len(content) or 1)
    line = draw.randrange(len(lines))
    numbers = [place for place, byte in enumerate(content) if chr(byte).isdigit()]

    def altered(new: bytes) -> bytes:
        return b"\n".join([*lines[:line], new, *lines[line + 1 :]])

    def at_number(new: bytes) -> bytes:
        if not numbers:
            return content + new
        chosen = draw.choice(numbers)
        return content[:chosen] + new + content[chosen + 1 :]

    made: bytes = draw.choice([
        lambda: b"",
        lambda: content[:place],
        lambda: content[place:],
        lambda: content[:place] + bytes([draw.randrange(256)]) + content[place + 1 :],
        lambda: content[:place] + bytes([content[place] ^ 1 << draw.randrange(8)]) + content[place + 1 :],
        lambda: content[:place] + draw.randbytes(draw.randrange(1, 30)) + content[place:],
        lambda: content[: place // 512 * 512] + bytes(512) + content[place // 512 * 512 + 512 :],
        lambda: content + content,
        lambda: altered(b""),
        lambda: altered(lines[line] + b"," + lines[line]),
        lambda: altered(b"x" * 200_000),
        lambda: altered(b'"' + lines[line]),
        lambda: altered(lines[line] + b'"' + b"y" * 140_000 + b'"'),
        lambda: altered(lines[line].upper()),
        lambda: b"\n".join(lines[:line] + lines[line + 1 :]),
        lambda: at_number(draw.choice([b"many", b"nan", b"inf", b"-1", b"1e999", b"1_0", b"9" * 40, b"", b"\xd9\xa3",
                                       b"1,5", b"--3", b"0x1F", b"None", b"null", b"[]", b"{}", b"true"])),
        lambda: at_number(b"-" + b"7" * draw.randrange(1, 25)),
        lambda: content.replace(b"\n", b"\r"),
        lambda: content.decode("latin-1").encode("utf-16"),
        lambda: draw.randbytes(200),
        lambda: b"\x1f\x8b" + content,
        lambda: __import__("gzip").compress(content)[: draw.randrange(1, 40)],
        lambda: b"PK\x03\x04" + content,
        lambda: _pickled(kind),
        lambda: _packed_text(content),
        lambda: content.replace(b'"', b"'"),
        lambda: b"[" * 100_000,
        lambda: b"(" * 100_000,
        lambda: b'{"a":' * 30_000,
    ])()  # fmt: skip
    return made


def _packed_text(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("data.npy", content)
        archive.writestr("edge_index.npy", content)
    return buffer.getvalue()


def attempt_file(seed: int) -> tuple[str, str]:
    """What became of reading a mutated file: ``right``, ``named``, or the name of an error that names no file."""
    draw = random.Random(seed)
    kind = draw.choice(list(KINDS))
    name, make, read = KINDS[kind]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder, name)
        path.write_bytes(_mutated(draw, kind, make()))
        try:
            read(path)
        except (ValueError, OSError) as error:
            if name in str(error) or str(path) in str(error):
                return "named", type(error).__name__
            return "unnamed", f"{kind}: {type(error).__name__}: {error}"
        except BaseException as error:
            return type(error).__name__, f"{kind}: {error}"
    return "right", ""


def whole(kind: str) -> Any:
    """What a file of the kind gives that nothing happened to."""
    name, make, read = KINDS[kind]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(make())
        return read(path)
