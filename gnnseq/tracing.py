"""What torch does while it records operations in place of running them, and how to run some all the same."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch.utils import _python_dispatch

__all__ = ["for_real", "is_compiling", "is_plain", "is_recording"]


def is_recording() -> bool:
    """Whether torch.compile, torch.export, torch.jit.trace or a FakeTensorMode records: then no value may be read."""
    if torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None:
        return True
    return torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.FAKE) is not None


def is_compiling() -> bool:
    """Whether torch.compile records a function that runs here alone, so that it may call back; exports may not."""
    return torch.compiler.is_compiling() and not torch.compiler.is_exporting() and not _is_transformed()


def _is_transformed() -> bool:
    return bool(torch._C._are_functorch_transforms_active())


_is_transformed._dynamo_marked_constant = True  # type: ignore[attr-defined]  # asked when it compiles


def is_plain() -> bool:
    """Whether tensors made now are what they seem anyway, so that :func:`for_real` would change nothing."""
    recorded = is_recording() or torch._C._len_torch_dispatch_stack() > 0
    return not (recorded or torch._ops._len_torch_dispatch_stack_pre_dispatch() or torch.is_inference_mode_enabled())


@contextmanager
def for_real() -> Iterator[None]:
    """Tensors made inside are what they seem, for every later call, whoever asks first.

    They can be saved for a backward pass, also under ``torch.inference_mode`` and ``no_grad``; under torch.export,
    make_fx, torch.jit.trace and a FakeTensorMode they have values, which the recording holds as constants.
    """
    trace = torch._C._get_tracing_state()
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        if torch._C._len_torch_dispatch_stack() > 0 or torch._ops._len_torch_dispatch_stack_pre_dispatch() > 0:
            stack.enter_context(_python_dispatch._disable_current_modes())
        if trace is not None:
            torch._C._set_tracing_state(None)  # type: ignore[attr-defined]
            stack.callback(torch._C._set_tracing_state, trace)  # type: ignore[attr-defined]
        yield
