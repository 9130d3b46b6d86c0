"""Which rows share a backward pass."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from gnnseq.reach.coloring import color_rows


@given(st.integers(0, 2**16), st.integers(1, 12), st.floats(0.02, 0.6))
def test_groups_hold_every_node_once_and_share_no_input(seed, num_nodes, share):
    random = np.random.default_rng(seed)
    possible = random.random((num_nodes, num_nodes)) < share
    nodes = np.flatnonzero(random.random(num_nodes) < 0.8)
    groups = color_rows(nodes, csr_array(possible))
    assert sorted(np.concatenate([*groups, []]).tolist()) == nodes.tolist()
    assert all(possible[group].sum(axis=0).max() <= 1 for group in groups if len(group) > 1)
