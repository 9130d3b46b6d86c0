"""What a loader of scenes gives: boxes of people and objects in an image, and which people are asked about.

Letters: P persons, O objects, K pairs, J joints of a person.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["COCO_NAMES", "COCO_SKELETON", "UNKNOWN", "Scene", "Scenes"]

UNKNOWN = -1  # the relation of a pair of which it is not known

NAMES = (
    "person|bicycle|car|motorcycle|airplane|bus|train|truck|boat|traffic light|fire hydrant|stop sign|parking meter|"
    "bench|bird|cat|dog|horse|sheep|cow|elephant|bear|zebra|giraffe|backpack|umbrella|handbag|tie|suitcase|frisbee|"
    "skis|snowboard|sports ball|kite|baseball bat|baseball glove|skateboard|surfboard|tennis racket|bottle|wine glass|"
    "cup|fork|knife|spoon|bowl|banana|apple|sandwich|orange|broccoli|carrot|hot dog|pizza|donut|cake|chair|couch|"
    "potted plant|bed|dining table|toilet|tv|laptop|mouse|remote|keyboard|cell phone|microwave|oven|toaster|sink|"
    "refrigerator|book|clock|vase|scissors|teddy bear|hair drier|toothbrush"
)
COCO_NAMES = tuple(NAMES.split("|"))

# Pairs of COCO's 17 joints, from 0: nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles, left first.
COCO_SKELETON = (
    *((15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8), (7, 9), (8, 10)),
    *((1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6)),
)


@dataclass(frozen=True, eq=False)
class Scene:
    """An image, without its pixels.

    Attributes:
        image: Its name in the file.
        persons: Boxes of persons, as corners x1, y1, x2, y2 in pixels. float64 [P, 4]
        objects: Boxes of other things. float64 [O, 4]
        categories: What each object is, a place in :attr:`Scenes.categories`. int64 [O]
        pairs: Persons whose relation is known or asked, two places in ``persons`` each. int64 [K, 2]
        relations: The relation of each pair, a place in :attr:`Scenes.relations`, -1 where it is not known. int64 [K]
        size: Width and height of the image where the file says them; else the farthest corners of all boxes.
        group: The album, or what else must not be divided between training and test: the image's name where there is
            nothing larger.
        keypoints: Joints of each person, x, y in pixels and COCO's visibility (0 not labelled, 1 hidden, 2 seen), where
            the file has any. float64 [P, J, 3]
    """

    image: str
    persons: NDArray[np.float64]
    objects: NDArray[np.float64]
    categories: NDArray[np.int64]
    pairs: NDArray[np.int64]
    relations: NDArray[np.int64]
    size: tuple[float, float]
    group: str
    keypoints: NDArray[np.float64] | None = None


@dataclass(frozen=True, eq=False)
class Scenes:
    """Images of one file, and what their numbers mean.

    Attributes:
        scenes: The images, in the file's order.
        relations: Names of relations.
        categories: Names of objects' categories.
        parts: Places in ``scenes`` by name of the part, where the file is split, as PIPA is.
        skeleton: Joints that limbs join, places from 0.
    """

    scenes: tuple[Scene, ...]
    relations: tuple[str, ...]
    categories: tuple[str, ...] = ()
    parts: dict[str, range] = field(default_factory=dict)
    skeleton: tuple[tuple[int, int], ...] = COCO_SKELETON

    def __len__(self) -> int:
        return len(self.scenes)
