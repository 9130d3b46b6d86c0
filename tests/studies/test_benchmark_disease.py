"""benchmarks/disease.py: command line, quick form, your own people, and a report that is rebuilt from JSON alone."""

import dataclasses
import json

import numpy as np
import pytest

import disease as script
from gnnseq.data.populations import planted_population
from harness.cli import publish
from harness.report import console
from studies.disease import study
from studies.disease.results import difference, means, models
from studies.disease.runs import ENSEMBLE, MODELS, OWN_RIDGE, RIDGE, SITE_RIDGE
from studies.disease.sources import read

SMALL = {"quick": True, "folds": 2, "jobs": 1}


def write(folder, form):
    """Made-up people as a user may have them: other names, a label in words, sites as numbers, a gap, an age."""
    people = planted_population(people=40, features=5, sites=2)
    sites = [int(name.split()[1]) + 1 for name in people.phenotypes["site"]]
    label = np.where(people.labels, "case", "healthy")
    ages = people.phenotypes["age"]
    if form == "npz":
        path = folder / "people.npz"
        np.savez(path, participant=people.ids, connectivity=people.features, dx=label, centre=sites, age=ages)
        return path, path
    between = {"csv": ",", "tsv": "\t"}[form]
    rows = [["participant", "dx", "centre", "age"], *([person, label[n], str(sites[n]), "" if n == 3 else str(ages[n])]
            for n, person in reversed(list(enumerate(people.ids))))]  # fmt: skip
    features = [["participant", *map(str, "abcde")], *([person, *map(repr, people.features[n].tolist())]
                for n, person in enumerate(people.ids))]  # fmt: skip
    paths = folder / f"features.{form}", folder / f"known.{form}"
    for path, table in zip(paths, (features, rows), strict=True):
        path.write_text("".join(between.join(row) + "\n" for row in table))
    return paths


def test_the_quick_form_is_rebuilt_from_its_json(tmp_path, monkeypatch, capsys):
    settings = script.Settings(**SMALL, results=tmp_path)
    assert publish(settings) == 0
    result = json.loads(settings.path.read_text())
    assert result["models"] == [model for model in MODELS if model in result["models"]]
    assert set(result["models"]) == set(MODELS)
    assert len(result["runs"]) == 4 + 2
    assert all(0 <= auc <= 1 for run in result["runs"] for auc in run["auc"] if auc is not None)
    assert {run["part"] for run in result["runs"]} == {"0", "1", *(f"site {n}" for n in range(4))}
    pictures = sorted(tmp_path.glob("*.png"))
    before = [path.read_bytes() for path in pictures]
    assert [path.stem for path in pictures] == ["quick-2x10_filters", "quick-2x10_scores"]
    monkeypatch.setattr(study, "run_sweep", None)
    assert publish(dataclasses.replace(settings, report_only=True)) == 0
    assert [path.read_bytes() for path in pictures] == before
    said = capsys.readouterr().out
    assert all(word in said for word in (*MODELS[:4], "LEAK: best test", "best possible", "by one", "p = "))
    for protocol in ("folds", "sites"):
        assert difference(result, protocol, RIDGE, RIDGE) == (0, 0, 1)
        assert 0.5 < means(result, protocol, SITE_RIDGE)[0] <= 1


@pytest.mark.parametrize("form", ["csv", "tsv", "npz"])
def test_your_own_people(tmp_path, form):
    features, phenotypes = write(tmp_path, form)
    settings = script.Settings(**SMALL, features=features, phenotypes=phenotypes, label="dx", positive="case",
                               site="centre", within=("age=2",), results=tmp_path / "made")  # fmt: skip
    assert settings.path.name.startswith(f"{features.stem}-")
    people, original = read(settings.people), planted_population(people=40, features=5, sites=2)
    assert people.ids == original.ids
    assert np.allclose(people.features, original.features, rtol=1e-12)
    assert (people.labels == original.labels).all()
    assert people.classes == ("healthy", "case")
    assert set(people.phenotypes["centre"]) == {"1", "2"}  # sites as numbers are names
    if form == "csv":  # in all forms the same from here on
        data = study.run(settings, console())["data"]
        assert (data["people"], data["sites"], data["phenotypes"]) == (40, 2, ["centre", "age"])
        assert data["best_auc"] is None


