"""One table in every form is one panel; what is missing is NaN, zeros are zeros, and names meet or are an error."""

import gzip
import sys

import numpy as np
import pandas
import pytest
import torch
from scipy import sparse

from gnnseq.data.series_files import read_graph_series, read_table
from gnnseq.data.series_files.clock import steps_of_a_day

NAMES = ("773869", "767541", "a b")
VALUES = np.array([[64.5, 0.0, 1.0], [np.nan, 61.5, 2.0], [63.0, 60.0, 3.0], [61.0, 59.25, 4.0]])
TIMES = np.datetime64("2012-03-01T00:00", "s") + np.arange(4) * np.timedelta64(300, "s")


def text(between=",", time="time", names=NAMES, decimal="."):
    rows = [[*([time] if time is not None else []), *names]] if names else []
    for when, row in zip(TIMES, VALUES, strict=True):
        cells = ["" if np.isnan(value) else str(value).replace(".", decimal) for value in row]
        rows.append([*([str(when).replace("T", " ")] if time is not None else []), *cells])
    return "\n".join(between.join(row) for row in rows) + "\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("commas.csv", text()),
        ("tabs.tsv", text("\t")),
        ("semicolons.csv", text(";")),
        ("european.csv", text(";", decimal=",")),
        ("pandas.csv", text(time="")),
        ("marked.csv", "\ufeff" + text()),
        ("windows.csv", text().replace("\n", "\r\n")),
        ("date.csv", text(time="date")),
        ("zoned.csv", text().replace("00,", "00Z,")),
        ("shuffled.csv", "".join(text().splitlines(keepends=True)[place] for place in (0, 3, 1, 4, 2))),
        ("nan.csv", text().replace(",,", ",NaN,")),
        ("bars.csv", text("|")),
        ("ended.csv", text().replace("\n", ",\n")),
        ("last.csv", "".join(",".join([*row.split(",")[1:], row.split(",")[0]]) + "\n" for row in text().splitlines())),
        ("clocks.csv", text().replace(":00,", ":00+00:00,").replace("00:10:00+00:00", "01:10:00+01:00")),
    ],
)
def test_texts_of_every_form_are_one_table(tmp_path, name, content):
    (tmp_path / name).write_text(content, encoding="utf-8", newline="")
    found = read_table(tmp_path / name)
    assert found.names == NAMES
    np.testing.assert_array_equal(found.values, VALUES)
    assert np.array_equal(found.times, TIMES)
    assert steps_of_a_day(found.times) == 288


def test_packed_texts_and_arrays(tmp_path):
    with gzip.open(tmp_path / "a.csv.gz", "wt") as file:
        file.write(text(time=None))
    np.savez(tmp_path / "b.npz", values=VALUES, names=np.array(NAMES), times=TIMES)
    np.save(tmp_path / "c.npy", VALUES)
    np.savez(tmp_path / "d.npz", data=np.stack([VALUES, VALUES + 1], 2))  # as PeMS is published
    places = ("0", "1", "2")
    for name, feature, names, timed in (
        ("a.csv.gz", None, NAMES, 0), ("b.npz", None, NAMES, 1), ("c.npy", None, places, 0), ("d.npz", 0, places, 0),
    ):  # fmt: skip
        found = read_table(tmp_path / name, feature=feature)
        np.testing.assert_array_equal(found.values, VALUES)
        assert found.names == names
        assert (found.times is not None) == bool(timed)
    np.testing.assert_array_equal(read_table(tmp_path / "d.npz", feature=1).values, VALUES + 1)
    with pytest.raises(ValueError, match=r"2 numbers a node, and feature=None; expected feature to be one of 0..1"):
        read_table(tmp_path / "d.npz")


@pytest.mark.parametrize("name", ["cut.csv.gz", "cut.csv", "cut.npz"])
def test_a_table_that_is_cut_off_is_named(tmp_path, name):
    path = tmp_path / name
    if name.endswith(".npz"):
        np.savez_compressed(path, values=VALUES)
    else:
        path.write_bytes(gzip.compress(text().encode()))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=rf"{name}: .*expected"):
        read_table(path)


def test_a_matrix_that_is_cut_off_is_named(tmp_path):
    np.save(tmp_path / "m.npy", np.eye(3))
    (tmp_path / "m.npy").write_bytes((tmp_path / "m.npy").read_bytes()[:-9])
    (tmp_path / "t.csv").write_text(text())
    (tmp_path / "m.csv.gz").write_bytes(gzip.compress(b"0,1,0\n1,0,1\n0,1,0\n")[:-9])
    with pytest.raises(ValueError, match=r"m\.csv\.gz: gzip that is cut off or damaged"):
        read_graph_series(tmp_path / "t.csv", tmp_path / "m.csv.gz")
    with pytest.raises(ValueError, match=r"m\.npy: expected a matrix of numbers"):
        read_graph_series(tmp_path / "t.csv", tmp_path / "m.npy")


