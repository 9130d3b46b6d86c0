"""What tests of compiled code share."""

import pytest
import torch

from gnnseq.kernels.native import functions


@pytest.fixture
def compiled(monkeypatch):
    """Compiled code, also for work that is too small to be worth it and wherever else it is switched off."""
    monkeypatch.delenv("GNNSEQ_NATIVE", raising=False)
    monkeypatch.setattr(functions, "LEAST_SIZE", 0)
    if not functions.runs_compiled(torch.zeros(1), 1):
        pytest.skip("no C compiler")
