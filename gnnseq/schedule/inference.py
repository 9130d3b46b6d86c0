"""Schedules are remembered, so their tensors must serve training even when an evaluation made them."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["outside_inference"]


@contextmanager
def outside_inference() -> Iterator[None]:
    """Tensors made inside can be saved for a backward pass, also under ``torch.inference_mode`` and ``no_grad``."""
    with torch.inference_mode(False), torch.enable_grad():
        yield
