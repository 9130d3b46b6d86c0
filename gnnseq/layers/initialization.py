"""Named initialisations, each with its source.

Letters: H hidden channels, G gates.
"""

import math

import torch
from torch import Tensor, nn

from gnnseq.checks import is_number

__all__ = ["RECURRENT_INITS", "check_init", "init_chrono", "init_kernels"]

RECURRENT_INITS = ("torch", "he", "orthogonal", "chrono")


def check_init(init: str, legal: tuple[str, ...], time_scale: float | None = None) -> None:
    """Raises a ValueError that lists the legal names, or says what time_scale is missing."""
    if init not in legal:
        raise ValueError(f"init={init!r} is not known here; expected one of {', '.join(map(repr, legal))}")
    if init == "chrono" and (time_scale is None or not is_number(time_scale) or not 2 <= time_scale < math.inf):
        raise ValueError(f"time_scale={time_scale!r}; init='chrono' needs the longest dependency in steps, 2 or more")
    if init != "chrono" and time_scale is not None:
        raise ValueError(f"time_scale={time_scale} means nothing to init={init!r}; drop it, or use init='chrono'")


@torch.no_grad()
def init_kernels(kernel: Tensor, init: str, *, recurrent: bool, gates: int = 1) -> None:
    """Fills the stacked kernels of the gates, each initialised by itself.

    Args:
        kernel: [G * H, in]
        init: ``"torch"``: U(-1/sqrt(H), 1/sqrt(H)), what torch.nn's recurrent layers do; ``"he"``: normal with
            variance 2 / in (He et al. 2015, https://arxiv.org/abs/1502.01852); ``"orthogonal"``: orthogonal recurrent
            kernels (Saxe et al. 2014, https://arxiv.org/abs/1312.6120) and Glorot's uniform input kernels (Glorot and
            Bengio 2010); ``"chrono"``: orthogonal recurrent kernels and He's input kernels.
        recurrent: Whether the kernel reads states.
        gates: How many kernels are stacked, G.
    """
    if init == "torch":
        bound = math.sqrt(gates / kernel.size(0)) if kernel.size(0) > 0 else 0.0
        kernel.uniform_(-bound, bound)
        return
    for gate in kernel.chunk(gates):
        if recurrent and init != "he":
            nn.init.orthogonal_(gate)
        elif init in ("he", "chrono"):
            nn.init.kaiming_normal_(gate, nonlinearity="relu")
        else:
            nn.init.xavier_uniform_(gate)


@torch.no_grad()
def init_chrono(keep: Tensor, time_scale: float, write: Tensor | None = None) -> None:
    """Biases with which memories last from 1 to time_scale steps: log(U(1, time_scale - 1)) on the gate that keeps.

    Tallec and Ollivier, "Can recurrent neural networks warp time?", 2018, https://arxiv.org/abs/1804.11188, section 4.

    Args:
        keep: Bias of the gate that keeps the old state: an LSTM's forget gate, a GRU's update gate. [H]
        time_scale: The longest dependency, in steps.
        write: Bias of a separate gate that lets the new in, set to the negative: an LSTM's input gate. [H]
    """
    keep.uniform_(1.0, max(time_scale - 1.0, 1.0)).log_()
    if write is not None:
        write.copy_(-keep)