def test_without_sites_nothing_is_left_out_and_said(tmp_path, capsys):
    features, phenotypes = write(tmp_path, "csv")
    settings = script.Settings(**SMALL, features=features, phenotypes=phenotypes, label="dx", leave_out=("centre",),
                               results=tmp_path / "made")  # fmt: skip
    result = study.run(settings, console())
    assert "no column called 'site': no site is left out" in " ".join(capsys.readouterr().out.split())
    assert models(result, "sites") == []
    assert {OWN_RIDGE, SITE_RIDGE}.isdisjoint(models(result, "folds"))
    assert ENSEMBLE in models(result, "folds")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label": "dx"}, "--label: it is of your own people; give --features FILE too"),
        ({"leave_out": ("dx",)}, "--leave-out: it is of your own people"),
        ({"features": "f.csv"}, "--features: expected --phenotypes FILE and --label COLUMN too"),
        ({"features": "f.csv", "phenotypes": "p.csv", "label": "dx", "data": "abide"}, "and --data abide: choose one"),
        ({"features": "f.csv", "phenotypes": "p.csv", "label": "dx", "record": True}, "the study's own people"),
        ({"features": "f.csv", "phenotypes": "p.csv", "label": "dx", "within": ("age",)}, "expected COLUMN=NUMBER"),
        ({"features": "f.csv", "phenotypes": "p.csv", "label": "dx", "within": ("age=-1",)}, "expected COLUMN=NUMBER"),
        ({"folds": 1}, "--folds 1: expected 2 or more"),
        ({"repeats": 0}, "--repeats 0: expected 1 or more"),
    ],
)  # fmt: skip
def test_arguments_that_contradict_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        script.Settings(**options)


def test_other_settings_have_other_names_and_errors_name_options(tmp_path):
    assert script.Settings().path.name == "planted.json"
    assert script.Settings(data="abide", repeats=2).path.name == "abide-10x2.json"
    features, phenotypes = write(tmp_path, "csv")
    given = {"features": features, "phenotypes": phenotypes, "label": "dx", "results": tmp_path / "made", **SMALL}
    changes = ({}, {"site": "centre"}, {"positive": "case"}, {"within": ("age=2",)}, {"missing": ("9",)})
    assert len({script.Settings(**given, **more).people.digest() for more in changes}) == 5
    assert len({script.Settings(**given, **more).path for more in changes}) == 5
    assert script.Settings(quick=True, repeats=10).path.name == "quick-10x10.json"
    coded = phenotypes.read_text().replace(",1,", ",10000001,").replace(",2,", ",10000002,")
    other = tmp_path / "coded.csv"
    other.write_text(coded)
    sites = read(script.Settings(**{**given, "phenotypes": other}, site="centre").people).phenotypes["centre"]
    assert set(sites) == {"10000001", "10000002"}
    phenotypes.write_text(phenotypes.read_text() + "stranger,case,1,9\n")
    with pytest.raises(ValueError, match=r"only_shared=True. On the command line: --only-shared"):
        publish(script.Settings(**given))
    assert read(script.Settings(**given, only_shared=True).people).notes == (
        f"1 people of {phenotypes.name} are not in {features.name}, and left out",
    )
    with pytest.raises(ValueError, match="--site place: no such column; expected one of centre, age"):
        publish(script.Settings(**given, only_shared=True, site="place"))
    with pytest.raises(ValueError, match="--within agee=2: no such column; expected one of the columns of numbers"):
        publish(script.Settings(**given, only_shared=True, within=("age=2", "agee=2")))
    with pytest.raises(ValueError, match="--within sex=1: it holds texts; expected one of the columns of numbers, age"):
        study._check_within(planted_population(people=40, features=5, sites=2), (("sex", 1.0),))
    with pytest.raises(ValueError, match="20 people of a class for 30 folds"):
        publish(script.Settings(**{**given, "folds": 30}, only_shared=True))
    with pytest.raises(ValueError, match=r"no upper triangle|no correlations"):
        publish(script.Settings(**given, only_shared=True, correlations=True))
