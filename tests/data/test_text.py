"""Text becomes indices and back, in parts that do not overlap, in windows that miss and repeat nothing."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gnnseq.data import cache
from gnnseq.data.text import UNKNOWN, Corpus, TextWindows, Vocabulary, load_corpus, load_parts, read_text

LINE = "All's well that ends well. "


@given(st.text("ab\nß\u00a0\ufffd…💡", max_size=60))
def test_known_characters_come_back_and_all_others_are_one(text):
    vocabulary = Vocabulary.of(text)
    back = vocabulary.decode(vocabulary.encode(text))
    assert back == "".join(each if text.count(each) > 1 else UNKNOWN for each in text)
    assert list(vocabulary.characters[1:]) == sorted(set(vocabulary.characters[1:]))


def test_the_vocabulary_is_the_training_parts_alone():
    corpus = Corpus.of("ab" * 45 + "xx" * 5, shares=(0.9, 0.05, 0.05))
    assert corpus.vocabulary.characters == UNKNOWN + "ab"
    assert corpus.validation.tolist() == corpus.test.tolist() == [0] * 5


@given(st.integers(40, 300), st.sampled_from([(0.9, 0.05, 0.05), (0.5, 0.25, 0.25), (0.8, 0.1, 0.1)]))
def test_parts_follow_one_another_and_are_the_whole(length, shares):
    text = (LINE * 20)[:length]
    corpus = Corpus.of(text, shares=shares)
    parts = corpus.training, corpus.validation, corpus.test
    assert torch.equal(torch.cat(parts), corpus.vocabulary.encode(text))
    assert [abs(len(part) - share * length) <= 1 for part, share in zip(parts, shares, strict=True)] == [True] * 3


@given(st.integers(1, 5), st.integers(1, 7), st.integers(40, 90))
def test_streams_read_every_character_once_and_in_order(batch, length, size):
    text = torch.arange(size)
    windows = TextWindows(text, batch, length)
    number = windows.stretch // length
    read = torch.cat([windows[step].x for step in range(number)])  # [T, B]
    asked = torch.cat([windows[step].y for step in range(number)])
    assert torch.equal(asked, read + 1)
    assert torch.equal(read[1:], read[:-1] + 1)
    assert read[0].tolist() == [column * windows.stretch for column in range(batch)]
    assert [windows[step].fresh for step in range(number + 1)] == [True] + [False] * (number - 1) + [True]
    assert torch.equal(windows[number].x, windows[0].x)
    assert size - 1 - read.numel() < batch * length + batch


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 5), st.integers(100, 140))
def test_groups_of_streams_take_turns_and_read_all_that_one_batch_would(batch, groups, length, size):
    text, streams = torch.arange(size), batch * groups
    windows, together = TextWindows(text, batch, length, streams=streams), TextWindows(text, streams, length)
    for turn in range(together.stretch // length + 2):
        taken = [windows[turn * groups + group] for group in range(groups)]
        assert [window.group for window in taken] == list(range(groups))
        assert {window.fresh for window in taken} == {together[turn].fresh}
        for part in ("x", "y"):
            side_by_side = torch.stack([getattr(window, part) for window in taken], dim=2).flatten(1)
            assert torch.equal(side_by_side, getattr(together[turn], part))


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 5), st.integers(100, 140))
def test_shifted_streams_read_the_same_text_from_elsewhere_at_every_pass(batch, groups, length, size):
    text, streams = torch.arange(size), batch * groups
    plain, shifted, again, other = (
        TextWindows(text, batch, length, streams=streams, seed=seed, shifted=shift)
        for seed, shift in ((3, False), (3, True), (3, True), (4, True))
    )
    turns = plain.stretch // length * groups
    begun = []
    for time in range(6):
        first, same, different = (windows[time * turns] for windows in (shifted, again, other))
        assert torch.equal(first.x, same.x)
        begun.append((int(first.x[0, 0]), int(different.x[0, 0])))
        for step in range(time * turns, (time + 1) * turns):
            window, unshifted = shifted[step], plain[step]
            assert (window.fresh, window.group) == (unshifted.fresh, unshifted.group)
            assert torch.equal(window.x, (unshifted.x + begun[-1][0]) % (size - 1))
            assert torch.equal(window.y, window.x + 1)
    assert begun[0] == (0, 0)
    assert len(set(begun)) > 3
    assert any(one != another for one, another in begun)


def test_random_windows_depend_on_seed_and_number_alone_and_reach_everything():
    text = torch.arange(30)
    windows, again, other = (TextWindows(text, 8, 5, random=True, seed=seed) for seed in (1, 1, 2))
    shuffled = {step: again[step] for step in (3, 0, 2, 1)}
    assert all(torch.equal(windows[step].x, shuffled[step].x) for step in shuffled)
    assert not torch.equal(windows[0].x, other[0].x)
    assert not torch.equal(windows[0].x, windows[1].x)
    assert all(windows[step].fresh for step in range(4))
    seen = torch.cat([windows[step].y.flatten() for step in range(60)])
    assert sorted(set(seen.tolist())) == list(range(1, 30))
    assert torch.equal(windows[0].y, windows[0].x + 1)


def test_a_file_and_a_folder_are_read_in_the_order_of_their_names(tmp_path):
    (tmp_path / "part 2").mkdir()
    (tmp_path / "part 2" / "a.txt").write_bytes("zwölf\r\n".encode())
    (tmp_path / "part 1.txt").write_bytes(b"\xef\xbb\xbfone\rtwo\n")  # a byte order mark, and an old Mac's line end
    (tmp_path / ".hidden").write_bytes(b"\xff")
    assert read_text(tmp_path) == "one\ntwo\nzwölf\n"
    assert read_text(tmp_path / "part 1.txt") == "one\ntwo\n"
    (tmp_path / "part 3").write_text(LINE * 10)
    assert load_corpus(tmp_path / "part 3").name == "part 3"


def test_south_park_is_what_is_spoken(tmp_path, monkeypatch):
    for season, spoken in ((1, '"Oh my God!\n"'), (2, '"He said ""no"",\xa0Kyle.\n"\n2,1,Kyle,"  \n"')):
        path = tmp_path / f"{season}.csv"
        path.write_text(f"Season,Episode,Character,Line\n{season},1,Stan,{spoken}\n", encoding="utf-8")
    monkeypatch.setattr(cache, "names", lambda prefix: [f"{prefix}1", f"{prefix}2"])
    monkeypatch.setattr(cache, "fetch", lambda name: tmp_path / f"{name.removeprefix('text/southpark/')}.csv")
    assert read_text("southpark") == 'oh my god!\nhe said "no", kyle.\n'
    (tmp_path / "2.csv").write_text("Line\nHello\n")
    with pytest.raises(ValueError, match=r"2\.csv: its header is \['Line'\]; expected Season, Episode"):
        read_text("southpark")


def test_the_built_in_text_needs_no_network():
    corpus = load_corpus("pydoc")
    assert corpus.name == "pydoc"
    assert len(corpus.training) > 100_000


def test_errors_name_what_is_wrong(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "latin.txt").write_bytes("fünf".encode("latin-1"))
    with pytest.raises(FileNotFoundError, match="source='nowhere': no such file or folder; expected one, or the name"):
        read_text("nowhere")
    with pytest.raises(FileNotFoundError, match="a folder without files"):
        read_text(tmp_path / "empty")
    with pytest.raises(ValueError, match=r"latin\.txt: byte 1 is not UTF-8"):
        read_text(tmp_path / "latin.txt")
    with pytest.raises(ValueError, match="text has 20 characters, its parts"):
        Corpus.of("a" * 20)
    with pytest.raises(ValueError, match=r"shares=\(0.9, 0.2\); expected three"):
        Corpus.of(LINE, shares=(0.9, 0.2))
    with pytest.raises(ValueError, match="text has 7 characters; expected more than 10, for a batch of windows"):
        TextWindows(torch.zeros(7, dtype=torch.long), 2, 5)
    with pytest.raises(ValueError, match="batch=0; expected an integer of 1"):
        TextWindows(torch.zeros(7, dtype=torch.long), 0, 5)
    with pytest.raises(ValueError, match="shifted=True with random windows"):
        TextWindows(torch.zeros(70, dtype=torch.long), 2, 5, random=True, shifted=True)
    with pytest.raises(ValueError, match=r"characters='abc'; expected U\+FFFD first"):
        Vocabulary("abc")


def test_three_texts_stay_as_they_are_and_the_vocabulary_is_the_first_ones(tmp_path):
    texts = {"a.txt": "noon or moon", "b.txt": "zoo", "c.txt": "no zoo\r\nnoon"}
    for name, text in texts.items():
        (tmp_path / name).write_bytes(text.encode())
    corpus = load_parts(*(tmp_path / name for name in texts))
    assert corpus.name == "a.txt+b.txt+c.txt"
    assert corpus.vocabulary == Vocabulary.of("noon or moon")
    assert [len(part) for part in (corpus.training, corpus.validation, corpus.test)] == [12, 3, 11]
    assert corpus.vocabulary.decode(corpus.validation) == "\ufffdoo"
    assert corpus.digest != load_parts(tmp_path / "a.txt", tmp_path / "c.txt", tmp_path / "b.txt").digest


def test_of_three_texts_none_is_another_and_none_is_empty(tmp_path):
    for name, text in {"a.txt": "noon", "b.txt": "moon", "c.txt": "x"}.items():
        (tmp_path / name).write_text(text)
    a, b, c = (tmp_path / name for name in ("a.txt", "b.txt", "c.txt"))
    with pytest.raises(ValueError, match=r"test='.*a.txt' is the training text too"):
        load_parts(a, b, tmp_path / "." / "a.txt")
    with pytest.raises(ValueError, match=r"test='.*c.txt' has 1 characters; expected at least 2"):
        load_parts(a, b, c)
    with pytest.raises(FileNotFoundError, match=r"pydoc': no such file"):
        load_parts(a, b, "pydoc")
