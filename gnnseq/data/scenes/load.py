"""Files of scenes: PISC's and PIPA's, and COCO-like JSON of one's own. Reading executes nothing."""

import json
from pathlib import Path
from typing import Any

from gnnseq.data.cache import folder
from gnnseq.data.packed import read_unpacked
from gnnseq.data.scenes.boxes import FORMS, Form
from gnnseq.data.scenes.checks import Place
from gnnseq.data.scenes.coco import read_coco
from gnnseq.data.scenes.published import read_published
from gnnseq.data.scenes.scene import COCO_NAMES, Scenes

__all__ = ["PIPA", "PISC", "load_scenes", "pipa", "pisc"]

PISC = "scenes/pisc_fine_test.json.gz"
PIPA = "scenes/pipa_relation.json.gz"

PISC_RELATIONS = ("friends", "family", "couple", "professional", "commercial", "no relation")
PIPA_RELATIONS = (
    *("father-child", "mother-child", "grandpa-grandchild", "grandma-grandchild", "friends", "siblings", "classmates"),
    *("lovers or spouses", "presenter-audience", "teacher-student", "trainer-trainee", "leader-subordinate"),
    *("band members", "dance team members", "sport team members", "colleagues"),
)


def pisc() -> Scenes:
    """The 1,250 images of PISC's fine test part: 3,961 pairs of 6 relations, persons and detected objects as boxes.

    Of each of COCO's 80 categories at most one object an image is published. Li, Wong, Zhao and Kankanhalli 2017,
    https://arxiv.org/abs/1708.00634; boxes from https://github.com/tw-repository/PGR-SRR, whose pickles were written
    anew as JSON. No pixels and no training part.

    Raises:
        FileNotFoundError: The folder that GNNSEQ_DATA names does not hold scenes/pisc_fine_test.json.gz.
    """
    return read_published(*_cached(PISC), PISC_RELATIONS, COCO_NAMES)


def pipa() -> Scenes:
    """PIPA-relation: 18,822 pairs of 16 relations in 8,305 images, persons as boxes; the official parts are ``parts``.

    ``group`` is the album that an image is of. Sun, Schiele and Fritz 2017, https://arxiv.org/abs/1704.06456.

    Raises:
        FileNotFoundError: The folder that GNNSEQ_DATA names does not hold scenes/pipa_relation.json.gz.
    """
    return read_published(*_cached(PIPA), PIPA_RELATIONS, (), album=lambda image: image.split("_")[0])


def load_scenes(source: str | Path, boxes: Form | None = None, person: str = "person") -> Scenes:
    """Scenes of a file, JSON or JSON in gzip, in one of two forms.

    COCO-like: ``images`` (id, file_name; width, height, album), ``annotations`` (id, image_id, category_id, bbox;
    keypoints, iscrowd), ``categories`` (id, name; keypoints, skeleton) and ``relations``, a list of
    ``{"pair": [id, id], "relation": name}`` whose ids are those of two annotations of persons in one image. A relation
    of null is asked and not known. Ids are whole numbers or texts. ``subject`` and ``object`` may stand for ``pair``; a
    list ``relation_categories`` (id, name) lets relations be numbers. Crowds (iscrowd 1) are no persons, and left out.
    A pair that is listed again, either way round, is kept once.

    As PISC and PIPA: a list of ``{"image", "person_boxes", "pairs", "relation"}``, with ``object_boxes`` and
    ``object_categories`` where there are any, or an object of such lists, one a part. Relations and categories are
    names or numbers, boxes are corners.

    Args:
        source: A path.
        boxes: ``"xywh"`` or ``"corners"``. Where it is not given, ``box_format`` in the file counts, and without it the
            form is told from all boxes, if they can be read one way only (:func:`gnnseq.data.scenes.boxes.form_of`).
        person: The category of persons, capital letters or not.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not JSON of these forms, or a field is missing or wrong; the message names the file, the
            image or annotation, and the field.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "mine.json")
        >>> _ = file.write_text(json.dumps({
        ...     "images": [{"id": 1, "file_name": "a.jpg", "width": 640, "height": 480}],
        ...     "categories": [{"id": 1, "name": "person"}, {"id": 32, "name": "tie"}],
        ...     "annotations": [
        ...         {"id": 7, "image_id": 1, "category_id": 1, "bbox": [400, 90, 100, 300]},
        ...         {"id": 8, "image_id": 1, "category_id": 1, "bbox": [520, 80, 110, 310]},
        ...         {"id": 9, "image_id": 1, "category_id": 32, "bbox": [440, 150, 20, 80]}],
        ...     "relations": [{"pair": [7, 8], "relation": "colleagues"}]}))
        >>> scenes = load_scenes(file)
        >>> scenes.relations, scenes.categories, scenes.scenes[0].persons[0].tolist()
        (('colleagues',), ('tie',), [400.0, 90.0, 500.0, 390.0])
    """
    if boxes is not None and boxes not in FORMS:
        raise ValueError(f"boxes={boxes!r}; expected one of {', '.join(map(repr, FORMS))}, or None to be told apart")
    path = Path(source)
    if not path.is_file():
        problem = "a folder" if path.is_dir() else "no such file"
        raise FileNotFoundError(f"source={str(source)!r}: {problem}; expected JSON of scenes, COCO-like or as PISC's")
    found, place = _json(path), Place(str(path))
    if isinstance(found, dict) and ("annotations" in found or "images" in found):
        return read_coco(found, place, boxes, person)
    if boxes == "xywh":
        raise ValueError(f"{path}: boxes='xywh', but a file in the form of PISC's has corners; expected 'corners' or "
                         "None, or a COCO-like file, which has images and annotations")  # fmt: skip
    return read_published(found, place)


def _cached(name: str) -> tuple[Any, Place]:
    """The content of a file of the cache."""
    path = folder() / name
    if not path.is_file():
        raise FileNotFoundError(
            f"{name}: not in {folder()}; it is not downloaded, because it is published as a pickle, which may run "
            "anything when it is loaded: https://github.com/tw-repository/PGR-SRR. Write its lists as JSON and put the "
            "file there, or set GNNSEQ_DATA to a folder that has it"
        )
    return _json(path), Place(str(path))


def _json(path: Path) -> Any:
    """What a file of JSON holds, in gzip or not, whatever its name says."""
    raw = read_unpacked(path)
    try:
        return json.loads(raw.decode("utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        kind = "a pickle, which is not opened, because it may run anything" if raw[:1] == b"\x80" else "not JSON"
        raise ValueError(f"{path}: {kind} ({error}); expected JSON, COCO-like or as PISC's") from error
