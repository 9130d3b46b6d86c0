"""Gradients of zero where a batch has nothing that a layer's parameters could act on."""

from torch import Tensor, nn

__all__ = ["with_zero_gradients"]


def with_zero_gradients(layer: nn.Module, *outputs: Tensor) -> list[Tensor]:
    """The same outputs, from which every parameter of the layer gets a gradient: zero.

    Where several processes average gradients, as under DistributedDataParallel, a parameter without one stops them all.
    """
    nothing = [parameter.flatten()[:0].sum() for parameter in layer.parameters()]
    return [output + sum(nothing) for output in outputs]
