"""Trees from brackets and CoNLL-U: read as written, or refused by file and line."""

import pytest
import torch

from gnnseq import pack_trees, topological
from gnnseq.data.trees import load_trees
from gnnseq.graphs import tree_graph
from gnnseq.layers import LSTM

UD = """\
# text = Don't eat them
1-2\tDon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tDo\tdo\tAUX\t_\t_\t3\taux\t_\t_
2\tn't\tnot\tPART\t_\t_\t3\tadvmod\t_\t_
2.1\tnow\tnow\tADV\t_\t_\t_\t_\t_\t_
3\teat\teat\tVERB\t_\t_\t0\troot\t_\t_
4\tNew\u00a0York\tthey\tPRON\t_\t_\t3\tobj\t_\t_

1\tYes\tyes\tINTJ\t_\t_\t0\troot\t_\t_
2\tNo\tno\tINTJ\t_\t_\t0\troot\t_\t_"""


def load(folder, text, name="file.txt"):
    path = folder / name
    path.write_bytes(text.encode())
    return load_trees(path)


def test_brackets_of_any_number_of_children_and_unary_chains(tmp_path):
    first, second = load(tmp_path, "(3 (2 (1 a)) (4 b) (0 8\u00a01\\/2))\r\n\n  \n(NP\n  (DT -LRB-)\n  (NN R  ock) )\n")
    assert first.parents == (-1, 0, 1, 0, 0)
    assert first.tokens == (None, None, "a", "b", "8\u00a01\\/2")
    assert first.labels == ("3", "2", "1", "4", "0")
    assert (first.relations, first.roots, first.line, len(first)) == (None, (0,), 1, 5)
    assert second.words == ("-LRB-", "R ock")
    assert (second.labels, second.line) == (("NP", "DT", "NN"), 4)


def test_conllu_without_multiword_and_empty_tokens_and_with_several_roots(tmp_path):
    first, second = load(tmp_path, UD)
    assert first.words == first.tokens == ("Do", "n't", "eat", "New\u00a0York")
    assert first.parents == (2, 2, -1, 2)
    assert first.labels == ("AUX", "PART", "VERB", "PRON")
    assert first.relations == ("aux", "advmod", "root", "obj")
    assert second.roots == (0, 1)
    assert load(tmp_path, "\ufeff" + UD.replace("\n", "\r\n") + "\r\n\r\n\r\n") == [first, second]


def test_they_are_forests(tmp_path):
    """Several roots by the builder of graphs, one root each by that of trees."""
    graph = tree_graph([tree.parents for tree in load(tmp_path, UD)])
    assert topological(graph.edge_index, graph.num_nodes, ptr=graph.ptr).ends.tolist() == [2, 4, 5]
    trees = load(tmp_path, "(1 (0 a) (0 b))\n(1 c)\n")
    x, schedule = pack_trees([torch.ones(len(tree), 2) for tree in trees], [tree.parents for tree in trees])
    h, (h_n, _) = LSTM(2, 3)(x, schedule)
    assert torch.equal(h_n[0], h[[0, 3]])


@pytest.mark.parametrize("deep", [5_000])
def test_depth_has_no_limit(tmp_path, deep):
    (tree,) = load(tmp_path, "(1 " * deep + "(1 a)" + ")" * deep)
    assert tree.parents == tuple(range(-1, deep))
    rows = "\n".join(f"{i}\ta\t_\tX\t_\t_\t{i - 1}\tdep\t_\t_" for i in range(1, deep + 1))
    assert load(tmp_path, rows)[0].parents == tree.parents[:-1]


@pytest.mark.parametrize(
    ("text", "message"),
    [("(1 a)\n(3 (2 a) (2 b)\n(1 c))\n", "line 2: a tree with 1 open brackets"),
     ("(1 a)\n\n(3 (2 a)", "line 3: a tree with 1 open"),
     ("(3 (2 a)))\n", "line 1: a bracket closes what none has opened"),
     ("(1 a) (2 b)\n", "line 1: a second tree on a line"),
     ("(1 a)\nb\n", "line 2: 'b' outside of brackets"),
     ("(1 a)\n()\n", "line 2: a node without word and children"),
     ("(3)\n", "line 1: a node without word and children"),
     ("( (1 a))\n", "line 1: a node without a label"),
     ("(3 (2 a) b)\n", "line 1: 'b' beside other content"),
     ("(3 b (2 a))\n", "line 1: 'b' beside a node"),
     ("good film\n", r"line 1: 'good film'; expected a tree in brackets, .* or CoNLL-U"),
     ("", "holds no tree"),
     (" \n\n", "holds no tree"),
     ("# only a comment\n", "holds no tree")],
)  # fmt: skip
def test_brackets_that_are_not_well_formed_are_refused_by_line(text, message, tmp_path):
    with pytest.raises(ValueError, match=rf"file.txt(, |: ){message}"):
        load(tmp_path, text)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [("2\tn't", "3\tn't", "line 4: ID '3'; expected 2"),
     ("\t_\t_\t3\tobj", "\t_\t_\t5\tobj", "line 7: HEAD '5' of word 4; expected 0 at a root, or a word of 1..4"),
     ("\t_\t_\t3\tobj", "\t_\t_\t-1\tobj", "line 7: HEAD '-1'"),
     ("\t_\t_\t3\tobj", "\t_\t_\t_\tobj", "line 7: HEAD '_' .* annotation is not finished"),
     ("\t3\tobj", "\t4\tobj", "line 7: word 4 is above itself"),
     ("\t0\troot\t_\t_\n4", "\t4\troot\t_\t_\n4", "line [3467]: word . is above itself, in a cycle of heads"),
     ("\tobj\t_\t_", "\tobj\t_", "line 7: 9 columns; expected 10"),
     ("\tobj\t_\t_", "\tobj\t\t_", "line 7: nothing in column DEPS"),
     ("1-2\t", "1-9\t", "line 2: a multiword token to word 9 of a sentence of 4"),
     ("1-2\t", "2-3\t", "line 2: the multiword token 2-3 before word 1"),
     ("1\tYes\tyes\tINTJ\t_\t_\t0\troot\t_\t_", "1 Yes yes INTJ _ _ 0 root _ _", "line 9: 1 columns; .* spaces in")],
)  # fmt: skip
def test_conllu_that_is_not_well_formed_is_refused_by_line(old, new, message, tmp_path):
    assert old in UD
    with pytest.raises(ValueError, match=f"file.txt, {message}"):
        load(tmp_path, UD.replace(old, new))


def test_a_file_is_looked_for_here_and_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GNNSEQ_DATA", str(tmp_path))
    (tmp_path / "trees").mkdir()
    (tmp_path / "trees" / "a.txt").write_text("(1 a)")
    assert load_trees("trees/a.txt")[0].words == ("a",)
    with pytest.raises(FileNotFoundError, match=r"source='trees/b.txt': no such file here, nor in .*GNNSEQ_DATA"):
        load_trees("trees/b.txt")
    with pytest.raises(FileNotFoundError, match=r"source='trees': a folder"):
        load_trees("trees")
    (tmp_path / "c.txt").write_bytes(b"(1 \xff)")
    with pytest.raises(ValueError, match=r"c.txt: byte 3 is not UTF-8"):
        load_trees(tmp_path / "c.txt")
