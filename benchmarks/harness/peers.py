"""Libraries that are measured beside this one, where they are installed."""

import os
import sys
from importlib import import_module
from types import ModuleType
from typing import Any

__all__ = ["import_dgl"]


def import_dgl() -> Any:
    """DGL, without its graphbolt, whose compiled part exists only for older versions of torch and is not used here."""

    class Empty(ModuleType):
        def __getattr__(self, name: str) -> type:
            if name.startswith("__"):
                raise AttributeError(name)
            return type(name, (), {})

    sys.modules.setdefault("dgl.graphbolt", Empty("dgl.graphbolt"))
    os.environ.setdefault("DGLBACKEND", "pytorch")  # otherwise it says what it assumes, and writes a file at home
    return import_module("dgl")
