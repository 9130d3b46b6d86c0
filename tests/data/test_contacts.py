"""gnnseq.data.contacts: every form of a temporal edge list is the same contacts, or an error with file and line."""

import datetime
import gzip
import itertools

import numpy as np
import pytest
import torch

from gnnseq.data.contacts import load_contacts
from gnnseq.data.contacts.clock import width_of
from gnnseq.layers import TemporalGCN

WEEK = 604800
START = 1082040961  # 2004-04-15 14:56:01
# Out of order, one repeated, one self-loop, a gap of two weeks.
ROWS = [
    ("7", "10", 0),
    ("10", "7", 5 * WEEK + 3),
    ("7", "10", 60),
    ("7", "10", 60),
    ("9", "9", WEEK),
    ("7", "9", 4 * WEEK),
]
NAMED = {"7": "ann", "9": "eve", "10": "José Díaz"}


def iso(seconds, form="%Y-%m-%d %H:%M:%S"):
    return datetime.datetime.fromtimestamp(START + seconds, datetime.UTC).strftime(form)


TIMES = {
    "s": lambda t: f"{START + t}",
    "float": lambda t: f"{START + t}.0",
    "scientific": lambda t: f"{START + t:.9e}",
    "ms": lambda t: f"{START + t}000",
    "us": lambda t: f"{START + t}000000",
    "ns": lambda t: f"{START + t}000000000",
    "iso": iso,
    "T": lambda t: iso(t, "%Y-%m-%dT%H:%M:%S"),
    "Z": lambda t: iso(t, "%Y-%m-%dT%H:%M:%SZ"),
    "offset": lambda t: iso(t + 7200, "%Y-%m-%dT%H:%M:%S+02:00"),
    "relative": lambda t: f"{t}",
}


def write(path, delimiter, when, heading, names=lambda name: name, weights=None, gz=False):
    lines = ["# a comment", ""] if delimiter != "," else []
    fields = [[names(a), names(b), TIMES[when](t)] for a, b, t in ROWS]
    for row in fields:
        row[:2] = [f'"{cell}"' if " " in cell and delimiter == " " else cell for cell in row[:2]]
    if weights:
        fields = [[*row, w] for row, w in zip(fields, weights, strict=True)]
    head = ["source", "target", "time", "weight"][: len(fields[0])]
    lines += [delimiter.join(row) for row in ([head] if heading else []) + fields]
    text = ("\ufeff" if heading else "") + "\n".join(lines) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if gz else text.encode())
    return path


def check(contacts, names):
    snapshots, mask, found = contacts
    assert found == names
    place = {name: at for at, name in enumerate(names)}
    seven, nine, ten = (place[name] for name in ("7", "9", "10"))
    assert len(snapshots) == 6
    assert contacts.report.gaps == ((2, 3),)
    assert (contacts.report.repeated, contacts.report.self_loops, contacts.report.out_of_order) == (1, 1, 4)
    assert contacts.report.merged == 2
    assert snapshots[0].edge_index.tolist() == [[seven], [ten]]
    assert snapshots[0].edge_weight.tolist() == [3.0]
    assert snapshots[1].edge_index.tolist() == [[nine], [nine]]
    assert snapshots[5].edge_index.tolist() == [[ten], [seven]]
    assert all(each.num_nodes == 3 for each in snapshots)
    assert mask[:, seven].all()
    assert mask[:, nine].tolist() == [False] + [True] * 5
    assert np.diff(contacts.time).tolist() == [60, 0, WEEK - 60, 3 * WEEK, WEEK + 3]


@pytest.mark.parametrize("delimiter", [",", "\t", ";", " ", ", "])
@pytest.mark.parametrize("when", TIMES)
@pytest.mark.parametrize("heading", [False, True])
def test_forms_of_numbers(tmp_path, delimiter, when, heading):
    check(load_contacts(write(tmp_path / "c.txt", delimiter, when, heading)), ("7", "9", "10"))


@pytest.mark.parametrize(("delimiter", "heading", "gz"), list(itertools.product(",\t ", [False, True], [False, True])))
def test_forms_of_names_and_files(tmp_path, delimiter, heading, gz):
    weights = ["1", "2.5", "1", "2", "1e0", "0"]
    path = write(tmp_path / ("c.gz" if gz else "c.csv"), delimiter, "s", heading, NAMED.get, weights, gz)
    contacts = load_contacts(path, every=WEEK)
    assert contacts.names == ("José Díaz", "ann", "eve")
    assert [each.edge_weight.tolist() for each in contacts.snapshots] == [[4.0], [1.0], [], [], [0.0], [2.5]]
    assert contacts.snapshots[0].edge_index.tolist() == [[1], [0]]