def test_a_table_without_heading_and_one_whose_names_are_numbers(tmp_path):
    (tmp_path / "bare.txt").write_text("1.5 2 3\n4 5 6\n")
    assert read_table(tmp_path / "bare.txt").values.tolist() == [[1.5, 2, 3], [4, 5, 6]]
    (tmp_path / "ids.csv").write_text("773869,767541\n64.5,61\n63,0\n")
    assert read_table(tmp_path / "ids.csv").names == ("773869", "767541")
    (tmp_path / "counts.csv").write_text("3,4\n5,4\n6,0\n")
    assert len(read_table(tmp_path / "counts.csv").values) == 3
    assert read_table(tmp_path / "counts.csv", heading=True).names == ("3", "4")
    (tmp_path / "rows.csv").write_text(",x,y\n0,1,2\n1,3,4\n")
    found = read_table(tmp_path / "rows.csv")
    assert (found.names, found.times) == (("x", "y"), None)


def test_a_column_that_counts_rows_is_no_node_under_other_names_too(tmp_path):
    for name in ("id", "year", "no", "row"):
        (tmp_path / "a.csv").write_text(f"{name},x,y\n2000,1,2\n2001,3,4\n2002,5,7\n")
        assert read_table(tmp_path / "a.csv").names == ("x", "y")
    (tmp_path / "a.csv").write_text("no,se\n2.5,1\n3.5,3\n")  # Norway
    assert read_table(tmp_path / "a.csv").names == ("no", "se")


def test_nodes_without_names_are_numbered_without_the_column_of_times(tmp_path):
    (tmp_path / "a.csv").write_text("2012-03-01 00:00,1,2\n2012-03-01 00:05,3,4\n")
    (tmp_path / "g.csv").write_text("0,1\n")
    assert read_table(tmp_path / "a.csv").names == ("0", "1")
    series = read_graph_series(tmp_path / "a.csv", tmp_path / "g.csv")
    assert series.graphs[0][0].tolist() == [[0, 1], [1, 0]]


def test_of_two_arrays_that_may_be_the_series_none_is_guessed(tmp_path):
    np.savez(tmp_path / "a.npz", data=VALUES, x=VALUES + 1)
    with pytest.raises(ValueError, match="arrays data and x may both be the series"):
        read_table(tmp_path / "a.npz")


def test_steps_that_are_left_out_are_missing(tmp_path):
    lines = text().splitlines(keepends=True)
    (tmp_path / "a.csv").write_text("".join(lines[:3] + lines[4:]))
    found = read_table(tmp_path / "a.csv")
    assert np.isnan(found.values[2]).all()
    assert np.array_equal(found.times, TIMES)
    (tmp_path / "months.csv").write_text("month,x\n2020-01-01,1\n2020-02-01,2\n2020-03-01,3\n2020-05-01,5\n")
    assert read_table(tmp_path / "months.csv").values.ravel().tolist()[:3] == [1, 2, 3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("time,a\n2012-01-01,1\n2012-01-01,2\n", r"two rows are of 2012-01-01"),
        ("time,a\n01/02/2012,1\n01/03/2012,2\n", r"column 'time': '01/02/2012', of which day and month"),
        ("time,a\n2012-01-01,1\nsoon,2\n", r"row 2 below the heading, column 'time': 'soon'; expected a time"),
        ("a,a\n1,2\n", r"2 columns are called 'a'"),
        ("time,a,b\n2012-01-01,1,x7\n2012-01-02,1,2\n", r"row 1 below the heading, column 'b': 'x7'"),
        ("a,b\n1,inf\n", r"column 'b': 1 infinite"),
        ("time,a\n2012-01-01 00:00,1\n2012-01-01 00:05,2\n2012-01-01 00:10,2\n2012-01-01 00:12,3\n",
         r"120 s from 2012-01-01T00:10:00 to the next row, and 300 s between most"),
        ("\n", r"empty"),
        ("stamp 1,a\n1,2012-01-01\n", r"or time='a' \(--time\) if it says when"),
        ("a,,b\n1,2,3\n", r"column 2 has no name; expected one for each node"),
        ("speeds\ntime,a\n2012-01-01 00:00,1\n", r"a.csv: .*; expected a heading and rows of as many cells"),
        ("time\n2012-01-01\n", r"no column of numbers"),
    ],
)  # fmt: skip
def test_a_table_that_is_wrong_says_where(tmp_path, content, message):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_table(tmp_path / "a.csv")


