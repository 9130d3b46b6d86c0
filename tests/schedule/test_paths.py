"""Packed paths against networkx and torch's packed sequences."""

import networkx as nx
import torch
from hypothesis import given
from hypothesis import strategies as st

from gnnseq import pack_paths, packed_paths, topological, unpack_paths


@given(st.lists(st.integers(0, 6), min_size=1, max_size=6))
def test_packed_paths_is_torchs_packed_sequence(lengths):
    """The same level sizes as PackedSequence.batch_sizes, one path for each length, in the caller's order."""
    schedule = packed_paths(lengths)
    longest = max(lengths)
    assert [len(step.nodes) for step in schedule] == [sum(n > t for n in lengths) for t in range(longest)]
    assert schedule.lengths == tuple(lengths)
    known = nx.DiGraph(schedule.edge_index.t().tolist())
    known.add_nodes_from(range(schedule.num_nodes))
    for length, start, end in zip(lengths, schedule.starts.tolist(), schedule.ends.tolist(), strict=True):
        if length == 0:
            assert start == end == -1
        else:
            assert nx.shortest_path_length(known, start, end) == length - 1


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6))
def test_unpack_undoes_pack(lengths):
    sequences = [torch.randn(n, 2) for n in lengths]
    x, schedule = pack_paths(sequences)
    assert x.shape == (sum(lengths), 2)
    for given_, back in zip(sequences, unpack_paths(x, schedule), strict=True):
        assert torch.equal(given_, back)


def test_unpack_works_for_a_topological_schedule_of_paths():
    schedule = topological(torch.tensor([[4, 0, 3], [0, 2, 1]]), 5)
    assert [path.tolist() for path in unpack_paths(torch.arange(5), schedule)] == [[3, 1], [4, 0, 2]]
