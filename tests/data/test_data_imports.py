"""Data does not depend on layers: its modules import graphs, and how their weights are normalised, at most."""

import ast

import pytest

from places import ROOT

ALLOWED = ("gnnseq.data", "gnnseq.graphs", "gnnseq.normalization", "gnnseq.checks")
MODULES = sorted((ROOT / "gnnseq" / "data").rglob("*.py"))


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            yield node.module


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_data_imports_graphs_at_most(path):
    own = [name for name in imported(ast.parse(path.read_text())) if name.partition(".")[0] in ("gnnseq", "harness")]
    assert [name for name in own if not any(f"{name}.".startswith(f"{allowed}.") for allowed in ALLOWED)] == []
