"""What is remembered is never served for anything else."""

import pytest
import torch

from gnnseq.kernels import memo
from gnnseq.kernels.memo import Memo


def test_a_value_is_computed_once():
    remembered, a = Memo(), torch.ones(2)
    assert remembered.get((a, None), "key", lambda: "first") == "first"
    assert remembered.get((a.clone(), None), "key", lambda: "second") == "first"


def test_threads_that_share_a_memo_get_their_own_values(monkeypatch):
    """Another thread's graph may arrive at any moment, also between comparing and returning."""
    remembered, mine, other = Memo(), torch.zeros(2), torch.ones(2)
    remembered.get((mine,), None, lambda: "mine")
    compare = memo._same

    def interrupted(*inputs):
        monkeypatch.setattr(memo, "_same", compare)
        same = compare(*inputs)
        remembered.get((other,), None, lambda: "other")
        return same

    monkeypatch.setattr(memo, "_same", interrupted)
    assert remembered.get((mine,), None, lambda: "mine") == "mine"
    assert remembered.get((other,), None, lambda: "other") == "other"


def test_a_value_that_could_not_be_computed_leaves_the_last_one():
    remembered, a, b = Memo(), torch.zeros(2), torch.ones(2)
    remembered.get((a,), None, lambda: "a")
    with pytest.raises(ZeroDivisionError):
        remembered.get((b,), None, lambda: 1 / 0)
    assert remembered.get((a,), None, lambda: "again") == "a"
