"""Graph files: every form by hand and against networkx's writers, what is refused, and that nothing is believed."""

import gzip
import io
import zipfile

import networkx as nx
import numpy as np
import pytest
import scipy.io
import scipy.sparse as sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnseq.data.graph_files import read_graph


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def edges(graph):
    return sorted((*sorted(ends), weight) if not graph.is_directed() else (*ends, weight)
                  for *ends, weight in graph.edges(data="weight"))  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("cities.csv", "New York,Oslo\nOslo,Rome\n", [("New York", "Oslo", None), ("Oslo", "Rome", None)]),
        ("two.csv", "New York,Oslo\nRome,Paris\n", [("New York", "Oslo", None), ("Paris", "Rome", None)]),
        ("tabs.tsv", "New York\tOslo\nOslo\tRome\t\n", [("New York", "Oslo", None), ("Oslo", "Rome", None)]),
        ("quotes.csv", '"York, New",Oslo,2\n"say ""a""",Oslo,3\n', [("Oslo", "York, New", 2.0),
                                                                     ("Oslo", 'say "a"', 3.0)]),
        ("semi.csv", "a;b;0,5\nb;c;1,25\n", [("a", "b", 0.5), ("b", "c", 1.25)]),
        ("blanks.txt", '"New York" Oslo 1e-3\n  Oslo  Rome 2 # far\n\n# a b\n% a b\n',
         [("New York", "Oslo", 0.001), ("Oslo", "Rome", 2.0)]),
        ("windows.csv", b"\xef\xbb\xbfa,b\r\nb,c\r\n", [("a", "b", None), ("b", "c", None)]),
        ("networkx.edgelist", "a b {'weight': 1}\nb c {'weight': 0.5, 'color': 'x}{'}\n",
         [("a", "b", 1.0), ("b", "c", 0.5)]),
        ("plain.edgelist", "a b {}\nb c {}\n", [("a", "b", None), ("b", "c", None)]),
        ("comma.edgelist", "a,b,{'weight': 3, 'x': 1}\n", [("a", "b", 3.0)]),
        ("numbers.txt", "3 1\n1 02\n1 1\n", [("02", "1", None), ("1", "1", None), ("1", "3", None)]),
        ("again.txt", "a b 1\nb a 1\na b 1.0\n", [("a", "b", 1.0)]),
        ("commas.adjlist", "New York\nOslo,Rome,Bonn\n", [("Bonn", "Oslo", None), ("Oslo", "Rome", None)]),
        ("nodes.adjlist", "a b c\nb a\nc\nd\n", [("a", "b", None), ("a", "c", None)]),
    ],
)  # fmt: skip
def test_lists(write, name, text, expected):
    assert edges(read_graph(write(name, text))) == expected
    packed = write(f"{name}.gz", gzip.compress(text if isinstance(text, bytes) else text.encode()))
    assert edges(read_graph(packed)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("source,target\na,b\n", ["a", "b"]),
        ("Source,Target,Weight\n1,2,3\n", ["1", "2"]),
        ("from\tto\tkm\nNew York\tOslo\t5900\n", ["New York", "Oslo"]),
        ("FromNodeId ToNodeId\n0 1\n", ["0", "1"]),
        ("id_1,id_2\n0,1\n", ["0", "1"]),
        ("u v\n1 2\n", ["1", "2"]),
        ("src;dst\nx;y\n", ["x", "y"]),
        ("Stadt,Ort,Stunden\nBonn,Köln,0.5\n", ["Bonn", "Köln"]),
        ("city_a,city_b\nBonn,Ulm\n", ["Bonn", "Ulm"]),
        ("person,friend\n1,2\n2,3\n", ["1", "2", "3"]),
        (",source,target\n0,a,b\n1,b,c\n", ["a", "b", "c"]),
        ("Id,Label,Source,Target,Type,Weight\n0,,a,b,Undirected,2\n", ["a", "b"]),
        ("source,target,relation\na,b,likes\n", ["a", "b"]),
    ],
)
def test_headings_that_are_known(write, text, expected):
    graph = read_graph(write("graph.csv", text))
    assert list(graph) == expected
    assert graph.graph["heading"] is not None
    weight = next(iter(graph.edges(data="weight")))[2]
    assert (weight is not None) == any(word in text for word in ("eight", "km", "Stunden"))


@pytest.mark.parametrize("text", ["u v\nv w\n", "a b\nc d\nd e\n", "x,y\ny,z\n", "a,b\n",
                                  "node1 node2\nnode2 node3\n", "Oslo,Rome\nRome,Bonn\nBonn,Ulm\n"])  # fmt: skip
