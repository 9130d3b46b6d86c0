"""Populations: files in every form, what is refused and where, the planted set's law, and graphs that read no label."""

import dataclasses
import gzip
import hashlib

import numpy as np
import pytest

from gnnseq.data import cache
from gnnseq.data.populations import Population, abide, load_population, planted_population, population_graph
from gnnseq.data.populations.affinity import agreement, similarity
from gnnseq.data.populations.sources import ABIDE, best_auc

FEATURES = "id,a,b,c\np1,1,2.5,0\np2,2,-1,0\np3,3,0,0\n"
KNOWN = "id,group,site,age\np3,ill,B,40\np1,well,A,\np2,ill,A,31.5\n"


@pytest.fixture
def files(tmp_path):
    def write(features=FEATURES, phenotypes=KNOWN, names=("f.csv", "p.csv")):
        paths = [tmp_path / name for name in names]
        for path, text in zip(paths, (features, phenotypes), strict=True):
            content = text if isinstance(text, bytes) else text.encode()
            path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
        return paths

    return write


def expect(found):
    assert found.ids == ("p1", "p2", "p3")
    assert found.features.tolist() == [[1, 2.5], [2, -1], [3, 0]]
    assert found.feature_names == ("a", "b")
    assert found.labels.tolist() == [True, False, False]  # "well" is the later text
    assert found.classes == ("ill", "well")
    assert found.phenotypes["site"].tolist() == ["A", "A", "B"]
    assert np.array_equal(found.phenotypes["age"], [np.nan, 31.5, 40], equal_nan=True)
    assert list(found.phenotypes) == ["site", "age"]
    assert found.notes == ("1 features left out, which are the same for all: 'c'",)


@pytest.mark.parametrize(
    ("form", "names"),
    [
        (lambda text: text, ("f.csv", "p.csv")),
        (lambda text: text.replace(",", "\t"), ("f.tsv", "p.tsv")),
        (lambda text: text.replace(",", ";").replace(".5", ",5"), ("f.csv", "p.csv")),  # as German tables are written
        (lambda text: text.replace(",", "|"), ("f.txt", "p.txt")),
        (lambda text: "\ufeff" + text.replace("\n", "\r\n"), ("f.csv.gz", "p.csv.gz")),
        (lambda text: "\n" + text.replace("p1", '"p1"').replace("\np3", "\n\n p3 "), ("f.csv", "p.csv")),
        (lambda text: text.replace("id,", ",", 1), ("f.csv", "p.csv")),  # pandas' index
        (lambda text: text.replace("id,", "", 1), ("f.csv", "p.csv")),  # R's names of rows
        (lambda text: text.replace("id,", "SUBJECT,", 1), ("f.csv", "p.csv")),
        (lambda text: text.replace(",\n", ",n/a\n"), ("f.csv", "p.csv")),
    ],
    ids=["csv", "tsv", "semicolons", "bars", "gz", "quotes", "pandas", "R", "subject", "missing"],
)
def test_people_are_matched_by_name_in_every_form_of_text(files, form, names):
    expect(load_population(*files(form(FEATURES), form(KNOWN), names), "group"))


def test_npz_has_a_matrix_and_columns(tmp_path):
    path, other = tmp_path / "all.npz", tmp_path / "known.npz"
    columns = {"group": np.array(["ill", "ill", "well"]), "site": np.array(["B", "A", "A"]), "age": [40, 31.5, np.nan]}
    x, names = np.array([[3.0, 0, 0], [2, -1, 0], [1, 2.5, 0]]), np.array(["a", "b", "c"])
    np.savez(path, id=["p3", "p2", "p1"], x=x, feature_names=names, **columns)
    found = load_population(path, path, "group")
    order = [found.ids.index(person) for person in ("p1", "p2", "p3")]
    arranged = {name: column[order] for name, column in found.phenotypes.items()}
    ids = tuple(np.array(found.ids)[order].tolist())
    expect(dataclasses.replace(found, ids=ids, features=found.features[order], labels=found.labels[order],
                               phenotypes=arranged))  # fmt: skip
    np.savez(other, id=["p2", "p3", "p1"], group=["ill", "ill", "well"])
    assert load_population(path, other, "group").labels.tolist() == [False, False, True]
    square = np.array([[[1, 0.1, 0.2], [0.1, 1, 0.3], [0.2, 0.3, 1]], [[1, 0.4, 0.5], [0.4, 1, 0.6], [0.5, 0.6, 1]]])
    np.savez(path, id=[1, 2], matrices=square, group=[0, 1])
    assert load_population(path, path, "group").features.tolist() == [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]
    np.savez(path, id=[1, 2], x=np.eye(2), y=np.eye(2), group=[0, 1])
    assert len(load_population(path, path, "group")) == 2  # x is a known name, y is not
    np.savez(path, id=[1, 2], p=np.eye(2), y=np.eye(2), group=[0, 1])
    with pytest.raises(ValueError, match=r"all.npz: matrices p, y; expected one, or one called features or x"):
        load_population(path, path, "group")
    np.savez(path, id=np.array(["a", None]), x=np.eye(2), group=[0, 1])
    with pytest.raises(ValueError, match="expected arrays of numbers and texts, none of Python objects"):
        load_population(path, path, "group")
    np.savez(path, id=[1, 2], x=np.eye(2), group=[0, 1, 1])
    with pytest.raises(ValueError, match="group has 3 entries for 2 people"):
        load_population(path, path, "group")


