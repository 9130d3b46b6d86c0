"""benchmarks/trees.py: what a minibatch reads, and its quick form from made-up trees to tables."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
import tyro

import trees as script
from gnnseq.data.trees import Tree, load_trees
from harness.cli import publish
from studies.trees import study
from studies.trees.batches import make_batch, spans
from studies.trees.fit import TreeNetwork, fit
from studies.trees.runs import MODELS, TreeRun
from studies.trees.sources import Trees, number

TREE = Tree((None, None, "a", "b", "c"), (-1, 0, 1, 1, 0), ("3", "2", "2", "1", "4"))
TAGGED = Tree(("a", "b", "a"), (1, -1, 1), ("X", "Y", "Z"), ("dep", "root", "dep"))


def network(task, model):
    torch.manual_seed(0)
    return TreeNetwork(TreeRun(task, model, 0, (), "", hidden=6, embedding=5), 6, 3).eval()


def batch(model, trees, words):
    return make_batch(model, trees, [torch.tensor(each) for each in words], [torch.zeros(len(t)).long() for t in trees])


def test_spans_are_the_words_below():
    assert spans(TREE) == ([0, 0, 0, 1, 2], [3, 2, 1, 2, 3])


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("task", ["SST-5", "tags"])
def test_trees_of_a_minibatch_do_not_hear_of_one_another(task, model):
    tree, words = (TAGGED, [2, 3, 2]) if task == "tags" else (TREE, [0, 0, 2, 3, 4])
    net, others = network(task, model), [5 if word else 0 for word in words]
    together = net(batch(model, [tree, tree], [words, others]))
    assert torch.allclose(together[: len(tree)], net(batch(model, [tree], [words])), atol=1e-6)  # float32
    assert torch.allclose(together[len(tree) :], net(batch(model, [tree], [others])), atol=1e-6)


def test_a_phrase_is_read_as_a_path_and_as_a_sum():
    words = [0, 0, 2, 3, 4]
    net = network("SST-5", "path LSTM")
    h, _ = net.layer(net.embedding(torch.tensor([2, 3])), torch.tensor([[0], [1]]))
    assert torch.allclose(net(batch("path LSTM", [TREE], [words]))[1], net.readout(h[1]), atol=1e-6)
    net = network("SST-5", "bag of words")
    expected = net.readout(net.embedding(torch.tensor([2, 3])).sum(0))
    assert torch.allclose(net(batch("bag of words", [TREE], [words]))[1], expected, atol=1e-6)


def test_made_up_labels_need_structure_and_the_epoch_is_chosen_on_validation():
    trees = number((), "SST-5")
    assert isinstance(trees, Trees)
    assert trees.classes == ("0", "1", "2", "3", "4")
    found = fit(TreeRun("SST-5", "tree LSTM", 0, (), "", hidden=16, embedding=8, batch=10, epochs=2))
    assert found == {**fit(TreeRun("SST-5", "tree LSTM", 0, (), "", hidden=16, embedding=8, batch=10, epochs=2)),
                     "cpu_seconds": found["cpu_seconds"], "minibatches": found["minibatches"]}  # fmt: skip
    assert found["validation"][found["epoch"] - 1] == max(found["validation"])


def test_the_quick_form_is_rebuilt_from_its_json(tmp_path, monkeypatch, capsys):
    settings = script.Settings(quick=True, results=tmp_path, epochs=1, jobs=1)
    assert publish(settings) == 0
    result = json.loads((tmp_path / "quick.json").read_text())
    assert len(result["runs"]) == 3 * len(MODELS)
    assert 0 < result["baselines"]["SST-5"]["test"]["majority"] < 1
    before = (tmp_path / "quick.png").read_bytes()
    monkeypatch.setattr(study, "run_sweep", None)
    assert publish(dataclasses.replace(settings, report_only=True)) == 0
    assert (tmp_path / "quick.png").read_bytes() == before
    said = capsys.readouterr().out
    assert all(word in said for word in (*MODELS, "majority", "commonest tag of each word"))
    assert "published" not in said


def test_files_are_three_of_one_form(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GNNSEQ_DATA", str(tmp_path / "none"))
    row = "{}\t{}\t_\t{}\t_\t_\t{}\tdep\t_\t_\n"
    for name in ("t", "v", "w"):
        (tmp_path / f"{name}.conllu").write_text((row.format(1, "a", "X", 2) + row.format(2, "b", "Y", 0) + "\n") * 4)
        (tmp_path / f"{name}.txt").write_text("(1 (0 a) (1 b))\n(0 a)\n" * 3)
    tagged, labelled = (
        {name: tmp_path / f"{file}.{form}" for name, file in (("train", "t"), ("valid", "v"), ("test", "w"))}
        for form in ("conllu", "txt")
    )
    small = {"quick": True, "epochs": 1, "jobs": 1, "models": ("tree LSTM",), "results": tmp_path / "made"}
    for given, task in ((tagged, "tags"), (labelled, "labels")):
        assert publish(script.Settings(**given, **small)) == 0
        made = json.loads(script.Settings(**given, **small).path.read_text())
        assert made["runs"][0]["settings"]["task"] == task
    assert len(list((tmp_path / "made").glob("t-*-quick.json"))) == 2
    with pytest.raises(ValueError, match="expected three files of one form"):
        publish(script.Settings(**{**labelled, "test": tagged["test"]}, **small))
    with pytest.raises(ValueError, match="--valid and --test: expected all three"):
        script.Settings(train=Path("t.txt"))
    with pytest.raises(FileNotFoundError, match=r"no such file here.*trainDevTestTrees_PTB.zip .* GNNSEQ_DATA"):
        publish(script.Settings(results=tmp_path / "made"))
    assert load_trees(labelled["train"])[0].labels == ("1", "0", "1")
    assert tyro.cli(script.Settings, args=[]).name == "trees"
    assert tyro.cli(script.Settings, args=["--seeds", "2"]).name == "custom"