def test_names_are_no_heading(write, text):
    graph = read_graph(write("graph.txt", text))
    assert graph.number_of_edges() == text.count("\n")
    assert graph.graph["heading"] is None


@pytest.mark.parametrize(
    "text", ["City,Neighbour\nBonn,Ulm\nUlm,Rome\n", "from to\nfrom at\nto at\n", "u v\na b\nb c\n"]
)
def test_what_may_be_a_heading_is_asked(write, text):
    path = write("graph.csv", text)
    with pytest.raises(ValueError, match=r"line 1: .* may be a heading or an edge; expected .*--heading"):
        read_graph(path)
    lines = text.count("\n")
    assert read_graph(path, heading=False).number_of_edges() == lines
    assert read_graph(path, heading=True).number_of_edges() == lines - 1


def test_columns_go_by_their_headings(write):
    path = write("graph.csv", "weight,target,source\n2,b,a\n")
    assert edges(read_graph(path, directed=True)) == [("a", "b", 2.0)]


def test_two_directions(write):
    path = write("graph.txt", "a b 1\nb a 2\n")
    assert edges(read_graph(path, directed=True)) == [("a", "b", 1.0), ("b", "a", 2.0)]
    with pytest.raises(ValueError, match=r"line 2: 'b' and 'a' weigh 2.0, and 1.0 in line 1"):
        read_graph(path)
    assert read_graph(path, weights=False).graph["merged"] == 1


def mixed():
    graph = nx.DiGraph()
    graph.add_edge("New York", "Oslo", weight=1e-7)
    graph.add_edge("Oslo", "New York", weight=2.0)
    graph.add_edge("Oslo", "Oslo", weight=3.0)
    graph.add_node("alone")
    return graph


@pytest.mark.parametrize("suffix", ["graphml", "gexf", "gml", "net"])
@pytest.mark.parametrize("directed", [True, False])
def test_networkxs_own_files(tmp_path, suffix, directed):
    graph = mixed()
    if not directed:
        graph.remove_edge("Oslo", "New York")
        graph = graph.to_undirected()
    path = tmp_path / f"graph.{suffix}"
    {"graphml": nx.write_graphml, "gexf": nx.write_gexf, "gml": nx.write_gml, "net": nx.write_pajek}[suffix](
        graph, path
    )
    read = read_graph(path)
    assert read.is_directed() == directed
    assert list(read) == list(graph)
    assert edges(read) == edges(graph)
    other = path.rename(tmp_path / "graph.txt")  # the name says nothing, the first bytes do
    assert edges(read_graph(other)) == edges(graph)
    with pytest.raises(ValueError, match="directed"):
        read_graph(other, directed=not directed)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("layout", ["csr", "csc", "coo"])
def test_matrices(tmp_path, symmetric, layout):
    dense = np.array([[0, 2.0, 0], [2.0 if symmetric else 0, 1.0, 0], [0, 0, 0]])
    sparse.save_npz(tmp_path / "graph.npz", sparse.csr_array(dense).asformat(layout))
    scipy.io.mmwrite(tmp_path / "graph.mtx", sparse.csr_array(dense))
    scipy.io.mmwrite(tmp_path / "dense.mtx", dense)
    row, column = dense.nonzero()
    np.savez(tmp_path / "index.npz", edge_index=np.stack([row, column]), edge_weight=dense[row, column], num_nodes=3)
    for name in ("graph.npz", "graph.mtx", "dense.mtx", "index.npz"):
        read = read_graph(tmp_path / name)
        assert read.is_directed() is not symmetric, name
        assert list(read) == ["0", "1", "2"]
        assert edges(read) == [("0", "1", 2.0), ("1", "1", 1.0)]


def test_what_matrices_say_twice(write):
    head = "%%MatrixMarket matrix coordinate real "
    both = write("both.mtx", head + "symmetric\n2 2 2\n2 1 3\n1 2 3\n")
    assert edges(read_graph(both)) == [("0", "1", 3.0)]
    zero = write("zero.mtx", head + "general\n2 2 2\n1 2 0\n2 1 1\n")
    assert edges(read_graph(zero)) == [("1", "0", 1.0)]
    with pytest.raises(ValueError, match="line 4: entry 1 2, which stands in line 3 too"):
        read_graph(write("twice.mtx", head + "general\n2 2 2\n1 2 1\n1 2 1\n"))