@pytest.mark.parametrize(
    ("labels", "options", "classes", "expected"),
    [
        (("1", "2", "1"), {}, ("1", "2"), [False, True, False]),
        (("10", "9", "9.0"), {}, ("9", "10"), [True, False, False]),  # as numbers
        (("10", "9", "9"), {"positive": "9"}, ("10", "9"), [False, True, True]),
        (("patient", "control", "control"), {"positive": "patient"}, ("control", "patient"), [True, False, False]),
        (("True", "False", "False"), {}, ("False", "True"), [True, False, False]),
    ],
)
def test_labels_are_two_classes_of_texts_or_numbers(files, labels, options, classes, expected):
    known = "id,dx\n" + "".join(f"p{number},{label}\n" for number, label in enumerate(labels, 1))
    found = load_population(*files(FEATURES, known), "dx", **options)
    assert found.classes == classes
    assert found.labels.tolist() == expected


@pytest.mark.parametrize(
    ("features", "known", "message"),
    [
        (FEATURES + "p2,9,9,9\n", KNOWN, r"f.csv:5: 'p2' again, who is at .*f.csv:3"),
        (FEATURES, KNOWN + "p1,ill,A,9\n", r"p.csv:5: 'p1' again"),
        (FEATURES + "p4,9,9,9\n", KNOWN, r"f.csv:5: 'p4' is not in .*p.csv.*only_shared=True"),
        (FEATURES, KNOWN + "p4,ill,A,9\np5,ill,A,9\n", r"p.csv:5: 'p4' is not in .*f.csv, and so are 1 more"),
        (FEATURES.replace("p2", ""), KNOWN, r"f.csv:3: nobody's name"),
        (FEATURES.replace("-1", "high"), KNOWN, r"f.csv:3: feature 'b' is 'high'; expected a number"),
        (FEATURES.replace("-1", "inf"), KNOWN, r"f.csv:3: feature 'b' is infinite"),
        (FEATURES.replace("2,-1,0", ",,"), KNOWN, r"f.csv:3: no feature at all"),
        (FEATURES.replace("2,-1,0", "2,-1"), KNOWN, r"f.csv:3: 3 cells under 4 names"),
        (FEATURES.replace("b,c", "a,c"), KNOWN, r"f.csv:1: 2 columns are called 'a'"),
        (FEATURES.replace("id", "who"), KNOWN, r"f.csv: no column that is known to be the names of people.*id="),
        (FEATURES.replace("a,b", "subject,b"), KNOWN, r"f.csv: 2 columns that may be the names of people"),
        (FEATURES.replace("a,b", "group,b"), KNOWN, r"f.csv: a feature is called 'group', as the label is"),
        (FEATURES, KNOWN.replace("well", "x").replace("ill,A", "y,A"), r"'group' has 3 classes, .*exactly two"),
        (FEATURES, KNOWN.replace("well", "ill"), r"'group' has 1 classes"),
        (FEATURES, KNOWN.replace("well", "NA"), r"p.csv:3: no label in column 'group'"),
        (FEATURES, KNOWN.replace("group", "dx"), r"label='group': .*has 'id', 'dx', 'site', 'age'"),
        (FEATURES, KNOWN.replace("31.5", "inf"), r"p.csv:4: column 'age' is infinite"),
        ("id,a\n", KNOWN, r"f.csv: 1 lines; expected names of columns, then a line a person"),
        ("1,2\n3,4\n", KNOWN, r"f.csv:1: numbers alone; expected a first line with the names"),
        (b"id,a\np1,\xff\n", KNOWN, r"f.csv:2: not UTF-8"),
        ("id,c\np1,0\np2,0\np3,0\n", KNOWN, r"no feature that everybody has and that differs"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_with_file_and_line(files, features, known, message):
    with pytest.raises(ValueError, match=message):
        load_population(*files(features, known), "group")


def test_a_diagnosis_under_another_name_is_refused(files):
    """As ABIDE's DSM_IV_TR, and its ADOS scores, which only patients have."""
    people = [f"p{number}" for number in range(20)]
    features = "id,a,b\n" + "".join(f"{person},{n},{n % 3}\n" for n, person in enumerate(people))

    def known(column):
        rows = (f"{person},{n % 2},{column(n)}\n" for n, person in enumerate(people))
        return files(features, "id,dx,other\n" + "".join(rows))

    for column in (lambda n: n % 2 + 5, lambda n: "AUT" if n % 2 else "", lambda n: n + 1 if n % 2 else "NA"):
        with pytest.raises(ValueError, match=r"phenotype 'other' tells everybody's 'dx'.*leave_out=\['other'\]"):
            load_population(*known(column), "dx")
        assert load_population(*known(column), "dx", leave_out=["other"]).phenotypes == {}
    assert list(load_population(*known(lambda n: n + 7), "dx").phenotypes) == ["other"]  # an age may be anybody's own
    paths = known(lambda n: n)
    for option, message in (({"leave_out": ["sex"]}, "no column 'sex'"), ({"id": "name"}, "id='name'"),
                            ({"positive": "7"}, "positive='7'")):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            load_population(*paths, "dx", **option)


def test_gaps_are_left_out_and_told(files):
    features = "id,a,b,c\np1,1,-9999,5\np2,2,3,\np3,1,3,5\np4,1,4,6\n"
    known = "id,dx,iq\np1,0,100\np2,1,-9999\np3,0,90\np5,1,80\n"
    found = load_population(*files(features, known), "dx", missing=["-9999"], only_shared=True)
    assert found.feature_names == ("a",)
    assert np.array_equal(found.phenotypes["iq"], [100, np.nan, 90], equal_nan=True)
    assert found.notes == (
        "1 people of f.csv are not in p.csv, and left out", "1 people of p.csv are not in f.csv, and left out",
        "2 features left out, which somebody lacks: 'b', 'c'",
        "1 people have all their features in common with another: the same person twice?",
    )  # fmt: skip


def test_other_files_are_refused_by_name(tmp_path, files):
    with pytest.raises(FileNotFoundError, match=r"none.csv: no such file; expected a table"):
        load_population(tmp_path / "none.csv", files()[1], "group")
    path = tmp_path / "f.xlsx"
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"f.xlsx: expected .csv, .tsv or .txt"):
        load_population(path, files()[1], "group")
    with pytest.raises(ValueError, match="features and phenotypes in one text"):
        load_population(files()[1], files()[1], "group")


def test_abide_is_read_from_the_cache_or_its_absence_explained(tmp_path, monkeypatch):
    monkeypatch.setenv("GNNSEQ_DATA", str(tmp_path))
    assert cache.folder() == tmp_path
    with pytest.raises(FileNotFoundError, match=r"abide_ho_871.npz: no such file. It is made of .*GNNSEQ_DATA"):
        abide()
    (tmp_path / ABIDE).parent.mkdir()
    r = np.zeros((3, 120))
    r[:, :10] = np.linspace(-0.5, 0.9, 30).reshape(3, 10)
    np.savez(tmp_path / ABIDE, subject=[7, 8, 9], connectivity=r, autism=[True, False, True], site=["A", "A", "B"],
             sex=[1, 2, 1], age=[9.5, 8, 12])  # fmt: skip
    found = abide()
    assert found.classes == ("control", "autism")
    assert found.labels.tolist() == [True, False, True]
    assert found.ids == ("7", "8", "9")


def test_the_best_score_of_planted_people_is_what_their_law_says():
    """Drawn anew, scored by the law itself: the site's offset known, or the direction alone."""
    people = planted_population(people=40000, features=6, sites=400, effect=1.2, offset=0.8, seed=1)
    site, labels = people.phenotypes["site"], people.labels
    means = {name: people.features[site == name].mean(0) for name in np.unique(site)}
    centred = people.features - np.stack([means[name] for name in site])
    direction = centred[labels].mean(0) - centred[~labels].mean(0)
    for x, expected in zip((centred, people.features), best_auc(1.2, 0.8), strict=True):
        scores = x @ direction
        ranks = scores.argsort().argsort() + 1
        ill = labels.sum()
        auc = (ranks[labels].sum() - ill * (ill + 1) / 2) / (ill * (len(labels) - ill))
        assert abs(auc - expected) < 0.015  # 100 people a site, 400 sites
    assert {tuple(np.bincount(labels[site == name])) for name in means} == {(50, 50)}


def test_affinities_by_hand():
    people = Population(
        ("a", "b", "c"), np.array([[0.0, 1, 2], [0, 2, 4], [2, 1, 0]]), ("x", "y", "z"), np.array([True, False, True]),
        ("0", "1"), {"sex": np.array(["F", "F", ""]), "age": np.array([20, 21.5, np.nan]), "iq": np.array([1.0, 1, 1])},
    )  # fmt: skip
    counts = agreement(people, within={"age": 2})
    assert counts.tolist() == [[3, 3, 1], [3, 3, 1], [1, 1, 1]]
    assert agreement(people, ["age"]).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]
    width = (0 + 0 + 2 + 2 + 2 + 2) / 6  # mean of 1 - r over pairs: 0, 2 and 2
    alike = similarity(people.features)
    assert np.allclose(alike, np.exp(-np.array([[0, 0, 4], [0, 0, 4], [4, 4, 0]]) / (2 * width**2)), atol=1e-12)
    edges, weight = population_graph(people, within={"age": 2})
    assert edges.tolist() == [[0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 0, 1]]
    assert np.allclose(weight, [3, alike[0, 2], 3, alike[0, 2], alike[0, 2], alike[0, 2]])
    nearest, _ = population_graph(people, 1, within={"age": 2})
    assert nearest.tolist() == [[0, 0, 1, 2], [1, 2, 0, 0]]  # of equal ones the first; an edge goes both ways
    for options, message in (({"phenotypes": ["job"]}, "phenotype 'job'"), ({"within": {"sex": 1}}, "it holds texts"),
                             ({"within": {"age": -1}}, "0 or more"), ({"neighbours": 0}, "neighbours")):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            population_graph(people, **options)


def test_graphs_read_no_label():
    people = planted_population(people=48, features=5, sites=3)
    other = dataclasses.replace(people, labels=~people.labels)
    for neighbours in (None, 4):
        digests = [
            hashlib.sha256(b"".join(part.numpy().tobytes() for part in population_graph(each, neighbours))).hexdigest()
            for each in (people, other)
        ]
        assert digests[0] == digests[1]


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="labels has 1 entries for features"):
        Population(("a", "b"), np.eye(2), ("x", "y"), np.array([True]), ("0", "1"), {})
    with pytest.raises(ValueError, match="features hold NaN or infinity"):
        Population(("a",), np.array([[np.nan]]), ("x",), np.array([True]), ("0", "1"), {})


