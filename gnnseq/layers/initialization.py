"""Named initialisations, each with its source.

Letters: H hidden channels, G gates.
"""

import math
import warnings
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from gnnseq.checks import is_number

__all__ = ["RECURRENT_INITS", "LazyMap", "check_init", "init_chrono", "init_kernels", "reset_map"]

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
            Bengio 2010); ``"identity"``: recurrent kernels that are the identity (Le et al. 2015,
            https://arxiv.org/abs/1504.00941) and Glorot's input kernels; ``"chrono"``: orthogonal recurrent kernels and
            He's input kernels.
        recurrent: Whether the kernel reads states.
        gates: How many kernels are stacked, G.
    """
    if init == "torch":
        bound = math.sqrt(gates / kernel.size(0)) if kernel.size(0) > 0 else 0.0
        kernel.uniform_(-bound, bound)
        return
    for gate in kernel.chunk(gates):
        if recurrent and init == "identity":
            nn.init.eye_(gate)
        elif recurrent and init != "he":
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


def _draw(kernel: Tensor, by: Callable[[Tensor], object]) -> None:
    """Draws a kernel that has entries; of others torch computes a bound 1 / 0, or warns."""
    if kernel.numel() > 0:
        by(kernel)


_KERNELS: dict[str, Callable[[Tensor], object]] = {
    "glorot": partial(_draw, by=nn.init.xavier_uniform_),
    "he": partial(_draw, by=partial(nn.init.kaiming_normal_, nonlinearity="relu")),
    "orthogonal": partial(_draw, by=nn.init.orthogonal_),
    "torch": partial(_draw, by=partial(nn.init.kaiming_uniform_, a=math.sqrt(5))),  # as torch.nn.Linear
}


class LazyMap(nn.LazyLinear):
    """A linear map without bias that takes its width from what it is first called on, and then is a plain one.

    Attributes:
        init: How its weight will be drawn, one of :func:`reset_map`'s.
    """

    init = "glorot"

    def __init__(self, out_channels: int, device: torch.device | None = None, dtype: torch.dtype | None = None) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Lazy modules are a new feature", UserWarning)  # in torch 2.8
            super().__init__(out_channels, bias=False, device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Draws the weight, if it has a shape already."""
        if not self.has_uninitialized_params() and self.weight.numel() > 0:
            _KERNELS[self.init](self.weight)

    # Whoever first calls a layer to have its parameters made wants them for training.
    @torch.inference_mode(False)
    @torch.no_grad()
    def initialize_parameters(self, input: Tensor) -> None:
        """Makes the weight as wide as the input [..., F]."""
        if self.has_uninitialized_params():
            size = self.out_features, input.size(-1)
            drawn = torch.empty(size, dtype=self.weight.dtype, device=self.weight.device)
            _KERNELS[self.init](drawn)  # first: where nothing can be drawn, as under vmap, the map stays as it was
            if torch._C._are_functorch_transforms_active():  # whose tensors end with them, and the process with theirs
                raise ValueError("in_channels=-1 and lin.weight has no shape yet, which no transform of torch.func can "
                                 "give it; call the layer once before")  # fmt: skip
            self.weight.materialize(size)
            self.weight.copy_(drawn)
        self.in_features = self.weight.size(1)

    def materialize(self, width: int) -> None:
        """Becomes a plain linear map of inputs [..., F]."""
        self(torch.empty(0, width, dtype=self.weight.dtype, device=self.weight.device))


@torch.no_grad()
def reset_map(lin: nn.Module, init: str) -> None:
    """Draws the parameters of a linear map, or of what is in its place, anew.

    A weight, parametrised and pruned ones too, is drawn by its name; parameters beside it, and maps that have no weight
    of their own, as an adapter's, by their own ``reset_parameters``. What has no parameters stays as it is.

    Args:
        lin: The map.
        init: ``"glorot"``, ``"he"``, ``"orthogonal"`` or ``"torch"``.

    Raises:
        ValueError: If init needs a weight and lin has none, or a parameter cannot be drawn; the message says which.
    """
    if isinstance(lin, LazyMap):
        lin.init = init
    if _draw_weight(lin, _KERNELS[init]):
        return
    if init in ("he", "orthogonal"):
        raise ValueError(f"init={init!r} draws lin.weight, and lin is a {type(lin).__name__} without one that can be "
                         "drawn; use init='glorot', and draw its parts yourself")  # fmt: skip
    _reset_parts(lin)


def _draw_weight(lin: nn.Module, draw: Callable[[Tensor], object]) -> bool:
    """Whether lin has a weight matrix, which then is drawn, and all beside it."""
    own = lin._parameters
    if parametrize.is_parametrized(lin, "weight"):
        weight = torch.empty_like(lin.weight)  # type: ignore[arg-type]
        draw(weight)
        try:
            lin.weight = weight
        except (NotImplementedError, RuntimeError) as error:
            names = ", ".join(type(each).__name__ for each in lin.parametrizations.weight)  # type: ignore[union-attr]
            raise ValueError(f"lin.weight is parametrised by {names}, which it cannot be set through; give that a "
                             "right_inverse, or draw its parameters yourself") from error  # fmt: skip
    elif own.get("weight_orig") is not None:  # torch.nn.utils.prune, which computes the weight in a call
        draw(own["weight_orig"])  # type: ignore[arg-type]
    else:
        kernel = own.get("weight")
        lazy = kernel is not None and bool(is_lazy(kernel))  # its shape comes with the first call
        if kernel is None or not (lazy or (kernel.dim() == 2 and kernel.is_floating_point())):
            return False
        if type(lin) is not nn.Linear or own.get("bias") is not None:
            getattr(lin, "reset_parameters", lambda: None)()
        if not lazy:
            draw(kernel)
        return True
    if own.get("bias") is not None:
        nn.init.zeros_(own["bias"])  # type: ignore[arg-type]
    return True


def _reset_parts(module: nn.Module) -> None:
    """Draws a module by its own reset_parameters, or each of its parts."""
    if _draw_weight(module, _KERNELS["torch"]) or not any(True for _ in module.parameters()):
        return
    if callable(getattr(module, "reset_parameters", None)):
        module.reset_parameters()  # type: ignore[operator]
        return
    if module._parameters:
        names = ", ".join(module._parameters)
        raise ValueError(f"lin holds a {type(module).__name__} with the parameters {names} and no reset_parameters; "
                         "give it this method, or draw them yourself")  # fmt: skip
    for part in module.children():
        _reset_parts(part)