def test_gml_as_its_grammar_has_it(write):
    text = 'Creator "x [ y"\ngraph [ directed 0\nnode [ id 7 label 1 ]\n# a comment\nnode [ id 8 label "a &amp; b" ]\n'
    graph = read_graph(write("graph.gml", text + "edge [ source 7 target 8 value 1e-3 ]\n]\n"))
    assert edges(graph) == [("1", "a & b", 0.001)]
    same = text.replace('"a &amp; b"', '"1"')
    assert list(read_graph(write("same.gml", same + "]"))) == ["7", "8"]  # labels that are the same name nothing


def test_pajek_as_it_is_written(write):
    text = '*Vertices 4\n1 "a b"\n2 "c"\n% 3 "x"\n3 "d"\n4 "e"\n*Arcs\n1 2 5\n*Edges\n2 3\n*Arcslist\n4 1 2\n'
    graph = read_graph(write("graph.net", text))
    assert edges(graph) == [("a b", "c", 5.0), ("c", "d", 1.0), ("d", "c", 1.0), ("e", "a b", 1.0), ("e", "c", 1.0)]
    alike = write("alike.net", '*Vertices 2\n1 "a"\n2 "a"\n*Edges\n1 2\n')
    assert edges(read_graph(alike)) == [("1", "2", None)]
    matrix = write("matrix.net", "*Vertices 2\n*Matrix\n0 2\n0 0\n")
    assert edges(read_graph(matrix)) == [("1", "2", 2.0)]


def test_xml_defaults_and_directions(write):
    gexf = ('<gexf><graph defaultedgetype="undirected"><attributes class="edge"><attribute id="0" title="weight" '
            'type="float"><default>4</default></attribute></attributes><nodes><node id="a"/><node id="b"/><node '
            'id="c"/></nodes><edges><edge source="a" target="b"/><edge source="b" target="c" type="directed">'
            '<attvalues><attvalue for="0" value="2"/></attvalues></edge></edges></graph></gexf>')  # fmt: skip
    assert edges(read_graph(write("graph.gexf", gexf))) == [("a", "b", 4.0), ("b", "a", 4.0), ("b", "c", 2.0)]
    graphml = ('<graphml><key id="w" for="edge" attr.name="weight" attr.type="double"><default>4</default></key>'
               '<graph edgedefault="directed"><node id="a"/><node id="b"/><edge source="a" target="b"/><edge '
               'source="a" target="b"/></graph></graphml>')  # fmt: skip
    graph = read_graph(write("graph.graphml", graphml))
    assert edges(graph) == [("a", "b", 4.0)]
    assert graph.graph["merged"] == 1


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def liar():
    """An array whose header says 2^40 numbers."""
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(member, {"descr": "<i8", "fortran_order": False, "shape": (2, 2**40)})
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        # Of no date, as numpy's: the bytes are a test's name, which is the same in every process that collects it.
        archive.writestr(zipfile.ZipInfo("edge_index.npy"), member.getvalue())
    return file.getvalue()


