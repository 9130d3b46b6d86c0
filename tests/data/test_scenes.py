"""Scenes of files: read as written in every form, or refused by file, image and field; and the graphs of them."""

import copy
import gzip
import json
import pickle

import numpy as np
import pytest
import torch
from torch_geometric.data import Batch

from gnnseq.data.scenes import load_scenes, pipa, pisc, pose_graph, scene_graph
from gnnseq.data.scenes.load import PIPA, PISC

PERSON, TIE = 1, 32
JOINTS = ["head", "hand", "foot"]


def coco():
    """Two images, three persons and a tie in the first, two persons in the second, boxes [x, y, w, h]."""
    images = [{"id": 1, "file_name": "a.jpg", "width": 640, "height": 480},
              {"id": 2, "file_name": "b.jpg", "width": 640, "height": 480}]  # fmt: skip
    boxes = [(7, 1, PERSON, [400, 90, 100, 300]), (8, 1, PERSON, [520, 80, 110, 310]), (9, 1, TIE, [440, 150, 20, 80]),
             (10, 1, PERSON, [20, 100, 80, 200]),
             (11, 2, PERSON, [300, 10, 50, 90]), (12, 2, PERSON, [400, 10, 60, 95])]  # fmt: skip
    return {
        "images": images,
        "categories": [{"id": PERSON, "name": "Person"}, {"id": TIE, "name": "tie"}],
        "annotations": [{"id": a, "image_id": b, "category_id": c, "bbox": d} for a, b, c, d in boxes],
        "relations": [{"pair": [7, 8], "relation": "friends"}, {"pair": [8, 10], "relation": "family"},
                      {"subject": 12, "object": 11, "relation": None}],
    }  # fmt: skip


def published():
    return [
        {"image": "a.jpg", "person_boxes": [[0, 0, 10, 40], [20, 0, 30.5, 40]], "object_boxes": [[1, 1, 5, 5]],
         "object_categories": [3], "pairs": [[0, 1]], "relation": [2]},
        {"image": "b.jpg", "person_boxes": [[0, 0, 10, 40], [20, 0, 30, 40]], "pairs": [[1, 0]], "relation": [0]},
    ]  # fmt: skip


def load(folder, content, name="mine.json", **options):
    path = folder / name
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return load_scenes(path, **options)


def as_corners(content):
    made = copy.deepcopy(content)
    for entry in made["annotations"]:
        x, y, w, h = entry["bbox"]
        entry["bbox"] = [x, y, x + w, y + h]
    return made


def same(one, other):
    assert (one.relations, one.categories) == (other.relations, other.categories)
    for a, b in zip(one.scenes, other.scenes, strict=True):
        assert (a.image, a.size, a.group) == (b.image, b.size, b.group)
        for name in ("persons", "objects", "categories", "pairs", "relations"):
            assert np.array_equal(getattr(a, name), getattr(b, name)), name


def test_coco_like_is_read_as_written(tmp_path):
    scenes = load(tmp_path, coco())
    first, second = scenes.scenes
    assert (scenes.relations, scenes.categories) == (("family", "friends"), ("tie",))
    assert first.persons.tolist() == [[400, 90, 500, 390], [520, 80, 630, 390], [20, 100, 100, 300]]
    assert (first.objects.tolist(), first.categories.tolist()) == ([[440, 150, 460, 230]], [0])
    assert (first.pairs.tolist(), first.relations.tolist()) == ([[0, 1], [1, 2]], [1, 0])
    assert (second.pairs.tolist(), second.relations.tolist(), second.size) == ([[1, 0]], [-1], (640, 480))
    assert (first.image, first.group, first.keypoints) == ("a.jpg", "1", None)


def test_every_way_to_say_the_same(tmp_path):
    expected = load(tmp_path, coco())
    same(load(tmp_path, coco(), "mine.json.gz"), expected)
    same(load(tmp_path, as_corners(coco())), expected)  # told apart: these boxes end outside as x, y, w, h
    same(load(tmp_path, as_corners(coco()), boxes="corners"), expected)
    same(load(tmp_path, coco() | {"box_format": "xywh"}), expected)
    named = coco() | {"relation_categories": [{"id": 0, "name": "family"}, {"id": 1, "name": "friends"}]}
    same(load(tmp_path, named), expected)
    for entry, code in zip(named["relations"], (1, 0, None), strict=True):
        entry["relation"] = code
    same(load(tmp_path, named), expected)
    renamed = coco()
    renamed["categories"][0]["name"] = "pedestrian"
    same(load(tmp_path, renamed, person="Pedestrian"), expected)
    twice = coco()
    twice["relations"].append({"pair": [8, 7], "relation": "friends"})  # again, the other way round
    same(load(tmp_path, twice), expected)
    texts = json.loads(json.dumps(coco()).replace('"id": 7', '"id": "p7"').replace("[7, 8]", '["p7", 8]'))
    same(load(tmp_path, texts), expected)


