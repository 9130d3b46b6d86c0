"""Reading across twice the distance in every round: rules that are linear in the state, in log D rounds.

Letters: N nodes, D steps of the topological sweep.
"""

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from gnnseq.checks import whole
from gnnseq.schedule.firing import fire_topologically
from gnnseq.schedule.jumps import check_single_file
from gnnseq.schedule.schedule import Schedule
from gnnseq.tracing import for_real

__all__ = ["doubling"]


@for_real()
def doubling(
    edge_index: Tensor | Schedule,
    num_nodes: int | None = None,
    rounds: int | None = None,
    edge_weight: Tensor | None = None,
    *,
    ptr: Tensor | Sequence[int] | None = None,
) -> Schedule:
    r"""Fires every node in every round, in round r along jumps of :math:`2^r` edges: k rounds reach 2^k - 1 hops.

    A rule that is linear in the state, :math:`h_i = a_i \odot \sum_j w_{ji} h_j + b_i`, can jump, because a jump's
    factor is the product of those of its two halves:

    .. math:: h_i \leftarrow h_i + \sum_{j \to i} k_{ji} \odot h_j, \qquad k'_{ji} = k_{jm} \odot k_{mi}

    with :math:`h_i = b_i` and :math:`k_{ji} = w_{ji} a_i` before the first round. With as many rounds as
    :math:`2^k \ge D` it computes the numbers of the sweep of D steps, in :math:`\log_2 D` steps and
    :math:`N \log_2 D` work. A rule that is not linear has no such factor, and its layer refuses the schedule.

    Args:
        edge_index: Edges of a directed acyclic graph in which every node has one successor at most (paths, trees
            towards their roots), or every node one predecessor at most (trees from their roots); or the topological
            schedule of one. [2, E]
        num_nodes: Number of nodes N; None with a schedule.
        rounds: Number of rounds k. If None, the fewest that reach everything.
        edge_weight: A factor for every message. Where these are learnt, make the schedule anew in every training step.
            [E]
        ptr: As in :func:`gnnseq.topological`.

    Returns:
        The schedule. States enter and leave where they do on the topological one.

    Raises:
        ValueError: If some node has several successors and some node several predecessors (they are named), the graph
            has a cycle, the edges are malformed, or rounds is negative or no integer.

    Example:
        >>> import torch
        >>> schedule = doubling(torch.tensor([[0, 1, 2, 3], [1, 2, 3, 4]]), num_nodes=5)
        >>> [step.edge_index.tolist() for step in schedule]  # 1, 2 and 4 edges far
        [[[0, 1, 2, 3], [1, 2, 3, 4]], [[0, 1, 2], [2, 3, 4]], [[0], [4]]]
    """
    if rounds is not None:
        rounds = whole(0, rounds=rounds)
    if isinstance(edge_index, Schedule):
        swept = edge_index
        if swept.rounds is not None:
            raise ValueError("edge_index is a synchronous schedule; expected edges, or a topological schedule, whose "
                             "sweep doubling can equal")  # fmt: skip
        if num_nodes not in (None, swept.num_nodes) or edge_weight is not None or ptr is not None:
            raise ValueError("edge_index is a schedule, which has its own num_nodes, edge_weight and ptr; give none of "
                             "them: weigh its edges by schedule.weighted()")  # fmt: skip
    else:
        if num_nodes is None:
            raise ValueError("num_nodes=None; expected the number of nodes, which edges do not tell")
        swept = Schedule(**fire_topologically(edge_index, num_nodes, edge_weight, ptr))
    check_single_file(swept.edge_index.cpu().numpy(), swept.num_nodes)
    enough = max(len(swept.step_sizes) - 1, 0).bit_length()
    return replace(swept, doublings=enough if rounds is None else rounds, shared=None)