CSR = {"format": b"csr", "shape": np.array([2, 2]), "data": np.ones(1)}
MTX = "%%MatrixMarket matrix coordinate "
XML = '<graphml><graph edgedefault="undirected"><node id="a"/>'


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "a,b\nc\n", "line 2: 'c' is no edge; expected commas"),
        ("a.txt", "a b c\n", "third column 'c'; expected a number.*adjlist"),
        ("a.txt", "New York Oslo\n", "third column 'Oslo'"),
        ("a.txt", "a b c d\n", "'a b c d' is no edge; expected two names, blanks"),
        ("a.csv", "a,b\n,c\n", "line 2: an empty name"),
        ("a.csv", "a,b,1\nb,c,\n", "line 2: no weight for 'b', 'c', and 1.0 in line 1"),
        ("a.csv", "a,b,1\nb,c,nan\n", "line 2: weight nan; expected a finite number"),
        ("a.csv", "a,b,1\nb,c,1e999\n", "line 2: weight inf"),
        ("a.csv", 'a,b\n"b,c\n', "line 2: .*quotes in pairs"),
        ("a.csv", "a,#b\n#b,c\n", "line 1: name '#b', and line 2 begins with # and counts as a comment"),
        ("a.txt", '"a b\nb c\n', "line 1: .*a quote that is not closed"),
        ("a.csv", "source,target,weight\na,b\n", "line 2: 2 columns; expected 3"),
        ("a.csv", "source,target\n", "no nodes under the heading"),
        ("a.csv", ",a,b\na,0,1\nb,1,0\n", "a heading with an empty name"),
        ("a.txt", "a b {'weight': __import__('os').getpid()}\n", "line 1: .*a dict of plain values"),
        ("a.txt", "a b {'weight': '1'}\n", "weight '1'; expected a finite number"),
        ("a.txt", "a b {" + "[" * 9000 + "}\n", "a dict of plain values"),
        ("a.txt", b"a b\nc \xff\n", "line 2: not text"),
        ("a.txt.gz", gzip.compress(b"a b\n", mtime=0)[:-9], "whole .gz file"),
        ("a.gml", "graph [ node [ id 1 ] edge [ source 1 target 2 ] ]", "an edge of node 2"),
        ("a.gml", "graph [ node [ id 1 ]\nnode [ id 1 ] ]", "line 2: a second node of id 1"),
        ("a.gml", "graph [ node [ id 1 ]\n", "line 1: an entry that the file ends in"),
        ("a.gml", "graph " + "[ a " * 5000, "brackets in brackets"),
        ("a.net", "*Vertices 2\n*Edges\n1 3\n", r"line 3: vertex '3'; expected a whole number of 1\.\.2"),
        ("a.net", "*Vertices 99999999999\n*Edges\n1 2\n", "line 1: 99,999,999,999 nodes"),
        ("a.net", "*Vertices 2\n*Partition x\n", r"line 2: section '\*Partition'"),
        ("a.mtx", MTX + "real general\n99999999999 99999999999 1\n1 2 1\n", "99,999,999,999 nodes for 1 edges"),
        ("a.mtx", MTX + "real general\n2 2 9\n1 2 1\n", "9 entries by its sizes and 1 lines"),
        ("a.mtx", MTX + "real general\n2 3 1\n1 2 1\n", "2 rows and 3 columns"),
        ("a.mtx", MTX + "real general\n2 2 1\n1 3 1\n", "line 3: entry '1 3'"),
        ("a.mtx", MTX + "real general\n2 2 1\n1 2 nan\n", "line 3: '1 2 nan'"),
        ("a.mtx", MTX + "complex hermitian\n1 1 0\n", "line 1: .*hermitian'; expected %%MatrixMarket"),
        ("a.npz", npz(edge_index=np.array([[0], [1]], dtype=object)), "Python objects, which can run code"),
        ("a.npz", npz(edge_index=np.zeros((3, 2), dtype=int)), r"edge_index of shape \[3, 2\]"),
        ("a.npz", npz(edge_index=np.array([[0], [2**60]])), "nodes for 1 edges"),
        ("a.npz", npz(edge_index=np.array([[0], [-1]])), "entry 0: node -1"),
        ("a.npz", npz(x=np.ones(2)), "arrays x; expected"),
        ("a.npz", npz(**CSR, indices=np.array([5]), indptr=np.array([0, 1, 1])), "node 5"),
        ("a.npz", npz(**CSR, indices=np.array([1]), indptr=np.array([0, 9, 1])), "indptr"),
        ("a.npz", liar(), "says 17,592,186,044,416 bytes and has 0"),
        ("a.npz", b"PK\x03\x04 no", "an .npz file"),
        ("a.graphml", XML + '\n<edge source="a" target="b"/></graph></graphml>', "line 2: an edge of node 'b'"),
        ("a.graphml", '<!DOCTYPE x [<!ENTITY a "b">]>' + XML + "</graph></graphml>", "an entity of the file's own"),
        ("a.graphml", XML + '<hyperedge/></graph></graphml>', "<hyperedge>"),
        ("a.gexf", '<gexf><graph mode="dynamic"></graph></gexf>', "dynamic"),
        ("a.json", '"a" "b"', "no form that is read here"),
        ("a.txt", '{"nodes": []}', "no form that is read here"),
        ("a.gexf", "<gexf>", "expected GEXF"),
    ],
)  # fmt: skip
def test_what_is_refused(write, name, content, words):
    path = write(name, content)
    with pytest.raises(ValueError, match=words) as raised:
        read_graph(path)
    assert str(path) in str(raised.value)


names = st.text(st.characters(blacklist_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.tuples(names, names), st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=6)
)
def test_what_is_written_is_read(tmp_path_factory, links):
    graph = nx.DiGraph()
    graph.add_weighted_edges_from((source, target, weight) for (source, target), weight in links.items())
    path = tmp_path_factory.mktemp("graph") / "graph.csv"
    quoted = [['"' + name.replace('"', '""') + '"' for name in ends] for ends in links]
    rows = [f"{a},{b},{weight!r}\n" for (a, b), weight in zip(quoted, links.values(), strict=True)]
    path.write_text("source,target,weight\n" + "".join(rows), encoding="utf-8")
    read = read_graph(path, directed=True, heading=True)
    assert list(read) == list(graph)
    assert edges(read) == edges(graph)