def test_ambiguous_boxes_are_refused_and_declaring_them_is_enough(tmp_path):
    content = coco()
    for entry in content["annotations"]:
        entry["bbox"] = [10, 10, 60, 50]
    with pytest.raises(ValueError, match=r"mine.json, bbox: .*can be read both ways.*boxes='xywh' or boxes='corners'"):
        load(tmp_path, content)
    assert load(tmp_path, content, boxes="corners").scenes[0].persons[0].tolist() == [10, 10, 60, 50]
    assert load(tmp_path, content, boxes="xywh").scenes[0].persons[0].tolist() == [10, 10, 70, 60]
    for entry in content["images"]:
        del entry["width"], entry["height"]
    few = copy.deepcopy(content)
    few["annotations"] += [{"id": 100 + n, "image_id": 1, "category_id": TIE, "bbox": [0, 0, 9, 9]} for n in range(40)]
    few["annotations"][0]["bbox"] = [500, 10, 60, 50]  # one slip of corners, or a file of widths? no size can tell
    with pytest.raises(ValueError, match="can be read both ways"):
        load(tmp_path, few)
    slip = copy.deepcopy(content) | {"images": coco()["images"]}
    slip["annotations"] += [{"id": 100 + n, "image_id": 1, "category_id": TIE, "bbox": [0, 0, 9, 9]} for n in range(40)]
    slip["annotations"][0]["bbox"] = [10, 10, 640, 50]  # as a width, 10 pixels over the edge
    with pytest.raises(ValueError, match=r"annotation 7.* ends outside .*may be a slip.*boxes='xywh'"):
        load(tmp_path, slip)
    mixed = coco()
    mixed["annotations"][1]["bbox"] = [520, 80, 630, 390]
    with pytest.raises(ValueError, match=r"neither all .*annotation 7.*annotation 8.*one form in a file"):
        load(tmp_path, mixed)
    with pytest.raises(ValueError, match=r"annotation 7, bbox: .*most boxes .*end far outside.*Say so by boxes="):
        load(tmp_path, as_corners(coco()), boxes="xywh")
    with pytest.raises(ValueError, match=r"annotation 7, bbox: .*no area as \[x1, y1, x2, y2\]"):
        load(tmp_path, coco(), boxes="corners")


WRONG = {
    r"relations: missing.*pair": lambda c: c.pop("relations"),
    r"images\[1\], id: 1 for a second time": lambda c: c["images"][1].update(id=1),
    r"annotation 7, image_id: 99; expected an id of images": lambda c: c["annotations"][0].update(image_id=99),
    r"annotation 9, category_id: None": lambda c: c["annotations"][2].pop("category_id"),
    r"image 1, annotation 7, bbox, row 0: \[1, 2, 3\]": lambda c: c["annotations"][0].update(bbox=[1, 2, 3]),
    r"annotation 7, bbox, row 0: .*numbers all": lambda c: c["annotations"][0].update(bbox=[1, 2, 3, "4"]),
    r"annotation 7, bbox, row 0: .*finite": lambda c: c["annotations"][0].update(bbox=[1, 2, 3, float("nan")]),
    r"annotation 7, bbox: missing": lambda c: c["annotations"][0].pop("bbox"),
    r"annotation 7, bbox: .*no area": lambda c: (
        c.update(box_format="xywh"),
        c["annotations"][0].update(bbox=[9, 9, 0, 4]),
    ),
    r"box_format: 'xyxy'; expected one of xywh, corners": lambda c: c.update(box_format="xyxy"),
    r"no corner of a box is beyond 1.*pixels": lambda c: [
        e.update(bbox=[0.5, 0.5, 0.1, 0.2]) for e in c["annotations"]
    ],
    r"image 1, width: -1": lambda c: c["images"][0].update(width=-1),
    r"categories: 0 named 'person' among men, tie; .*person=": lambda c: c["categories"][0].update(name="men"),
    r"relations\[0\], pair: 99 is no annotation": lambda c: c["relations"][0].update(pair=[7, 99]),
    r"relations\[0\], pair: 9 is no person": lambda c: c["relations"][0].update(pair=[7, 9]),
    r"relations\[0\], pair: .*expected ids of two": lambda c: c["relations"][0].update(pair=[7, 7]),
    r"relations\[0\], pair: 7 in image 1 and 11 in image 2": lambda c: c["relations"][0].update(pair=[7, 11]),
    r"relations\[0\], pair: 8 is a crowd": lambda c: c["annotations"][1].update(iscrowd=1),
    r"relations\[0\], relation: missing": lambda c: c["relations"][0].pop("relation"),
    r"relations: .*all names or all whole numbers": lambda c: c["relations"][0].update(relation=3),
    r"relations\[1\]: .*friends first and family here": lambda c: c["relations"][1].update(pair=[8, 7]),
    r"image 2, file_name: 'a.jpg', as of image 1": lambda c: c["images"][1].update(file_name="a.jpg"),
    r"image 2, album: missing": lambda c: c["images"][0].update(album="x"),
}