def test_columns_are_found_by_their_names(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("id,timestamp,to,weight,from,kind\n1,1082040961,b,2,a,x\n2,1082040962,a,3,c,y\n")
    contacts = load_contacts(path)
    assert (contacts.source.tolist(), contacts.target.tolist()) == ([0, 2], [1, 0])
    assert (contacts.weight.tolist(), contacts.report.ignored) == ([2.0, 3.0], ("id", "kind"))
    assert "not read: id, kind" in str(contacts.report)


@pytest.mark.parametrize(
    ("text", "ignored"),
    [
        ("id,sender_id,receiver_id,timestamp\n1,a,b,{s}\n", ("id",)),
        ("FromNodeId\tToNodeId\tDay\tTime\na\tb\t3\t{s}\n", ("Day",)),
        ("date,time,source,target\n2004-04-15,14:56:01,a,b\n", ()),
        ("time;source;target;date\n14:56:01;a;b;2004-04-15\n", ()),
    ],
)
def test_of_several_ids_and_times_the_right_ones_are_read(tmp_path, text, ignored):
    path = tmp_path / "c.csv"
    path.write_text(text.format(s=START))
    contacts = load_contacts(path)
    assert (contacts.names, contacts.source.tolist(), contacts.target.tolist()) == (("a", "b"), [0], [1])
    assert (contacts.time.tolist(), contacts.report.ignored) == ([START], ignored)


def test_delimiters_in_quotes_times_before_1970_and_comments(tmp_path):
    path = tmp_path / "c.csv"
    path.write_text(f'"a;b","c\td",-{START}000\n#x,y,-{START}000\n"c\td","a;b",-{START}500\n')
    contacts = load_contacts(path)
    assert contacts.names == ("a;b", "c\td")
    assert contacts.time.tolist() == [-START - 0.5, -START]
    assert (contacts.report.comments, "1 lines that begin with # or %" in str(contacts.report)) == (1, True)


def test_a_width_that_makes_too_many_snapshots_is_refused(tmp_path):
    path = tmp_path / "c.csv"
    path.write_text(f"a,b,{START}\nb,a,{START + 10**9}\n")
    for every in (1e-12, 1e-310, 1, "15min"):
        with pytest.raises(ValueError, match=r"every=.* snapshots of 2 nodes .*expected a wider one"):
            load_contacts(path, every=every)


def test_a_date_and_its_time_in_fields_of_their_own(tmp_path):
    for heading in ("", "u v time\n", "u v time w\n"):
        weight = " 2" if heading.endswith("w\n") else ""
        path = tmp_path / "c.txt"
        path.write_text(f"{heading}a b 2004-04-15 14:56:01{weight}\nb a 2004-04-15 14:56:31{weight}\n")
        contacts = load_contacts(path)
        assert contacts.time.tolist() == [START, START + 30]
        assert contacts.weight.tolist() == [2.0 if weight else 1.0] * 2


def test_a_weight_before_the_time_is_told_by_the_numbers(tmp_path):
    path = tmp_path / "out.konect"
    path.write_text("% asym weighted\n1 2 3 1082040961\n2 1 1 1082040999\n")
    contacts = load_contacts(path)
    assert (contacts.weight.tolist(), contacts.time.tolist()) == ([3.0, 1.0], [START, START + 38])
    assert "a weight before the time" in contacts.report.form
    path.write_text("1 2 3 1082040961\n2 1 1 5\n")
    with pytest.raises(ValueError, match=r"out.konect, line 2: time '5' in the fourth column"):
        load_contacts(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 1082040961\n1 2\n", r"c\.txt, line 2: 2 columns, '1 2'; expected 3, blanks between"),
        ("1 2 1082040961\n\n1 2 soon\n", r"c\.txt, line 3: time 'soon'; expected a number"),
        ("1 2 1082040961\n1 2 nan\n", r"c\.txt, line 2: time 'nan'; expected a finite number"),
        ("1,2,2004-04-15\n1,2,2004-13-15\n", r"c\.txt, line 2: time '2004-13-15'; expected a date"),
        ("1,2,2004-04-15\n1,2,20040416\n", r"c\.txt, line 2: time '20040416'; expected a date"),
        ("1,2,1082040961\n,2,1082040961\n", r"c\.txt, line 2: a name is missing"),
        ("1,2,1082040961,1\n1,2,1082040961,-1\n", r"c\.txt, line 2: weight '-1'; expected a finite number, not below"),
        ("1,2,1082040961,1\n1,2,1082040961,inf\n", r"c\.txt, line 2: weight 'inf'"),
        ("1,2,1082040961000\n1,2,1082040961\n", r"c\.txt, line 2: time 1082040961, and 1082040961000 in line 1; exp"),
        ("1 2\n2 3\n", r"c\.txt, line 1: 2 columns, '1 2'; expected source, target, time"),
        ("1 2 3 4 5\n", r"c\.txt, line 1: 5 columns, .*; expected source, target, time"),
        ("a b soon\n", r"c\.txt, line 1: time 'soon'; expected source, target, time"),
        ("# nothing\n", r"c\.txt: holds no contact"),
        ("source,target,time\n", r"c\.txt: holds no contact"),
        ('a,b,1082040961\n"a,b,1082040962\n', r"c\.txt, line 2: quotes of .*expected them around a whole field"),
        ("a,b,1082040961,\na,b,1082040961,3\n", r"c\.txt, line 2: weight '3', and none in the first line"),
        ("a,b,20040415\nb,a,20040516\n", r"c\.txt, line 1: time 20040415 may be a date without dashes.*unit='s'"),
        ("a b 20040415105601\n", r"line 1: time 20040415105601 may be a date"),
        ("id,ego,alter,time\n1,a,b,1082040961\n", r"c\.txt, line 1: a heading .*; expected columns called source"),
        ("source,target,kind\na,b,c\n", r"c\.txt, line 1: a heading .*; expected columns called source, target and t"),
    ],
)
def test_what_is_no_contact_is_named_by_file_and_line(tmp_path, text, message):
    path = tmp_path / "c.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_contacts(path)


