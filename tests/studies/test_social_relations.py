"""benchmarks/social_relations.py: folds that leak nothing, labels that stay away from their own rows, a user's file."""

import gzip
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import tyro
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedGroupKFold

import social_relations as script
from harness.cli import publish
from studies.social_relations import sources, study
from studies.social_relations.features import labels_of, table_of
from studies.social_relations.fit import fit, scaled
from studies.social_relations.folds import check_apart, grouped_folds
from studies.social_relations.networks import SceneNetwork, make_minibatch
from studies.social_relations.planted import RELATIONS, THINGS, best_of, planted_scenes
from studies.social_relations.runs import NETWORKS, SceneRun
from studies.social_relations.scores import KINDS, average_precision, bootstrap, scores_of

SMALL = {"folds": 2, "members": 2, "hidden": 8, "rounds": 1, "epochs": 1, "batch": 40, "trees": 2}


def setting(task="relations", model="network, table", fold=0):
    return SceneRun("planted small", "", task, "grouped", model, fold, **SMALL)


def unequal():
    """Groups of sizes that are all different, and classes of which two are rare."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), np.arange(1, 61))
    return groups, rng.choice(4, len(groups), p=[0.6, 0.3, 0.08, 0.02])


def test_folds_divide_no_group_are_even_and_differ_by_seed():
    groups, y = unequal()
    seen = set()
    for seed in range(20):
        folds = grouped_folds(groups, y, 5, seed)
        assert all(len(set(folds[groups == group])) == 1 for group in np.unique(groups))
        counts = np.stack([np.bincount(y[folds == fold], minlength=4) for fold in range(5)])
        assert counts.sum(1).max() <= 1.1 * counts.sum(1).min()
        assert counts.min() > 0
        seen.add(folds.tobytes())
    assert len(seen) == 20
    shuffled = [StratifiedGroupKFold(5, shuffle=True, random_state=seed) for seed in range(8)]
    theirs = {next(library.split(y, y, groups))[1].tobytes() for library in shuffled}
    assert len(theirs) <= 2  # why these folds are our own: a shuffle that shuffles next to nothing
    with pytest.raises(ValueError, match=r"2 groups of images.*expected 3 or more"):
        grouped_folds(np.array([0, 0, 1]), np.array([0, 1, 0]), 3, 0)


def test_a_validation_album_in_training_stops_the_study(monkeypatch):
    problem = sources.problem_of("planted small", "relations")
    assert problem.group.max() + 1 == 90
    split = sources.split_of(problem, setting())
    parts = {"test": split.test, "training": split.member(0), "validation": split.validation[0]}
    owners = [set(problem.group[rows]) for rows in parts.values()]
    assert not set.intersection(*owners)
    assert sum(map(len, owners)) == len(set.union(*owners)) == 90
    leaked = np.append(split.member(0), split.validation[0][0])
    with pytest.raises(ValueError, match=r"album \d+ is in training and in validation"):
        check_apart(problem.group, training=leaked, validation=split.validation[0])

    def by_row(groups, y, folds, seed):
        return np.random.default_rng(seed).integers(folds, size=len(y))

    monkeypatch.setattr(sources, "grouped_folds", by_row)
    with pytest.raises(ValueError, match="in one part alone"):
        sources.split_of(problem, setting())


def test_statistics_are_those_of_training_rows():
    problem = sources.problem_of("planted small", "relations")
    table, rows = problem.table(("pair", "image", "object")), np.arange(100)
    other = table.copy()
    other[100:] *= 7
    assert torch.equal(scaled(table, problem.image, rows)[0][:100], scaled(other, problem.image, rows)[0][:100])


def test_no_columns_tell_a_pairs_own_label_and_others_do():
    scene = planted_scenes(1, seed=3).scenes[0]
    crowd = replace(scene, pairs=np.array([[0, 1], [1, 2], [0, 2], [2, 3]]), relations=np.array([0, 1, 2, 3]))
    changed = replace(crowd, relations=np.array([3, 1, 2, 3]))
    for kind, columns in labels_of(crowd, 4).items():
        other = labels_of(changed, 4)[kind]
        assert np.array_equal(columns[0], other[0])
        assert not np.array_equal(columns[1], other[1])
    shared = labels_of(crowd, 4)["shared labels"]
    assert shared[0, :4].tolist() == [0, 0.5, 0.5, 0]  # pairs (1, 2) and (0, 2); (2, 3) has no person of (0, 1)
    both = dict(zip(zip(*np.triu_indices(4), strict=True), shared[0, 12:], strict=True))
    assert both[1, 2] == 1  # person 2 is 2 to person 0 and 1 to person 1
    for one, other in zip(table_of(crowd, 4).values(), table_of(changed, 4).values(), strict=True):
        assert np.array_equal(one, other)


def test_the_table_does_not_change_with_who_of_two_is_named_first():
    scene = planted_scenes(1, seed=3).scenes[0]
    turned = replace(scene, pairs=scene.pairs[:, ::-1])
    for one, other in zip(table_of(scene, 4).values(), table_of(turned, 4).values(), strict=True):
        assert np.allclose(one, other, atol=1e-12)


def test_where_half_is_known_the_rest_is_asked_and_tells_nothing():
    problem = sources.problem_of("planted small", "half")
    counts = np.bincount(problem.image)
    assert np.bincount(problem.image, problem.known).tolist() == (counts // 2).tolist()
    assert np.array_equal(problem.asked, ~problem.known)
    assert np.array_equal(problem.known, sources.problem_of("planted small", "half").known)
    image = int(np.flatnonzero(counts == 4)[0])
    scene, told = problem.scenes[image], problem.known[problem.image == image]
    crowd = replace(scene, pairs=np.array([[0, 1], [1, 2], [0, 2], [2, 3]]))
    for row in range(4):
        relations = crowd.relations.copy()
        relations[row] = (relations[row] + 1) % 4
        for kind, columns in labels_of(crowd, 4, told).items():
            change = (columns != labels_of(replace(crowd, relations=relations), 4, told)[kind]).any(1)
            assert not change[row]
            assert change.any() == told[row]
    torch.manual_seed(0)
    network = SceneNetwork(setting("half", "network, table and graph"), problem, (2, 1), True, True).eval()
    batch = make_minibatch(problem, np.array([image]), torch.zeros(len(problem.y), 3))
    before = network(batch)
    for row in range(4):
        y = batch.y.clone()
        y[row] = (y[row] + 1) % 4
        change = (network(batch._replace(y=y)) - before).abs().sum(1) > 0
        assert change.tolist() == [told[row] and other != row for other in range(4)]
    best = [best_of(scene, known) for known in (False, told, True)]
    assert not np.allclose(best[0], best[1])
    assert not np.allclose(best[1], best[2])


def test_a_partition_divides_images_anew_and_networks_with_edges_have_one():
    problem = sources.problem_of("planted small", "relations")
    one, other = (sources.split_of(problem, replace(setting(), partition=number)).test for number in (0, 1))
    assert not np.array_equal(one, other)
    runs = script.Settings(quick=True, partitions=3).runs("relations", "", True, False)
    kinds = {model: {run.partition for run in runs if run.model == model} for model in NETWORKS}
    assert kinds["network, table"] == {0, 1, 2}
    assert kinds["network, graph"] == {0}


@pytest.mark.parametrize("model", NETWORKS)
def test_what_a_network_hears_of(model):
    problem = sources.problem_of("planted small", "completion")
    table = torch.zeros(len(problem.y), 3)
    torch.manual_seed(0)
    network = SceneNetwork(replace(setting("completion", model), rounds=2), problem, (2, 1), *NETWORKS[model]).eval()
    batch = make_minibatch(problem, np.array([4, 2]), table)
    first = int((problem.image == 4).sum())
    assert batch.y.tolist() == [*problem.y[problem.image == 4], *problem.y[problem.image == 2]]
    before = network(batch)
    y = batch.y.clone()
    y[0] = (y[0] + 1) % 4
    change = (network(batch._replace(y=y)) - before).abs().sum(1)
    assert change[0] == 0  # its own label
    assert bool((change[1:first] > 0).all()) == NETWORKS[model][1]  # the image's others hear of it by messages
    assert not change[first:].any()  # the other image does not
    batch.nodes["object"][0] += 1
    change = (network(batch) - before).abs().sum(1)
    assert bool((change[:first] > 0).all()) == NETWORKS[model][1]  # two rounds: by a person, or by the image
    assert not change[first:].any()


def test_scores_are_scikit_learns_and_a_weight_is_a_repeat():
    rng = np.random.default_rng(0)
    p, y = rng.integers(0, 5, (60, 3)) / 4 + 0.1, rng.integers(0, 3, 60)  # with ties
    expected = [average_precision_score(y == code, p[:, code]) for code in range(3)]
    assert scores_of(p, y)["mAP"] == pytest.approx(np.mean(expected), abs=1e-12)
    assert average_precision(p[:, 0], y == 0) == pytest.approx(expected[0], abs=1e-12)
    groups = np.repeat(np.arange(20), 3)
    found = bootstrap({"one": p, "two": p}, y, groups, [("one", "two")], draws=40)
    assert set(found["differences"][0]["difference"]) == set(KINDS)
    assert found["differences"][0]["interval"]["mAP"] == [0, 0]
    assert found["differences"][0]["p"]["mAP"] == 1
    low, high = found["intervals"]["one"]["accuracy"]
    assert low < scores_of(p, y)["accuracy"] < high


def test_the_best_possible_score_is_bayes():
    scenes = planted_scenes(400, seed=1).scenes
    y = np.concatenate([scene.relations for scene in scenes])
    sure = {known: np.concatenate([best_of(scene, known) for scene in scenes]) for known in (False, True)}
    for p in sure.values():  # as often right as it says, within 3 standard errors
        error = 3 * np.sqrt((p.max(1) * (1 - p.max(1))).sum()) / len(y)
        assert (p.argmax(1) == y).mean() == pytest.approx(p.max(1).mean(), abs=error)
    assert scores_of(sure[True], y)["accuracy"] > scores_of(sure[False], y)["accuracy"] + 0.02


def test_blends_are_weighted_on_validation_alone():
    y = np.array([0, 1, 0, 1])
    good, bad = np.eye(2)[y] * 0.8 + 0.1, np.full((4, 2), 0.5)
    assert study.blend_weights([bad, good], y) == [0.0, 1.0]


def users_file(path, images=14, form="corners", told=True):
    """Made-up scenes as a COCO-like file, with an unknown relation and albums of two images."""
    scenes = planted_scenes(images, seed=2).scenes
    kinds = [{"id": 1, "name": "person"}, *({"id": 2 + code, "name": name} for code, name in enumerate(THINGS))]
    content = {"images": [], "annotations": [], "relations": [], "categories": kinds}
    content |= {"box_format": form} if told else {}
    for number, scene in enumerate(scenes):
        width, height = scene.size
        content["images"].append(
            {"id": number, "file_name": f"{number}.jpg", "width": width, "height": height, "album": number // 2}
        )
        first = len(content["annotations"])
        kinds = [1] * len(scene.persons) + [2 + int(kind) for kind in scene.categories]
        boxes = np.concatenate([scene.persons, scene.objects]).round()  # whole numbers: no form rounds
        boxes[:, 2:] -= boxes[:, :2] if form == "xywh" else 0
        for box, kind in zip(boxes.tolist(), kinds, strict=True):
            entry = {"id": len(content["annotations"]), "image_id": number, "category_id": kind, "bbox": box}
            content["annotations"].append(entry)
        for (i, j), relation in zip(scene.pairs.tolist(), scene.relations.tolist(), strict=True):
            content["relations"].append({"pair": [first + i, first + j], "relation": RELATIONS[relation]})
    content["relations"][0]["relation"] = None
    raw = json.dumps(content).encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path, sum(len(scene.pairs) for scene in scenes) - 1


def test_the_study_on_a_users_file(tmp_path, capsys):
    file, pairs = users_file(tmp_path / "mine.json.gz", form="xywh", told=False)
    command = ["--scenes", str(file), "--quick", "--epochs", "1", "--tasks", "relations", "--jobs", "1"]
    settings = tyro.cli(script.Settings, args=[*command, "--results", str(tmp_path / "out")])
    assert publish(settings) == 0
    printed = capsys.readouterr().out
    assert "mine.json.gz: relations, from boxes alone" in printed
    result = json.loads(settings.path.read_text())
    (part,) = result["parts"]
    assert (part["pairs"], part["groups"]) == (pairs, 7)
    assert set(NETWORKS) < set(part["scores"])
    assert sum(map(sum, part["folds"])) == pairs
    assert "best possible (Bayes)" not in part["scores"]
    assert str(tmp_path) not in json.dumps(result["parts"])
    assert publish(replace(settings, report_only=True)) == 0


@pytest.mark.parametrize(
    ("name", "form", "told", "boxes"),
    [("a.json", "xywh", True, None), ("a.json.gz", "xywh", False, None), ("a.json", "xywh", False, "xywh"),
     ("a.json", "corners", False, None)],
)  # fmt: skip
def test_the_study_does_not_know_how_boxes_are_written(tmp_path, name, form, told, boxes):
    mine, _ = users_file(tmp_path / name, 6, form, told)
    settings = script.Settings(scenes=mine, boxes=boxes, quick=True)
    found = sources.problem_of(settings.source_of_scenes, "relations", settings.boxes, settings.person)
    expected = sources.problem_of(str(users_file(tmp_path / "b.json", 6)[0]), "relations")
    assert np.array_equal(found.y, expected.y)
    assert found.columns.keys() == expected.columns.keys()
    for kind, column in expected.columns.items():
        assert np.array_equal(found.columns[kind], column), kind


def test_a_file_of_scenes_that_changes_is_read_anew(tmp_path):
    file, pairs = users_file(tmp_path / "mine.json")
    first = sources.problem_of(str(file), "relations")
    file.write_text(file.read_text().replace(RELATIONS[0], "strangerz"))
    other = sources.problem_of(str(file), "relations")
    assert (len(first.y), len(other.y)) == (pairs, pairs)
    assert set(other.relations) - set(first.relations) == {"strangerz"}


def test_a_file_with_one_pair_an_image_has_no_completion_and_says_so(tmp_path, capsys):
    file, _ = users_file(tmp_path / "mine.json")
    content = json.loads(file.read_text())
    image = {entry["id"]: entry["image_id"] for entry in content["annotations"]}
    first = {image[entry["pair"][0]]: entry for entry in content["relations"]}
    file.write_text(json.dumps(content | {"relations": list(first.values())}))
    settings = script.Settings(scenes=file, quick=True, models=("prior",), jobs=1, results=tmp_path / "out")
    assert publish(settings) == 0
    assert "completion is not asked" in " ".join(capsys.readouterr().out.split())
    assert [part["task"] for part in json.loads(settings.path.read_text())["parts"]] == ["relations"]


def test_a_run_is_repeatable_and_tests_each_row_once():
    problem = sources.problem_of("planted small", "relations")
    tests = [sources.split_of(problem, setting(fold=fold)).test for fold in range(2)]
    assert sorted(np.concatenate(tests).tolist()) == list(range(len(problem.y)))
    one, other = (fit(setting(model="network, graph"))["test"] for _ in range(2))
    assert one == other
    assert np.array(one).shape == (len(tests[0]), 4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"boxes": "xywh"}, "--boxes and --person are about --scenes"),
        ({"scenes": "a.json", "data": "pisc"}, "choose one"),
        ({"folds": 1}, "--folds 1: expected 2 or more"),
        ({"hidden": 7}, "expected an even number"),
        ({"tasks": ()}, "--tasks: expected"),
        ({"models": ("GCN",)}, "--models 'GCN': expected some of 'prior'"),
    ],
)
def test_wrong_settings_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        script.Settings(**arguments)


def test_other_settings_of_ones_own_file_have_other_names(tmp_path):
    (tmp_path / "mine.json").write_text("{}")
    told = [
        {},
        {"boxes": "xywh"},
        {"person": "people"},
        {"models": ("prior",)},
        {"models": ("trees, table",)},
        {"hidden": 8},
    ]
    names = [script.Settings(scenes=tmp_path / "mine.json", **each).name for each in told]
    assert len(set(names)) == len(told)
    assert names[0].startswith("mine")
