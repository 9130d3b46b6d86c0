"""Kernels know no layer: what they need of one they are given."""

import ast
from pathlib import Path

import pytest

import gnnseq.kernels

FOLDER = Path(gnnseq.kernels.__file__).parent
ABOVE = ("gnnseq.layers", "gnnseq.message_passing", "gnnseq.models", "gnnseq.reach", "gnnseq.stream")


def imported(source):
    """All modules that a source imports, also under TYPE_CHECKING and within functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def above(source):
    return [name for name in imported(source) if f"{name}.".startswith(tuple(f"{module}." for module in ABOVE))]


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.py")), ids=lambda path: str(path.relative_to(FOLDER)))
def test_a_kernel_imports_nothing_above_it(path):
    assert above(path.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "import gnnseq.layers",
        "from gnnseq.layers.recurrent import Recurrent",
        "from gnnseq import message_passing",
        "if TYPE_CHECKING:\n    from gnnseq.layers import LSTM",
        "def late():\n    from gnnseq.message_passing import needs_messages",
    ],
)
def test_such_imports_are_found(source):
    assert above(source) != []


def test_there_are_kernels():
    assert (FOLDER / "dispatch.py").exists()