@pytest.mark.parametrize("message", WRONG)
def test_what_is_wrong_is_named(tmp_path, message):
    content = coco()
    WRONG[message](content)
    with pytest.raises(ValueError, match=rf"mine\.json.*{message}"):
        load(tmp_path, content)


def test_the_published_form_alone_and_in_parts(tmp_path):
    scenes = load(tmp_path, published())
    assert (scenes.relations, scenes.categories, scenes.parts) == (("0", "2"), ("3",), {})
    assert scenes.scenes[0].relations.tolist() == [1]
    assert scenes.scenes[0].size == (30.5, 40)
    named = published()
    named[0]["relation"], named[1]["relation"] = ["friends"], [None]
    scenes = load(tmp_path, {"train": named[:1], "test": named[1:]}, "parts.json.gz")
    assert (scenes.relations, scenes.parts) == (("friends",), {"train": range(1), "test": range(1, 2)})
    assert scenes.scenes[1].relations.tolist() == [-1]


PUBLISHED_WRONG = {
    r"image a.jpg, relation: 2 of them; expected 1": lambda c: c[0].update(relation=[1, 2]),
    r"image a.jpg, pairs, row 0: \[0, 2\].*0 to 1": lambda c: c[0].update(pairs=[[0, 2]]),
    r"image b.jpg, pairs, row 0: \[1.0, 0\].*whole": lambda c: c[1].update(pairs=[[1.0, 0]]),
    r"image a.jpg, person_boxes, row 1: .*no area": lambda c: c[0].update(person_boxes=[[0, 0, 9, 9], [9, 9, 9, 12]]),
    r"image b.jpg, person_boxes: missing": lambda c: c[1].pop("person_boxes"),
    r"image a.jpg, object_categories: 0 of them; expected 1": lambda c: c[0].pop("object_categories"),
    r"record 1, image: None": lambda c: c[1].pop("image"),
    r"image a.jpg: a second record": lambda c: c[1].update(image="a.jpg"),
    r"relation: 1.5 among": lambda c: c[1].update(relation=[1.5]),
    r"relation: True among": lambda c: c[1].update(relation=[True]),
}


@pytest.mark.parametrize("message", PUBLISHED_WRONG)
def test_what_is_wrong_in_the_published_form_is_named(tmp_path, message):
    content = published()
    PUBLISHED_WRONG[message](content)
    with pytest.raises(ValueError, match=rf"mine\.json.*{message}"):
        load(tmp_path, content)


class Trap:
    def __reduce__(self):
        return print, ("executed",)