def test_files_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file; expected a file of contacts"):
        load_contacts(tmp_path / "none.txt")
    (tmp_path / "c.txt").write_bytes(b"a\xff b 1\n")
    with pytest.raises(ValueError, match=r"c\.txt: not text in UTF-8"):
        load_contacts(tmp_path / "c.txt")
    (tmp_path / "c.gz").write_bytes(gzip.compress(b"1 2 1082040961\n" * 99)[:-20])
    with pytest.raises(ValueError, match=r"c\.gz: a gzipped file that is cut off"):
        load_contacts(tmp_path / "c.gz")


def test_widths(tmp_path):
    same = ("7D", "1W", "168h", "7 days", WEEK, float(WEEK), f"{WEEK}", "604800s", np.timedelta64(7, "D"),
            datetime.timedelta(days=7), "10080min")  # fmt: skip
    assert {width_of(each) for each in same} == {float(WEEK)}
    for wrong in ("1M", "month", "", 0, -1, "-7D", float("nan"), True, None, [7]):
        with pytest.raises(ValueError, match="expected a width of time above 0"):
            width_of(wrong)
    path = write(tmp_path / "c.txt", " ", "s", False)
    assert len(load_contacts(path, every="1D").snapshots) == 36
    with pytest.raises(ValueError, match=r"every=1e-06 makes .* snapshots of 3 nodes .*expected a wider one"):
        load_contacts(path, every=1e-6)
    with pytest.raises(ValueError, match="unit='h'; expected one of 's'"):
        load_contacts(path, unit="h")


def test_numbers_of_small_units_can_be_told(tmp_path):
    path = tmp_path / "c.txt"
    path.write_text("1 2 0\n1 2 5000\n")
    assert load_contacts(path).time.tolist() == [0.0, 5000.0]
    assert load_contacts(path, unit="ms").time.tolist() == [0.0, 5.0]


def test_snapshots_enter_a_network_and_the_order_of_lines_does_not_matter(tmp_path):
    lines = write(tmp_path / "c.txt", " ", "s", False).read_text().splitlines()
    (tmp_path / "d.txt").write_text("\n".join(reversed(lines)))
    snapshots, mask, _ = load_contacts(tmp_path / "c.txt")
    others = load_contacts(tmp_path / "d.txt")
    for one, other in zip(snapshots, others.snapshots, strict=True):
        assert torch.equal(one.edge_index, other.edge_index)
        assert torch.equal(one.edge_weight, other.edge_weight)
    layer = TemporalGCN(2, 4, 3, order="space_time")
    graphs, weights = zip(*((each.edge_index, each.edge_weight) for each in snapshots), strict=True)
    y, _ = layer(torch.randn(6, 3, 2), list(graphs), list(weights), mask=mask)
    assert y.shape == (6, 3, 3)
    assert (y[~mask] == 0).all()


def test_lines_beyond_a_piece_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr("gnnseq.data.contacts.reader.PIECE", 3)
    path = tmp_path / "c.txt"
    path.write_text("\n".join(["# c", "u v t", *(f"{n} {n + 1} {START + n}" for n in range(8))]) + "\n")
    assert load_contacts(path).report.events == 8
    path.write_text(path.read_text() + "\n# c\n1 2 x\n")
    with pytest.raises(ValueError, match="line 13: time 'x'"):
        load_contacts(path)
