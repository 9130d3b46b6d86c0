"""COCO-like JSON: images, annotations, categories, and relations between two annotations of an image."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnseq.data.scenes.boxes import FORMS, Form, as_corners, form_of
from gnnseq.data.scenes.checks import Place, array_of, identity, listed, mapping, shown, unordered
from gnnseq.data.scenes.published import extent, names_of
from gnnseq.data.scenes.scene import COCO_SKELETON, UNKNOWN, Scene, Scenes

__all__ = ["read_coco"]

Table = dict[int | str, dict[str, Any]]
Pair = tuple[int | str, int | str, int]  # the ids of two annotations, and the code of their relation


def read_coco(found: dict[str, Any], place: Place, boxes: Form | None, person: str) -> Scenes:
    """The scenes of a COCO-like file, in the order of ``images``; see :func:`gnnseq.data.scenes.load_scenes`.

    Raises:
        ValueError: A field is missing or wrong; the message names the file, the entry and the field.
    """
    for field in ("images", "annotations", "categories", "relations"):
        if field not in found:
            place(field).wrong("missing", "the lists images, annotations, categories and relations; relations are "
                               '{"pair": [id of an annotation, id of another], "relation": name}')  # fmt: skip
    images, categories = (_table(found, field, place) for field in ("images", "categories"))
    annotations = _table(found, "annotations", place)
    names = {key: _name(entry, place(f"category {key}")) for key, entry in categories.items()}
    humans = [key for key, name in names.items() if name.lower() == person.lower()]
    if len(humans) != 1:
        place("categories").wrong(f"{len(humans)} named {person!r} among {', '.join(names.values()) or 'none'}",
                                  "one; name another in person=...")  # fmt: skip
    joints, skeleton = _joints(categories[humans[0]], place(f"category {humans[0]}"))
    of_image: dict[int | str, list[int | str]] = {key: [] for key in images}
    crowds = set()
    for key, entry in annotations.items():
        at = place(f"annotation {key}")
        for field, known in (("image_id", images), ("category_id", categories)):
            if identity(entry.get(field), at(field)) not in known:
                at(field).wrong(shown(entry[field]), f"an id of {'images' if known is images else 'categories'}")
        if entry.get("iscrowd") in (1, True) and entry["category_id"] == humans[0]:
            crowds.add(key)
        else:
            of_image[entry["image_id"]].append(key)
    corners = _corners(annotations, images, found, place, boxes)
    drawn = [key for keys in of_image.values() for key in keys if annotations[key]["category_id"] == humans[0]]
    points = {key: _points(annotations[key], place(f"annotation {key}"), joints) for key in drawn}
    counts = sorted({len(rows) for rows in points.values() if rows is not None})
    if len(counts) > 1:
        place("annotations").wrong(f"persons of {counts[0]} and of {counts[-1]} keypoints", "one number of joints")
    others = {key: number for number, key in enumerate(key for key in names if key not in humans)}
    asked, relations = _relations(found, place, annotations, humans[0], crowds)
    albums = _albums(images, place)
    scenes = []
    for key, entry in images.items():
        persons = [each for each in of_image[key] if each in points]
        objects = [each for each in of_image[key] if each not in points]
        rank = {each: number for number, each in enumerate(persons)}
        own = asked.get(key, [])
        rows = np.array([corners[each] for each in [*persons, *objects]]).reshape(-1, 4)
        size = _size(entry, place(f"image {key}"))
        poses = [points[each] for each in persons]
        keypoints = None
        if any(each is not None for each in poses):
            blank = np.zeros((counts[0], 3))
            keypoints = np.stack([blank if each is None else each for each in poses])
        scenes.append(Scene(
            albums[key][0], rows[: len(persons)], rows[len(persons) :],
            np.array([others[annotations[each]["category_id"]] for each in objects], dtype=np.int64),
            np.array([[rank[i], rank[j]] for i, j, _ in own], dtype=np.int64).reshape(-1, 2),
            np.array([code for *_, code in own], dtype=np.int64),
            size or (extent(rows) if len(rows) else (1.0, 1.0)), albums[key][1], keypoints,
        ))  # fmt: skip
    return Scenes(tuple(scenes), relations, tuple(names[key] for key in others), {}, skeleton)


def _table(found: dict[str, Any], field: str, place: Place) -> Table:
    """Entries by id."""
    table: Table = {}
    for number, entry in enumerate(listed(found[field], place(field))):
        at = place(f"{field}[{number}]")
        key = identity(mapping(entry, at).get("id"), at("id"))
        if key in table:
            at("id").wrong(f"{shown(key)} for a second time", "an id of its own")
        table[key] = entry
    if not table:
        place(field).wrong("empty", "at least one")
    return table


def _name(entry: dict[str, Any], at: Place) -> str:
    name = entry.get("name")
    if not isinstance(name, str) or not name.strip():
        at("name").wrong(shown(name), "a name")
    return name


def _joints(entry: dict[str, Any], at: Place) -> tuple[int | None, tuple[tuple[int, int], ...]]:
    """How many joints persons have, where the file says, and the limbs between them, from 0."""
    named = entry.get("keypoints")
    count = None if named is None else len(listed(named, at("keypoints")))
    if entry.get("skeleton") is None:
        return count, COCO_SKELETON if count in (None, 17) else ()
    limbs = (
        array_of(entry["skeleton"], 2, at("skeleton"), "two places in keypoints, from 1", whole=True).astype(int) - 1
    )
    for number, limb in enumerate(limbs.tolist()):
        if min(limb) < 0 or (count is not None and max(limb) >= count) or limb[0] == limb[1]:
            given = [joint + 1 for joint in limb]
            at("skeleton")(f"row {number}").wrong(f"{given}", f"two different places, 1 to {count or 'the last joint'}")
    return count, tuple((int(i), int(j)) for i, j in limbs)


def _size(entry: dict[str, Any], at: Place) -> tuple[float, float] | None:
    size = [entry.get(field) for field in ("width", "height")]
    if size == [None, None]:
        return None
    for field, value in zip(("width", "height"), size, strict=True):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e12:
            at(field).wrong(shown(value), "pixels, a number above 0, or neither width nor height")
    return float(size[0]), float(size[1])  # type: ignore[arg-type] # was looked at above


def _corners(annotations: Table, images: Table, found: dict[str, Any], place: Place,
             boxes: Form | None) -> dict[int | str, NDArray[np.float64]]:  # fmt: skip
    """The box of every annotation."""
    places = [place(f"image {entry['image_id']}", f"annotation {key}", "bbox") for key, entry in annotations.items()]
    sizes, rows = [], []
    for entry, at in zip(annotations.values(), places, strict=True):
        if "bbox" not in entry:
            at.wrong("missing", "four numbers")
        rows.append(array_of([entry["bbox"]], 4, at, "four numbers")[0])
        size = _size(images[entry["image_id"]], place(f"image {entry['image_id']}"))
        sizes.append((np.nan, np.nan) if size is None else size)
    table, limits, declared = np.array(rows), np.array(sizes), found.get("box_format")
    if declared is not None and declared not in FORMS:
        place("box_format").wrong(shown(declared), f"one of {', '.join(FORMS)}")
    if declared is not None and boxes is not None and declared != boxes:
        place("box_format").wrong(f"{declared!r}, and the call says boxes={boxes!r}", "both the same, or one")
    form = boxes or declared or form_of(table, limits, places, place("bbox"))
    return dict(zip(annotations, as_corners(table, form, limits, places, place("bbox")), strict=True))


def _points(entry: dict[str, Any], at: Place, joints: int | None) -> NDArray[np.float64] | None:
    """Keypoints [J, 3]; None where there are none."""
    flat = entry.get("keypoints")
    if flat is None or flat == []:
        return None
    numbers = listed(flat, at("keypoints"))
    if len(numbers) % 3 or (joints is not None and len(numbers) != 3 * joints):
        wanted = "x, y and visibility of each joint" if joints is None else f"3 x {joints}, as the category has joints"
        at("keypoints").wrong(f"{len(numbers)} numbers", wanted)
    rows = [numbers[place : place + 3] for place in range(0, len(numbers), 3)]
    points = array_of(rows, 3, at("keypoints"), "x, y and visibility")
    if not np.isin(points[:, 2], (0, 1, 2)).all():
        worst = points[~np.isin(points[:, 2], (0, 1, 2))][0]
        at("keypoints").wrong(f"{worst.tolist()}", "a visibility of 0, 1 or 2; a detector's score is none")
    return points


def _relations(
    found: dict[str, Any], place: Place, annotations: Table, human: int | str, crowds: set[int | str]
) -> tuple[dict[int | str, list[Pair]], tuple[str, ...]]:
    """Pairs of annotations and the code of their relation, by image; and the relations' names."""
    entries = listed(found["relations"], place("relations"))
    if not entries:
        place("relations").wrong("empty", "at least one pair")
    places = [place(f"relations[{number}]") for number in range(len(entries))]
    pairs, answers = [], []
    for entry, at in zip(entries, places, strict=True):
        field = "pair" if "pair" in mapping(entry, at) else "subject and object"
        pair = listed(entry["pair"], at(field)) if field == "pair" else [entry.get("subject"), entry.get("object")]
        if len(pair) != 2 or pair[0] == pair[1]:
            at(field).wrong(shown(pair), "ids of two annotations")
        for key in pair:
            problem = (
                "no annotation" if identity(key, at(field)) not in annotations
                else "no person" if annotations[key]["category_id"] != human
                else "a crowd (iscrowd)" if key in crowds else ""
            )  # fmt: skip
            if problem:
                at(field).wrong(f"{shown(key)} is {problem}", "ids of annotations of two persons")
        if annotations[pair[0]]["image_id"] != annotations[pair[1]]["image_id"]:
            both = " and ".join(f"{key} in image {annotations[key]['image_id']}" for key in pair)
            at(field).wrong(both, "two persons of one image")
        if "relation" not in entry:
            at("relation").wrong("missing", "a name, or null where it is asked")
        pairs.append(pair)
        answers.append(entry["relation"])
    listed_names = found.get("relation_categories")
    if listed_names is not None:
        table = _table(found, "relation_categories", place)
        names: dict[Any, str] = {key: _name(entry, place(f"relation category {key}")) for key, entry in table.items()}
        if all(answer is None or isinstance(answer, str) for answer in answers) and not set(answers) & set(names):
            names = {name: name for name in names.values()}
        for answer, at in zip(answers, places, strict=True):
            if answer is not None and (not isinstance(answer, int | str) or answer not in names):
                at("relation").wrong(shown(answer), f"one of {', '.join(map(repr, names))}")
    else:
        names = names_of(answers, (), place("relations"))
    codes = {value: code for code, value in enumerate(names)}
    coded = [UNKNOWN if answer is None else codes[answer] for answer in answers]
    ids = {key: number for number, key in enumerate(annotations)}
    texts = list(names.values())
    kept = unordered([[ids[i], ids[j]] for i, j in pairs], coded, places.__getitem__,
                     lambda code: "unknown" if code == UNKNOWN else texts[code])  # fmt: skip
    asked: dict[int | str, list[Pair]] = {}
    for number in kept:
        i, j = pairs[number]
        asked.setdefault(annotations[i]["image_id"], []).append((i, j, coded[number]))
    return asked, tuple(names.values())


def _albums(images: Table, place: Place) -> dict[int | str, tuple[str, str]]:
    """The name and the album of each image; a file names the album of all or of none."""
    given = [key for key, entry in images.items() if entry.get("album") is not None]
    if given and len(given) < len(images):
        without = next(key for key in images if key not in set(given))
        place(f"image {without}", "album").wrong(
            "missing, and others have one", "an album for every image, or for none"
        )
    found: dict[int | str, tuple[str, str]] = {}
    named: dict[tuple[str, str], int | str] = {}
    for key, entry in images.items():
        name = entry.get("file_name", str(key))
        if not isinstance(name, str) or not name:
            place(f"image {key}", "file_name").wrong(shown(name), "a name")
        album = identity(entry["album"], place(f"image {key}", "album")) if given else key
        first = named.setdefault((name, str(album) if given else ""), key)
        if first != key and "file_name" in entry:
            place(f"image {key}", "file_name").wrong(
                f"{name!r}, as of image {first}", "one entry an image, or it may be trained on and tested on"
            )
        found[key] = name, str(album)
    return found