def test_files_that_are_no_json_are_refused_and_none_is_executed(tmp_path, capsys, monkeypatch):
    for content, message in ((pickle.dumps(Trap()), "a pickle, which is not opened"), (b"{", "not JSON"),
                             (b"\x1f\x8b\x08cut", "gzip that is cut off"), (b"[]", "no image")):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            load(tmp_path, content)
    assert capsys.readouterr().out == ""
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_scenes(tmp_path / "none.json")
    with pytest.raises(ValueError, match="boxes='xyxy'; expected one of 'xywh', 'corners'"):
        load_scenes(tmp_path / "none.json", boxes="xyxy")
    monkeypatch.setenv("GNNSEQ_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"pisc_fine_test.json.gz: not in .*GNNSEQ_DATA"):
        pisc()


def test_the_published_files_come_out_of_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GNNSEQ_DATA", str(tmp_path))
    (tmp_path / "scenes").mkdir()
    (tmp_path / PISC).write_bytes(gzip.compress(json.dumps(published()).encode()))
    assert pisc().relations[pisc().scenes[0].relations[0]] == "couple"
    record = {"person_boxes": [[0, 0, 1, 4], [2, 0, 3, 4]], "pairs": [[0, 1]], "relation": [4]}
    records = [record | {"image": f"{album}_1.jpg"} for album in ("77", "88")]
    (tmp_path / PIPA).write_bytes(gzip.compress(json.dumps({"train": records[:1], "test": records[1:]}).encode()))
    scenes = pipa()
    assert [scene.group for scene in scenes.scenes] == ["77", "88"]
    assert scenes.parts["test"] == range(1, 2)


def test_geometry_by_hand_and_free_of_scale(tmp_path):
    first, _ = load(tmp_path, coco()).scenes
    graph = scene_graph(first)
    near, beside = graph["object", "near", "person"], graph["person", "beside", "person"]
    assert beside.edge_index.tolist() == [[0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 0, 1]]
    scale = (100 * 300 * 20 * 80) ** 0.25
    expected = [0, -50 / scale, 50 / scale, np.log(1600 / 30000), np.log(0.2), np.log(80 / 300), 1600 / 30000, 1]
    assert near.edge_attr[0].tolist() == pytest.approx(expected, abs=1e-6)
    assert graph["pair", "beside", "pair"].edge_index.tolist() == [[0, 1], [1, 0]]  # person 1 is in both
    assert graph["person", "of", "pair"].edge_index.tolist() == [[0, 1, 1, 2], [0, 0, 1, 1]]
    large = coco()
    large["images"] = [{"id": n, "file_name": f"{n}", "width": 6400, "height": 4800} for n in (1, 2)]
    for entry in large["annotations"]:
        entry["bbox"] = [10 * cell for cell in entry["bbox"]]
    other = scene_graph(load(tmp_path, large).scenes[0])
    for kind in graph.node_types:
        assert torch.allclose(graph[kind].x, other[kind].x, atol=1e-6)  # float32
    assert torch.allclose(near.edge_attr, other["object", "near", "person"].edge_attr, atol=1e-6)


def test_several_scenes_are_the_batch_of_their_graphs(tmp_path):
    scenes = load(tmp_path, coco()).scenes
    together, batch = scene_graph(scenes), Batch.from_data_list([scene_graph(scene) for scene in scenes])
    for kind in together.edge_types:
        assert torch.equal(together[kind].edge_index, batch[kind].edge_index), kind
        assert torch.equal(
            together[kind].get("edge_attr", torch.zeros(0)), batch[kind].get("edge_attr", torch.zeros(0))
        )
    for kind in together.node_types:
        assert torch.equal(together[kind].x, batch[kind].x)
        assert "batch" not in scene_graph(scenes[0])[kind]  # torch_geometric cannot collate an empty one
        assert torch.equal(together[kind].batch, batch[kind].batch)
    assert together["person", "of", "pair"].edge_index[0].tolist() == [0, 1, 1, 2, 4, 3]
    with pytest.raises(ValueError, match="scenes: none"):
        scene_graph([])


def with_keypoints():
    content = coco()
    content["categories"][0] |= {"keypoints": JOINTS, "skeleton": [[1, 2], [1, 3]]}
    content["annotations"][0]["keypoints"] = [450, 90, 2, 0, 0, 0, 450, 390, 1]
    return content


def test_a_pose_from_keypoints_in_cocos_form(tmp_path):
    scenes = load(tmp_path, with_keypoints())
    first, second = scenes.scenes
    graph = pose_graph(first, 0, scenes.skeleton)
    assert graph.x.tolist() == [[0, -0.5, 2], [0, 0, 0], [0, 0.5, 1]]
    assert graph.edge_index.tolist() == [[0, 2], [2, 0]]
    with pytest.raises(ValueError, match=r"person 1: no joint is labelled"):
        pose_graph(first, 1, scenes.skeleton)
    with pytest.raises(ValueError, match=r"scene b.jpg: no keypoints, and a pose cannot be built from boxes"):
        pose_graph(second, 0)
    with pytest.raises(ValueError, match=r"person=5; expected 0 to 2"):
        pose_graph(first, 5)
    with pytest.raises(ValueError, match=r"skeleton: .*expected joints 0 to 2"):
        pose_graph(first, 0)


KEYPOINTS_WRONG = {
    r"annotation 7, keypoints: 6 numbers.*3 x 3": lambda c: c["annotations"][0].update(keypoints=[1, 2, 2, 3, 4, 2]),
    r"annotation 7, keypoints: .*detector": lambda c: c["annotations"][0].update(keypoints=[1, 2, 0.7] * 3),
    r"category 1, skeleton, row 0: \[0, 2\].*1 to 3": lambda c: c["categories"][0].update(skeleton=[[0, 2]]),
}


@pytest.mark.parametrize("message", KEYPOINTS_WRONG)
def test_what_is_wrong_with_keypoints_is_named(tmp_path, message):
    content = with_keypoints()
    KEYPOINTS_WRONG[message](content)
    with pytest.raises(ValueError, match=message):
        load(tmp_path, content)
