"""Which form a graph file has, by its name and its first bytes, and who reads it."""

import re
from pathlib import Path

import networkx as nx

from gnnseq.data.graph_files.draft import Draft, wrong
from gnnseq.data.graph_files.edge_list import read_adjacency_list, read_edge_list
from gnnseq.data.graph_files.gml import read_gml
from gnnseq.data.graph_files.matrices import MOST_BYTES, read_matrix_market, read_npz
from gnnseq.data.graph_files.pajek import read_pajek
from gnnseq.data.graph_files.xml_graphs import read_xml
from gnnseq.data.packed import read_unpacked

__all__ = ["read_graph"]

FORMS = "an edge list, an adjacency list (.adjlist), GraphML, GEXF, GML, Pajek, MatrixMarket or npz"
SUFFIXES = {
    ".graphml": "xml",
    ".gexf": "xml",
    ".gml": "gml",
    ".net": "pajek",
    ".pajek": "pajek",
    ".mtx": "mtx",
    ".npz": "npz",
    ".adjlist": "adjacency",
}
OTHERS = {
    *(".bz2", ".dot", ".gpickle", ".gv", ".h5", ".json", ".mat", ".npy"),
    *(".parquet", ".pickle", ".pkl", ".pt", ".xls", ".xlsx", ".xz", ".zip"),
}


def read_graph(
    path: str | Path, directed: bool | None = None, heading: bool | None = None, weights: bool = True
) -> nx.Graph:
    r"""The graph in a file, each node under its name in the file, each edge with its "weight" if it has one.

    ====================== ============================== ================================================
    form                   files                          names; weights; direction
    ====================== ============================== ================================================
    edge list              any other; .txt .csv .tsv      as written; third column; ``directed``
    networkx's edge list   ``a b {'weight': 1}``          as written; "weight"; ``directed``
    adjacency list         .adjlist                       as written; none; ``directed``
    GraphML                .graphml                       ids; key "weight"; the file's
    GEXF                   .gexf                          labels or ids; weight or attribute; the file's
    GML                    .gml                           labels or ids; "weight" or "value"; the file's
    Pajek                  .net .pajek                    labels or numbers; value or 1; the file's
    MatrixMarket           .mtx                           "0", "1", ...; entries; by symmetry
    scipy.sparse, arrays   .npz                           "0", "1", ...; entries; by symmetry
    ====================== ============================== ================================================

    Any of them may be packed (.gz). What a file says in its first bytes counts where its name says nothing. Text is
    UTF-8. An edge list has tabs, semicolons, commas or blanks between, whichever the first line has; empty lines and
    those that begin with # or % are comments. Names are labels where every node has one and no two are the same.

    Several edges between two nodes are one, counted in ``graph.graph["merged"]``, if their weights are the same, and an
    error if they are not; a matrix has every entry once. In a matrix a 0 is no edge; an edge that a list says weighs 0
    is one. Where a file mixes directed and undirected edges, undirected ones go both ways. Self-loops stay. Nothing in
    a file is run, and no size that it declares is believed before it is checked.

    Args:
        path: The file.
        directed: Whether edges go from the first name to the second, where the file does not say; None means what the
            file says, else undirected, and of a matrix whether it is symmetric.
        heading: Whether an edge list's first line is a heading; None decides by the file (known words such as source
            and target; a third column that is text there and a number below; names above whole numbers) and asks by a
            ValueError where the file leaves it open.
        weights: Whether weights are read; without, edges may disagree on them.

    Returns:
        A Graph or a DiGraph. ``graph.graph`` has "form", what the file was read as; "heading", its columns' names or
        None; "merged", how many repeated edges were left out. torch_geometric's ``from_networkx`` calls the weights
        ``weight``, not ``edge_weight``, and keeps the nodes' order.

    Raises:
        ValueError: The file is not what it should be; the message says where, what stands there and what is legal.
        FileNotFoundError: There is no such file.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "flights.csv"
        >>> _ = path.write_text("from,to,hours\nNew York,Oslo,7.5\nOslo,Rome,3\n")
        >>> graph = read_graph(path)
        >>> list(graph.edges(data="weight")), graph.graph["heading"]
        ([('New York', 'Oslo', 7.5), ('Oslo', 'Rome', 3.0)], ['from', 'to', 'hours'])
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected {FORMS}")
    content = _content(path)
    suffix = Path(path.stem).suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()
    form = SUFFIXES.get(suffix) or _form(content)
    if suffix in OTHERS or form == "json":
        raise ValueError(f"{path}: no form that is read here; expected {FORMS}")
    if heading and form != "edges":
        raise ValueError(
            f"heading=True and {path}, which is no edge list; expected heading=None: no other form has one"
        )
    draft = Draft(path, form)
    if form == "xml":
        read_xml(content, draft, suffix)
    elif form == "npz":
        read_npz(content, draft)
    else:
        text = _text(content, path)
        if form == "adjacency":
            read_adjacency_list(text, draft)
        elif form == "edges":
            read_edge_list(text, draft, heading)
        else:
            {"gml": read_gml, "mtx": read_matrix_market, "pajek": read_pajek}[form](text, draft)
    if not draft.nodes:
        under = "" if draft.heading is None else f" under the heading {', '.join(draft.heading)!r}"
        raise ValueError(
            f"{path}: no nodes{under}; expected a graph, such as one edge a line: two names, blank or comma between"
        )
    return draft.graph(directed, weights)


def _content(path: Path) -> bytes:
    """The file's bytes, unpacked."""
    content = read_unpacked(path, MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise wrong(path, None, f"more than {MOST_BYTES:,} bytes", "a smaller graph")
    return content


def _form(content: bytes) -> str:
    """What the first bytes say, for a name that says nothing."""
    if content.startswith(b"PK\x03\x04"):
        return "npz"
    head = content[:10_000].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if head.startswith((b"{", b"[")):
        return "json"
    if head.startswith(b"<"):
        return "xml"
    if head.startswith(b"%%matrixmarket"):
        return "mtx"
    if re.match(rb"(%.*\n|\s*\n)*\*(vertices|network)\b", head):
        return "pajek"
    if re.search(rb"(?m)^graph\s*\[", head):
        return "gml"
    return "edges"


def _text(content: bytes, path: Path) -> str:
    """UTF-8, with or without a byte order mark, and line ends of any system."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}, line {line}: not text ({error.reason}); expected UTF-8: convert the file, or name it "
            "after its form (.npz, .graphml)"
        ) from error
    if "\0" in text:
        raise ValueError(f"{path}: not text (it holds zero bytes); expected UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")
