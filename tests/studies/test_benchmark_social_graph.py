"""benchmarks/social_graph.py: its quick form from made-up contacts to tables, and files that are not ours."""

import dataclasses
import datetime
import gzip
import json

import pytest
import tyro

import social_graph as script
from harness.cli import publish
from studies.social_graph import study
from studies.social_graph.planted import planted

FEW = ("repeat", "fixed sum", "no edges + recency", "GCN → GRU")


def test_the_quick_form_is_rebuilt_from_its_json(tmp_path, monkeypatch, capsys):
    settings = script.Settings(quick=True, results=tmp_path, jobs=1, models=FEW)
    assert publish(settings) == 0
    result = json.loads(settings.path.read_text())
    assert len(result["runs"]) == 2 * len(FEW)
    before = settings.path.with_suffix(".png").read_bytes()
    monkeypatch.setattr(study, "run_sweep", None)
    assert publish(dataclasses.replace(settings, report_only=True)) == 0
    assert settings.path.with_suffix(".png").read_bytes() == before
    said = capsys.readouterr().out
    assert all(word in said for word in (*FEW, "Live update", "Streaming", "minus no edges"[6:]))


TIMES = {
    "s": str,
    "ms": lambda t: f"{t}000",
    "iso": lambda t: datetime.datetime.fromtimestamp(t, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
}


@pytest.mark.parametrize(("form", "when"), [("c.csv", "s"), ("c.tsv", "ms"), ("c.txt.gz", "ms"), ("c.csv.gz", "iso")])
def test_a_file_of_contacts(tmp_path, form, when, capsys):
    events = planted(20, 5, 40).events
    mark = {"csv": ",", "tsv": "\t"}.get(form.split(".")[1], " ")
    lines = [mark.join(("who", "whom", "time") if mark == "," else ("from", "to", "time"))] * (mark != " ")
    lines += [f"p{i}{mark}p{j}{mark}{TIMES[when](int(t) + 1_100_000_000)}" for i, j, t in
              zip(events.source, events.target, events.time, strict=True)]  # fmt: skip
    text = ("\n".join(lines) + "\n").encode()
    path = tmp_path / form
    path.write_bytes(gzip.compress(text) if form.endswith("gz") else text)
    settings = script.Settings(contacts=path, quick=True, results=tmp_path / "made", jobs=1, models=("repeat",))
    assert publish(settings) == 0
    result = json.loads(settings.path.read_text())
    assert result["nodes"] <= 20
    assert "200 contacts" in capsys.readouterr().out
    plain = tmp_path / "plain.txt"  # the same in seconds, between blanks: the same scores
    plain.write_text("".join(f"p{i} p{j} {int(t) + 1_100_000_000}\n" for i, j, t in
                             zip(events.source, events.target, events.time, strict=True)))  # fmt: skip
    other = dataclasses.replace(settings, contacts=plain)
    assert publish(other) == 0
    for run, same in zip(result["runs"], json.loads(other.path.read_text())["runs"], strict=True):
        assert run["result"]["scores"] == same["result"]["scores"]
    with pytest.raises(ValueError, match=r"1 snapshots of .*expected at least 4.*--every"):
        publish(dataclasses.replace(settings, every="900D"))


def test_a_file_that_changes_is_read_anew(tmp_path):
    path, found = tmp_path / "c.csv", []
    path.touch()
    settings = script.Settings(contacts=path, quick=True, results=tmp_path / "made", jobs=1, models=("repeat",))
    for whom in ("b", "c"):  # files of one size
        path.write_text("".join(f"a,{whom if n % 2 else 'b'},{n * 300000}\nb,a,{n * 300001}\n" for n in range(20)))
        assert publish(settings) == 0
        result = json.loads(settings.path.read_text())
        found.append((result["nodes"], result["runs"][0]["result"]["scores"]["edge MRR"]))
    assert (found[0][0], found[1][0]) == (2, 3)
    assert found[0][1] != found[1][1]


def test_files_with_nobody_to_tell_apart(tmp_path):
    path, week = tmp_path / "c.csv", 604800
    two, gap = tmp_path / "two.csv", tmp_path / "gap.csv"
    made = {"quick": True, "results": tmp_path / "made", "jobs": 1}
    path.write_text("".join(f"a,a,{n * week}\nb,b,{n * week}\n" for n in range(6)))
    with pytest.raises(ValueError, match=r"c\.csv: no contact between two nodes"):
        publish(script.Settings(**made, contacts=path))
    two.write_text("".join(f"a,b,{n * week}\nb,a,{n * week}\n" for n in range(6)))  # each writes to the only other
    settings = script.Settings(**made, contacts=two, models=("boosted trees",))
    assert publish(settings) == 0
    live, streamed = (record["result"]["scores"] for record in json.loads(settings.path.read_text())["runs"])
    assert live["edge MRR"] == [1.0] * 4
    assert set(streamed.values()) == {None}  # no negative, no score
    gap.write_text(f"a,b,0\nb,c,40\na,c,{20 * week}\nc,a,{21 * week}\n")
    with pytest.raises(ValueError, match=r"in the validation part of streaming.*or --protocols live"):
        publish(script.Settings(**made, contacts=gap, models=("repeat",)))


def test_arguments_that_contradict_each_other(tmp_path):
    path = tmp_path / "c.txt"
    path.write_text("1 2 3\n")
    with pytest.raises(ValueError, match="--data collegemsg: choose one"):
        script.Settings(contacts=path, data="collegemsg")
    with pytest.raises(ValueError, match="no such file"):
        script.Settings(contacts=tmp_path / "none")
    with pytest.raises(ValueError, match="--models 'LSTM': expected some of 'random'"):
        script.Settings(models=("LSTM",))
    with pytest.raises(ValueError, match="every='1M'; expected a width"):
        script.Settings(every="1M", results=tmp_path).runs("", 1.0) and publish(script.Settings(every="1M"))
    assert tyro.cli(script.Settings, args=["--seeds", "2"]).name.startswith("planted-")
    assert tyro.cli(script.Settings, args=["--data", "collegemsg"]).name == "collegemsg"
