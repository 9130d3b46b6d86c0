"""Pointers into a schedule's edges: what they point at, who shares them, and what they are never taken from."""

import copy
import pickle
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given

from gnnseq import topological
from gnnseq.graphs import tree_graph
from gnnseq.layers import LSTM
from strategies import dags

POINTERS = (
    "in_indptr",
    "out_edge_id",
    "out_indptr",
    "out_targets",
    "step_in_indptr",
    "step_targets",
    "step_out_indptr",
)


def tree():
    return topological(tree_graph([2, 2, 4, 4, -1]).edge_index, 5)


@given(dags())
def test_pointers_are_the_edges_of_each_node_and_each_step(graph):
    schedule = topological(graph.edge_index, graph.num_nodes).in_order
    pointers, (source, target) = schedule.pointers, schedule.edge_index
    for node, (first, last) in enumerate(pairwise(pointers.in_indptr.tolist())):
        assert torch.equal((target == node).nonzero().view(-1), torch.arange(first, last))
    for node, (first, last) in enumerate(pairwise(pointers.out_indptr.tolist())):
        assert torch.equal((source == node).nonzero().view(-1), pointers.out_edge_id[first:last])
    assert torch.equal(pointers.out_targets, target[pointers.out_edge_id])
    sizes = pointers.step_out_sizes
    assert sum(sizes) == graph.edge_index.size(1)
    assert len(pointers.step_in_indptr) == len(pointers.step_targets) == len(schedule)
    assert len(sizes) == len(pointers.step_out_indptr) == len(schedule) + 1  # and the initial states
    for step, own, targets, out in zip(
        schedule, pointers.step_in_indptr, pointers.step_targets, pointers.step_out_indptr[:-1], strict=True
    ):
        first = int(step.nodes[0])
        assert torch.equal(own.diff(), torch.bincount(step.edge_index[1] - first, minlength=len(step.nodes)))
        assert torch.equal(targets, step.edge_index[1] - first)
        assert torch.equal(out.diff(), torch.tensor([int((source == node).sum()) for node in step.nodes]))


def test_copies_that_differ_in_weights_share_them():
    schedule = tree()
    weighted = schedule.weighted(torch.rand(4))
    again = weighted.weighted(torch.rand(4))
    assert again.pointers is weighted.pointers is schedule.pointers


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda schedule: pickle.loads(pickle.dumps(schedule))])
def test_copies_keep_what_is_computed(copied):
    schedule = tree().weighted(torch.rand(4))
    schedule.pointers.out_targets  # noqa: B018  # computes it
    twin = copied(schedule)
    assert twin.pointers is twin.shared
    assert "out_targets" in vars(twin.pointers)
    assert torch.equal(twin.pointers.out_targets, schedule.pointers.out_targets)


def test_other_edges_have_pointers_of_their_own():
    schedule = tree().weighted(torch.rand(4))
    for other in (
        replace(schedule, edge_index=schedule.edge_index.clone()),
        replace(schedule, starts=schedule.starts[:1]),
        schedule.with_state_edges,
        schedule.reversed,
        schedule.to("meta"),
    ):
        assert other.pointers is not schedule.pointers


def test_those_of_an_evaluation_serve_training():
    schedule, layer = tree().weighted(torch.rand(4)), LSTM(2, 3)
    with torch.inference_mode():
        layer(torch.randn(5, 2), schedule)
        assert not any(part.is_inference() for part in (schedule.pointers.out_edge_id, schedule.pointers.in_indptr))
    layer(torch.randn(5, 2), schedule)[0].sum().backward()
    assert all(parameter.grad is not None for parameter in layer.parameters())