@pytest.mark.parametrize(("name", "package"), [("a.parquet", "pyarrow"), ("a.h5", "tables")])
def test_forms_of_pandas_are_read_or_say_what_to_install(tmp_path, monkeypatch, name, package):
    (tmp_path / name).write_bytes(b"whatever")
    frame = pandas.DataFrame(VALUES, columns=list(NAMES), index=pandas.DatetimeIndex(TIMES))
    reader = "read_parquet" if package == "pyarrow" else "read_hdf"
    monkeypatch.setattr(pandas, reader, lambda path: frame)
    found = read_table(tmp_path / name)
    np.testing.assert_array_equal(found.values, VALUES)
    assert np.array_equal(found.times, TIMES)

    def missing(path):
        raise ImportError("no engine")

    monkeypatch.setattr(pandas, reader, missing)
    with pytest.raises(ImportError, match=f"pip install {package}"):
        read_table(tmp_path / name)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        read_table(tmp_path / name)


@pytest.fixture
def folder(tmp_path):
    generator = np.random.default_rng(0)
    values = generator.integers(0, 3, (30, 3)) / 1.0 + 0.5 * (np.arange(30)[:, None] % 2)
    lines = [",".join(map(str, row)) for row in values]
    (tmp_path / "series.csv").write_text("\n".join([",".join(NAMES), *lines]) + "\n")
    return tmp_path


MATRIX = np.array([[0, 0.5, 0], [0, 0, 2.0], [0, 0, 1.0]])


def arcs(folder, name, **options):
    ((edges, weight),) = read_graph_series(folder / "series.csv", folder / name, lags=2, **options).graphs
    return {(a, b): w for (a, b), w in zip(edges.T.tolist(), weight.tolist(), strict=True)}


def test_lists_and_matrices_of_one_graph_are_one(folder):
    expected = {(0, 1): 0.5, (1, 2): 2.0, (2, 2): 1.0}
    heading = ",".join(NAMES)
    files = {
        "names.csv": "from,to,cost\n767541,a b,2\n773869,767541,0.5\na b,a b,1\n",
        "places.csv": "from,to,cost\n1,2,2\n0,1,0.5\n2,2,1\n",
        "counted.csv": "from,to,cost\n2,3,2\n1,2,0.5\n3,3,1\n",
        "matrix.csv": heading + "\n" + "\n".join(",".join(map(str, row)) for row in MATRIX) + "\n",
        "named.csv": "," + ",".join(NAMES[::-1]) + "\n"
        + "\n".join(",".join([NAMES[i], *map(str, MATRIX[i, ::-1])]) for i in (2, 1, 0)) + "\n",
    }  # fmt: skip
    for name, content in files.items():
        (folder / name).write_text(content)
        assert arcs(folder, name, directed=True if "to" in content else None) == expected, name
    np.save(folder / "m.npy", MATRIX)
    sparse.save_npz(folder / "m.npz", sparse.csr_array(MATRIX))
    assert arcs(folder, "m.npy") == arcs(folder, "m.npz") == expected


def test_undirected_lists_go_both_ways_and_others_stand_alone(folder):
    (folder / "list.csv").write_text("from,to,weight\n773869,a b,2\n")
    assert arcs(folder, "list.csv") == {(0, 2): 2, (2, 0): 2}
    (folder / "more.csv").write_text("from,to,weight\n773869,a b,2\n767541,a b,1\nelsewhere,a b,7\n")
    assert set(arcs(folder, "more.csv")) == {(0, 2), (2, 0), (1, 2), (2, 1)}
    assert read_graph_series(folder / "series.csv", lags=2).graphs[0][0].shape == (2, 0)


def test_names_that_do_not_meet_are_named_on_both_sides(folder):
    (folder / "list.csv").write_text("from,to\n773869,x9\n")
    with pytest.raises(ValueError, match=r"'x9' of the graph is no column of the series, and column '767541' no node"):
        read_graph_series(folder / "series.csv", folder / "list.csv", lags=2)
    sparse.save_npz(folder / "m.npz", sparse.csr_array(np.eye(5)))
    with pytest.raises(ValueError, match=r"5 nodes without names, and the series have 3 columns"):
        read_graph_series(folder / "series.csv", folder / "m.npz", lags=2)
    (folder / "three.csv").write_text("0,1,1\n1,2,1\n2,0,1\n")
    with pytest.raises(ValueError, match="a matrix or a list of edges; expected a heading"):
        read_graph_series(folder / "series.csv", folder / "three.csv", lags=2)
    np.savetxt(folder / "large.csv", np.eye(20), delimiter=",")
    with pytest.raises(ValueError, match="lines of 20 cells; expected"):
        read_graph_series(folder / "series.csv", folder / "large.csv", lags=2)
    np.save(folder / "m.npy", -MATRIX)
    with pytest.raises(ValueError, match=r"-0.5 in row 0, column 1; expected finite weights of 0 or more"):
        read_graph_series(folder / "series.csv", folder / "m.npy", lags=2)


def test_zeros_are_values_unless_said_otherwise(folder):
    kept, dropped = (read_graph_series(folder / "series.csv", zeros_missing=flag, lags=2).values for flag in (0, 1))
    assert (kept == 0).any()
    assert np.array_equal(kept == 0, np.isnan(dropped))
    assert torch.is_tensor(read_graph_series(folder / "series.csv", lags=2).graphs[0][0])
