"""The form of PISC's and PIPA's files: an image a record, boxes as corners, pairs as places in the list of persons."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnseq.data.scenes.boxes import as_corners
from gnnseq.data.scenes.checks import Place, array_of, listed, mapping, shown, unordered
from gnnseq.data.scenes.scene import UNKNOWN, Scene, Scenes

__all__ = ["extent", "names_of", "read_published"]

CORNERS = "[x1, y1, x2, y2]"


def read_published(found: Any, place: Place, relations: Sequence[str] = (), categories: Sequence[str] = (),
                   album: Callable[[str], str] | None = None) -> Scenes:  # fmt: skip
    """Scenes of a list of records, or of parts, a list each.

    Relations and categories are names, or numbers that the lists of names are counted by; without such a list the
    numbers are the names.

    Raises:
        ValueError: A record is malformed; the message names the file, the image and the field.
    """
    parts = found if isinstance(found, dict) else {"": found}
    spans: dict[str, range] = {}
    records: list[dict[str, Any]] = []
    places: list[Place] = []
    for part, content in parts.items():
        own = place(f"part {part!r}") if isinstance(found, dict) else place
        begin = len(records)
        for number, record in enumerate(listed(content, own)):
            at = own(f"record {number}")
            name = mapping(record, at).get("image")
            if not isinstance(name, str) or not name:
                at("image").wrong(shown(name), "the name of an image")
            records.append(record)
            places.append(own(f"image {name}"))
        spans[part] = range(begin, len(records))
    if not records:
        place.wrong("no image", "records with image, person_boxes, pairs and relation")
    _once(records, places)
    relation = names_of([value for record in records for value in _all(record, "relation")], relations,
                        place("relation"))  # fmt: skip
    category = names_of([value for record in records for value in _all(record, "object_categories")], categories,
                        place("object_categories"))  # fmt: skip
    scenes = tuple(_scene(record, at, relation, category, album) for record, at in zip(records, places, strict=True))
    named = {part: span for part, span in spans.items() if part}
    return Scenes(scenes, tuple(relation.values()), tuple(category.values()), named)


def names_of(values: Sequence[Any], names: Sequence[str], place: Place) -> dict[Any, str]:
    """The name of each value, in the order in which they are numbered: that of ``names``, else sorted."""
    kinds = {type(value) for value in values if value is not None}
    if kinds - {int, str} or len(kinds) > 1:
        strange = next(value for value in values if value is not None and (kinds == {int} or type(value) is not int))
        place.wrong(f"{shown(strange)} among {', '.join(sorted(kind.__name__ for kind in kinds))}",
                    "all names or all whole numbers")  # fmt: skip
    if not names:
        return {value: str(value) for value in sorted({value for value in values if value is not None})}
    known: dict[Any, str] = dict(zip(names, names, strict=True) if kinds == {str} else enumerate(names))
    for value in values:
        if value is not None and value not in known:
            place.wrong(shown(value), f"0 to {len(names) - 1}, or one of {', '.join(names)}")
    return known


def extent(boxes: NDArray[np.float64]) -> tuple[float, float]:
    """The width and height that boxes fill, counted from 0."""
    return float(boxes[:, 2].max()), float(boxes[:, 3].max())


def _all(record: dict[str, Any], field: str) -> list[Any]:
    value = record.get(field, [])
    return value if isinstance(value, list) else []  # what else it is, is said where the record is read


def _once(records: Sequence[dict[str, Any]], places: Sequence[Place]) -> None:
    seen: set[str] = set()
    for record, at in zip(records, places, strict=True):
        if record["image"] in seen:
            at.wrong("a second record of this image", "one record an image, or it may be trained on and tested on")
        seen.add(record["image"])


def _scene(record: dict[str, Any], at: Place, relation: dict[Any, str], category: dict[Any, str],
           album: Callable[[str], str] | None) -> Scene:  # fmt: skip
    for field in ("person_boxes", "pairs", "relation"):
        if field not in record:
            at(field).wrong("missing", f"the fields image, person_boxes, pairs and relation, not {', '.join(record)}")
    boxes = []
    for field in ("person_boxes", "object_boxes"):
        rows = array_of(record.get(field, []), 4, at(field), CORNERS)
        places = [at(field)(f"row {number}") for number in range(len(rows))]
        boxes.append(as_corners(rows, "corners", np.full((len(rows), 2), np.nan), places, at(field)))
    persons, objects = boxes
    pairs = array_of(record["pairs"], 2, at("pairs"), "two places in person_boxes", whole=True).astype(np.int64)
    answers = listed(record["relation"], at("relation"))
    kinds = listed(record.get("object_categories", []), at("object_categories"))
    for field, values, wanted in (("relation", answers, pairs), ("object_categories", kinds, objects)):
        if len(values) != len(wanted):
            at(field).wrong(f"{len(values)} of them", f"{len(wanted)}, one for each row")
    for number, (i, j) in enumerate(pairs.tolist()):
        if i == j or not (0 <= i < len(persons) and 0 <= j < len(persons)):
            at("pairs")(f"row {number}").wrong(f"[{i}, {j}]", f"two different places, 0 to {len(persons) - 1}")
    codes, numbers = {value: code for code, value in enumerate(relation)}, list(relation.values())
    coded = [UNKNOWN if value is None else codes[value] for value in answers]
    kept = unordered(pairs.tolist(), coded, lambda number: at("pairs")(f"row {number}"),
                     lambda code: "unknown" if code == UNKNOWN else numbers[code])  # fmt: skip
    order = {value: code for code, value in enumerate(category)}
    for number, value in enumerate(kinds):
        if value not in order:
            at("object_categories")(f"row {number}").wrong(shown(value), "a name or a number")
    image = record["image"]
    both = np.concatenate([persons, objects])
    return Scene(
        image, persons, objects, np.array([order[value] for value in kinds], dtype=np.int64),
        pairs[kept].reshape(-1, 2), np.array(coded, dtype=np.int64)[kept],
        extent(both) if len(both) else (1.0, 1.0), album(image) if album else image,
    )  # fmt: skip
