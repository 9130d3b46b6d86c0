"""Boxes of a file as corners, whether they are written as corners or as a corner with width and height."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gnnseq.data.scenes.checks import Place

__all__ = ["FORMS", "Form", "as_corners", "form_of"]

Form = Literal["xywh", "corners"]
FORMS: tuple[Form, ...] = ("xywh", "corners")
SLACK = 1.5  # pixels that a box may stand over an image's edge by rounding
FEW = 0.05  # a share of boxes that may be slips rather than a sign of how all are written

MEANS = {"xywh": "[x, y, width, height]", "corners": "[x1, y1, x2, y2]"}


def form_of(boxes: NDArray[np.float64], sizes: NDArray[np.float64], places: Sequence[Place], where: Place) -> Form:
    """How the boxes are written, if they can be written in one way only.

    A box that ends before it begins is none of corners; one that stands over its image's edge, by more than rounding,
    is none of x, y, width and height. The file's form is the one that no box speaks against. Where none speaks against
    either, or some against each, or where so few speak against a form that they may be slips, and against corners no
    image's size is there to tell, the file is refused.

    Args:
        boxes: [B, 4]
        sizes: Width and height of each box's image, NaN where the file does not say. [B, 2]
        places: Where each box stands.
        where: The file.

    Raises:
        ValueError: The form cannot be told; the message names a box that speaks against each.
    """
    remedy = "boxes='xywh' or boxes='corners' in the call, or \"box_format\" with one of the two in the file"
    inverted = (boxes[:, 2:] <= boxes[:, :2]).any(1)
    with np.errstate(invalid="ignore"):
        outside = (boxes[:, :2] + boxes[:, 2:] > sizes + SLACK).any(1) | (boxes[:, 2:] <= 0).any(1)
    if inverted.any() and outside.any():
        one, other = int(inverted.argmax()), int(outside.argmax())
        where.wrong(
            f"boxes that are neither all {MEANS['xywh']} nor all {MEANS['corners']}: {told(boxes, places, one)} ends "
            f"before it begins as corners, {told(boxes, places, other)} ends outside of its image as the other",
            f"one form in a file; where these are slips, {remedy}",
        )
    unsure = inverted.mean() < FEW and not np.isfinite(sizes).all()
    if 0 < outside.mean() < FEW:  # of corners about every second box ends outside as the other
        slip = int(outside.argmax())
        where.wrong(
            f"{told(boxes, places, slip)} ends outside of its image as {MEANS['xywh']}, and so few boxes do that it "
            f"may be a slip; all can be read as {MEANS['corners']}, too",
            remedy,
        )
    if not outside.any() and (unsure or not inverted.any()):
        where.wrong(
            f"boxes that may be {MEANS['xywh']} or {MEANS['corners']}: {told(boxes, places, 0)} can be read both ways",
            remedy,
        )
    return "corners" if outside.any() else "xywh"


def as_corners(boxes: NDArray[np.float64], form: Form, sizes: NDArray[np.float64], places: Sequence[Place],
               where: Place) -> NDArray[np.float64]:  # fmt: skip
    """Boxes as x1, y1, x2, y2; each must have an area, and be in pixels. [B, 4]"""
    corners = boxes.copy()
    if form == "xywh":
        corners[:, 2:] += boxes[:, :2]
    flat = ~(corners[:, 2:] > corners[:, :2]).all(1)
    if flat.any():
        first = int(flat.argmax())
        places[first].wrong(f"{boxes[first].tolist()} has no area as {MEANS[form]}", "a width and a height above 0")
    with np.errstate(invalid="ignore"):
        outside = np.any(corners[:, 2:] > 1.1 * sizes, axis=1)
    if 2 * outside.sum() > len(corners):
        first = int(outside.argmax())
        places[first].wrong(
            f"{boxes[first].tolist()} as {MEANS[form]}, and most boxes of the file, end far outside of their images",
            f"boxes as {' or '.join(MEANS[other] for other in FORMS if other != form)}? Say so by boxes= or "
            '"box_format"; or other sizes of images',
        )
    if len(corners) and corners.max() <= 1 and not (sizes <= 1).any():
        where.wrong(f"no corner of a box is beyond 1, as {told(boxes, places, 0)}", "pixels, not shares of the image: "
                    "multiply by its width and height")  # fmt: skip
    return corners


def told(boxes: NDArray[np.float64], places: Sequence[Place], number: int) -> str:
    """A box and where it stands."""
    return f"{boxes[number].tolist()} ({', '.join(places[number].words[1:])})"