def test_damaged_files_are_said_to_be_so(files, tmp_path):
    paths = files(names=("f.csv.gz", "p.csv"))
    whole = bytearray(paths[0].read_bytes())
    packed = tmp_path / "packed.csv"
    packed.write_bytes(whole)  # gzip by its content, whatever the name says
    expect(load_population(packed, paths[1], "group"))
    for content in (whole[:-12], whole[:12] + b"\xff\xff" + whole[14:]):
        paths[0].write_bytes(content)
        with pytest.raises(ValueError, match=r"f\.csv\.gz: gzip that is cut off or damaged"):
            load_population(*paths, "group")
    path = tmp_path / "a.npz"
    np.savez(path, id=[1, 2], x=np.eye(2))
    whole = path.read_bytes()
    for content in (b"", b"id,a", whole[:-30]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.npz: no npz, or one that is cut off"):
            load_population(path, paths[1], "group")
    with path.open("wb") as file:
        np.save(file, np.eye(2))
    with pytest.raises(ValueError, match=r"a\.npz: no npz"):
        load_population(path, paths[1], "group")


def test_codes_with_underscores_are_no_numbers(files):
    found = load_population(*files(phenotypes="id,group,site\np1,x,1_1\np2,y,11\np3,y,1_2\n"), "group")
    assert found.phenotypes["site"].tolist() == ["1_1", "11", "1_2"]
    with pytest.raises(ValueError, match=r"f\.csv:2: feature 'a' is '1_0'; expected a number"):
        load_population(*files(features=FEATURES.replace("p1,1,", "p1,1_0,")), "group")


def test_the_label_among_the_features_is_refused(files):
    features = "id,a,dx\n" + "".join(f"p{n},{n * n},{7 - 3 * (n % 2)}\n" for n in range(12))
    known = "id,group\n" + "".join(f"p{n},{n % 2}\n" for n in range(12))
    with pytest.raises(ValueError, match=r"f\.csv: feature 'dx' tells everybody's 'group'"):
        load_population(*files(features, known), "group")
    assert len(load_population(*files(features, known.replace("p3,1", "p3,0")), "group")) == 12
