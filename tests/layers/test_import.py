"""How the package is imported, and what that costs."""

import importlib.metadata
import subprocess
import sys

import pytest

import gnnseq
import gnnseq.layers

LAYERS = ["GCN", "RNN", "LSTM", "GRU", "GatedGraph", "TemporalGCN", "RelationalGCN"]
HEAVY = ["lightning", "pytorch_lightning", "matplotlib.pyplot", "matplotlib.figure", "tyro", "joblib"]


def test_in_a_fresh_interpreter_the_statement_reaches_the_class_and_loads_nothing_heavy():
    # torch_geometric may load what it likes; what counts is what gnnseq adds to it. Pyplot must not be there at all,
    # not even for figures.
    code = f"""
import sys
import torch_geometric.nn
before = set(sys.modules)
import gnnseq.layers.GCN
assert isinstance(gnnseq.layers.GCN, type), gnnseq.layers.GCN
layer = gnnseq.layers.GCN(2, 3)
import gnnseq
heavy = [name for name in {HEAVY} if name in sys.modules and name not in before]
assert heavy == [], heavy
import gnnseq.plots
assert "matplotlib.pyplot" not in sys.modules
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", LAYERS)
def test_every_way_to_import_a_layer_gives_the_same_class(name):
    found: dict[str, object] = {}
    for statement in (
        f"import gnnseq.layers.{name}\nfirst = gnnseq.layers.{name}",
        f"from gnnseq.layers import {name} as second",
        f"import gnnseq.layers.{name} as third",
        f"from gnnseq.layers.{name} import {name} as fourth",
        f"import gnnseq.layers.{name}\nfifth = gnnseq.layers.{name}",
    ):
        exec(statement, found)
    classes = [found[key] for key in ("first", "second", "third", "fourth", "fifth")]
    assert all(isinstance(each, type) and each is classes[0] for each in classes)
    assert classes[0].__name__ == name


@pytest.mark.parametrize("module", [gnnseq, gnnseq.layers])
def test_every_exported_name_exists(module):
    assert all(hasattr(module, name) for name in module.__all__)


def test_version_is_the_installed_one():
    assert gnnseq.__version__ == importlib.metadata.version("gnnseq")
