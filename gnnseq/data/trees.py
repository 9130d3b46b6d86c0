"""Trees of sentences: brackets as of the Stanford Sentiment Treebank and the Penn Treebank, and CoNLL-U.

Letters: N nodes of a tree.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gnnseq.data.cache import folder
from gnnseq.data.conllu import is_conllu, read_sentences
from gnnseq.data.text import read_text

__all__ = ["Tree", "load_trees"]

# Words may hold other spaces than these, as the "8 1/2" of the treebank does.
PIECE = re.compile(r"[()]|[^() \t\f\v]+(?:[ \t\f\v]+[^() \t\f\v]+)*")
SPACES = re.compile(r"[ \t\f\v]+")


@dataclass(frozen=True)
class Tree:
    """A sentence's tree; the lists have a place for each node.

    Attributes:
        tokens: The word of a node as it is written, None at an inner node of brackets. [N]
        parents: The node that each hangs from, -1 at a root, as :func:`gnnseq.graphs.tree_graph` takes them. Brackets
            have one root, node 0, and a parent before its children; CoNLL-U may have several roots. [N]
        labels: Of brackets what stands before a node's children or word, of CoNLL-U the UPOS. [N]
        relations: Of CoNLL-U the DEPREL, of brackets None. [N]
        line: The line of the file at which it begins, from 1.
    """

    tokens: tuple[str | None, ...]
    parents: tuple[int, ...]
    labels: tuple[str, ...]
    relations: tuple[str, ...] | None = None
    line: int = 1

    def __len__(self) -> int:
        return len(self.parents)

    @property
    def words(self) -> tuple[str, ...]:
        """The sentence."""
        return tuple(token for token in self.tokens if token is not None)

    @property
    def roots(self) -> tuple[int, ...]:
        """The nodes that hang from none, at least one."""
        return tuple(node for node, parent in enumerate(self.parents) if parent < 0)


def load_trees(source: str | Path) -> list[Tree]:
    r"""The trees of a file, of which the first line tells the form.

    Brackets: a node is ``(label child child ...)`` or ``(label word)``, with any number of children, one too. A tree
    begins at the start of a line; lines that carry it on are indented. The top has a label, too: write
    ``(ROOT (S ...))`` for the ``( (S ...))`` of the Penn Treebank's files. All between a label and its bracket is one
    word, spaces within it become one. ``-LRB-`` and the like stay as they are.

    CoNLL-U: a node is a syntactic word. Multiword tokens (``1-2``) and empty nodes (``8.1``) have no head and are left
    out; several roots are as many trees side by side.

    A minibatch is a forest: ``graph = tree_graph([tree.parents for tree in trees])``, which is swept by
    ``topological(graph.edge_index, graph.num_nodes, ptr=graph.ptr)``; of trees with one root each,
    :func:`gnnseq.pack_trees` packs inputs too.

    Args:
        source: A path, looked for here, then in the folder of :mod:`gnnseq.data.cache`, which GNNSEQ_DATA names.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file holds no trees, or is not well-formed: brackets that do not match, nodes without label or
            content, columns that are missing, heads that are out of range or in a cycle. The message names file and
            line.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "trees.txt")
        >>> _ = file.write_text("(3 (2 a) (4 (4 lovely) (2 film)))\n")
        >>> (tree,) = load_trees(file)
        >>> tree.parents, tree.words
        ((-1, 0, 0, 2, 2), ('a', 'lovely', 'film'))
        >>> from gnnseq.graphs import tree_graph
        >>> tree_graph([tree.parents, tree.parents]).ptr.tolist()
        [0, 5, 10]
    """
    path = _find(source)
    lines = read_text(path).split("\n")
    first = next((line for line in lines if line.strip()), "")
    if path.suffix in (".conllu", ".conll") or is_conllu(first):
        trees = [Tree(tuple(of.tokens), tuple(of.parents), tuple(of.labels), tuple(of.relations), of.line)
                 for of in read_sentences(lines, path)]  # fmt: skip
    elif first and not first.lstrip().startswith(("(", ")")):
        raise ValueError(f"{path}, line {lines.index(first) + 1}: {first[:40]!r}; expected a tree in brackets, (label "
                         "child child ...) or (label word), or CoNLL-U, ten columns between tabs")  # fmt: skip
    else:
        trees = list(_brackets(lines, path))
    if not trees:
        raise ValueError(f"{path}: holds no tree; expected brackets, one tree a line, or CoNLL-U")
    return trees


def _find(source: str | Path) -> Path:
    """A file here, or in the cache."""
    path, looked = Path(source), "here"
    if not path.exists() and not path.is_absolute():
        with suppress(ImportError):  # without pooch there is no cache but the one that GNNSEQ_DATA names
            looked = f"here, nor in {folder()}"
            path = folder() / path
    if not path.is_file():
        problem = "a folder" if path.is_dir() else f"no such file {looked}"
        raise FileNotFoundError(f"source={str(source)!r}: {problem}; expected a file of trees, in brackets or CoNLL-U, "
                                "or GNNSEQ_DATA to name the folder that has it")  # fmt: skip
    return path


def _brackets(lines: Sequence[str], name: object) -> Iterator[Tree]:
    tokens: list[str | None] = []
    parents: list[int] = []
    labels: list[str] = []
    above: list[int] = []  # the nodes that are open
    begin = ended = 0  # the lines of the tree's first bracket and of its last

    def wrong(line: int, problem: str, remedy: str) -> ValueError:
        return ValueError(f"{name}, line {line}: {problem}; expected {remedy}")

    for number, line in enumerate(lines, 1):
        if above and line.startswith("("):
            break  # what is open was not closed
        for piece in PIECE.findall(line):
            if piece == "(":
                if not above and ended == number:
                    raise wrong(number, "a second tree on a line", "one tree a line: was a bracket closed too early?")
                if above and tokens[above[-1]] is not None:
                    raise wrong(number, f"{tokens[above[-1]]!r} beside a node", "words in brackets of their own")
                if above and not labels[above[-1]]:
                    raise wrong(number, "a node without a label", "(label child child ...), (ROOT ...) at the top")
                begin = begin if above else number
                parents.append(above[-1] if above else -1)
                above.append(len(tokens))
                tokens.append(None)
                labels.append("")
            elif piece == ")":
                if not above:
                    raise wrong(number, "a bracket closes what none has opened", "as many ( as )")
                node = above.pop()
                if tokens[node] is None and len(tokens) == node + 1:
                    raise wrong(number, "a node without word and children", "(label word) or (label child child ...)")
                if not above:
                    yield Tree(tuple(tokens), tuple(parents), tuple(labels), None, begin)
                    tokens, parents, labels, ended = [], [], [], number
            elif not above:
                raise wrong(number, f"{piece[:40]!r} outside of brackets", "(label word) or (label child child ...)")
            else:
                node = above[-1]
                label, *word = [piece] if labels[node] else SPACES.split(piece, maxsplit=1)
                if labels[node]:
                    word = [label]
                if word and (tokens[node] is not None or len(tokens) > node + 1):
                    raise wrong(number, f"{word[0][:40]!r} beside other content", "words in brackets of their own")
                labels[node] = labels[node] or label
                tokens[node] = SPACES.sub(" ", word[0]) if word else tokens[node]
    if above:
        raise wrong(begin, f"a tree with {len(above)} open brackets at its end", "as many ) as (, a new tree at a "
                    "line's start, and lines that carry it on indented")  # fmt: skip
