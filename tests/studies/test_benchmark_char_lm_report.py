"""What is printed, drawn and written about character language models, from JSON made up here."""

import functools
import io
import math
import random
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from rich.console import Console

import char_lm as script
from gnnseq.plots import style
from harness.files import write_json
from harness.report import print_checks
from studies.char_lm import figures, report, results

TEMPERATURES, LENGTHS = (0, 0.5, 1, 2), (20, 30, 50, 120)


def text_of(length, temperature, step):
    """Words that are spelt worse the hotter they are and the earlier."""
    rng = random.Random(f"{length} {temperature:g} {step}")
    text = ""
    while len(text) < length:
        word = rng.choice(["the", "what", "people", "you're", "going", "problem!\n", "<b>&amp;", "it's", "state", "of"])
        text += "".join(rng.choice("qzxj7/") if rng.random() < temperature / (6 + step) else c for c in word) + " "
    return text[:length]


def run_of(settings, seed, *, final, pace=4.0, minutes=20.0, steps=(100, 40_000), drawn=()):
    """A run whose losses come down to ``final`` within ``minutes``."""
    rng = np.random.default_rng(seed)
    every, last = steps
    at = np.arange(every, last + 1, every)
    loss = final + (4.2 - final) / (1 + pace * at / 1000) ** 0.9 + rng.normal(0, 0.01, len(at))
    held = slice(4, None, 5)
    seconds = 60 * minutes * at / last
    validation = loss[held] + 0.02 + 0.1 * at[held] / last
    test = float(validation.min()) + 0.03
    return {
        "settings": {**settings, "seed": seed},
        "seed": seed,
        "commit": "0123456789abcdef",
        "curves": {
            "step": at.tolist(),
            "seconds": seconds.tolist(),
            "loss": loss.tolist(),
            "accuracy": (1 - loss / 4.2).tolist(),
            "learning_rate": (2e-3 * 0.96 ** (at // 5000)).tolist(),
        },
        "validation": {
            "step": at[held].tolist(),
            "seconds": seconds[held].tolist(),
            "loss": validation.tolist(),
            "accuracy": (1 - validation / 4.2).tolist(),
        },
        "test": {"loss": test, "accuracy": 1 - test / 4.2, "bits_per_character": test / math.log(2)},
        "samples": [
            {"step": step, "temperature": t, "length": length, "text": text_of(length, t, step)}
            for step in drawn
            for t in TEMPERATURES
            for length in LENGTHS
        ],
    }


def result_of(corpus, runs):
    return {
        "experiment": "char_lm",
        "provenance": {"commit": "0123456789abcdef", "cpu": "a CPU", "threads": 2, "date": "2026-01-01T00:00:00+00:00",
                       "command": f"python benchmarks/char_lm.py --corpus {corpus}"},
        "corpus": {"name": corpus, "characters": 1_115_394, "vocabulary": 65, "split": [1_003_854, 55_770, 55_770]},
        "runs": runs,
        "baselines": {
            "5-gram, Kneser-Ney": {"validation": 1.667, "test": 1.701},
            "unigram": {"validation": 3.342, "test": 3.351},
            "uniform": {"validation": math.log(65), "test": math.log(65)},
        },
    }  # fmt: skip


def shakespeare():
    fast = [run_of({"preset": "fast", "hidden": 256}, seed, final=1.4, pace=3) for seed in range(3)]
    best = [run_of({"preset": "best", "hidden": 512}, seed, final=1.25, pace=2, minutes=60) for seed in range(3)]
    return result_of("tinyshakespeare", fast + best)


def south_park():
    steps = (0, 10_000, 20_000, 30_000)
    return result_of("southpark", [run_of({"preset": "report", "hidden": 128}, 0, final=1.1, drawn=steps)])


def printed(result, width=120):
    console = Console(file=io.StringIO(), width=width)
    report.print_report(result, console)
    print_checks(report.checks(result), console)
    return console.file.getvalue()


def numbers(line):
    return [float(word) for word in re.findall(r"\d*\.\d+|\d+", line)]


def line_with(start, text):
    return next(line for line in text.splitlines() if line.startswith(start))


def test_seeds_are_put_together_and_presets_kept_apart():
    found = results.groups(shakespeare())
    assert [(group.label, len(group.runs)) for group in found] == [("fast", 3), ("best", 3)]
    custom = [run_of({"preset": "custom", "hidden": 8, "random_windows": w}, 0, final=1.5) for w in (False, True)]
    labels = [group.label for group in results.groups(result_of("a novel", custom))]
    assert labels == ["custom, random windows False", "custom, random windows True"]


def test_a_curve_is_at_the_steps_that_all_seeds_have():
    runs = [run_of({"preset": "fast"}, seed, final=1.5, steps=(100, last)) for seed, last in ((0, 4000), (1, 3000))]
    (group,) = results.groups(result_of("a novel", runs))
    for name in ("loss", "seconds"):
        curve = group.curve("curves", name)
        assert curve.index.tolist() == list(range(100, 3001, 100))
        assert curve.to_numpy().T.tolist() == [run["curves"][name][:30] for run in runs]


def test_the_table_says_what_the_runs_say():
    result = shakespeare()
    fast = result["runs"][:3]
    test = [run["test"]["loss"] for run in fast]
    lowest = [min(run["validation"]["loss"]) for run in fast]
    row = numbers(line_with("fast, 3 seeds", printed(result)))[1:]
    expected = [np.mean([run["curves"]["loss"][-1] for run in fast]), np.mean(lowest), np.std(lowest, ddof=1)]
    expected += [np.mean(test), np.std(test, ddof=1), np.mean(test) / math.log(2), np.exp(test).mean()]
    expected += [100 * np.mean([run["test"]["accuracy"] for run in fast]), 20]
    np.testing.assert_allclose(row, expected, atol=0.05)
    np.testing.assert_allclose(row[:6], expected[:6], atol=5.1e-4)
    unigram = numbers(line_with("unigram", printed(result)))
    np.testing.assert_allclose(unigram, [3.342, 3.351, 3.351 / math.log(2), math.exp(3.351)], atol=5e-3)


def test_times_are_of_the_first_validation_below():
    result = shakespeare()
    runs = result["runs"][:3]
    for run, losses in zip(runs, ([2.0, 1.88, 1.7, 1.9, 1.5], [1.87, 1.9, 1.65, 1.6, 1.6], [9.0] * 5), strict=True):
        run["validation"] = {"step": [1, 2, 3, 4, 5], "seconds": [60, 120, 180, 240, 300], "loss": losses}
    (group, _) = results.groups(result)
    assert group.minutes_below(1.88) == [3, 1]
    assert group.minutes_below(1.60) == [5]
    assert report.reached(group, [3, 1]) == "2.0 (1.0-3.0), 2 of 3"
    assert report.reached(group, []) == "not reached"


def test_a_time_is_green_if_every_seed_is_in_time():
    def colored(changed):
        result = shakespeare()
        changed(result["runs"][0]["validation"])
        console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system="standard")
        report.print_report(result, console)
        table = console.file.getvalue().partition("minutes until below")[2]
        return "\x1b[32m" in next(line for line in table.splitlines() if line.startswith("fast"))[:40]

    assert colored(lambda validation: None)
    assert not colored(lambda validation: validation.update(seconds=[3 * s for s in validation["seconds"]]))
    assert not colored(lambda validation: validation.update(loss=[1.9] * len(validation["loss"])))


def test_training_is_held_against_the_log_of_the_report():
    result = south_park()
    (early, holds), (late, holds_too) = report.checks(result)
    assert holds
    assert holds_too
    loss = result["runs"][0]["curves"]["loss"]
    assert f"step 1,000: loss {loss[9]:.3f}" in early
    assert f"step 4,000: loss {loss[39]:.3f}" in late
    loss[39] = 1.6351
    assert [holds for _, holds in report.checks(result)] == [True, False]
    assert "FAILS training at step 4,000: loss 1.635" in printed(result)


def test_what_is_compared_is_never_further_than_the_log():
    result = south_park()
    curves = result["runs"][0]["curves"]
    for name in curves:
        curves[name] = curves[name][2:60:9]  # steps 300, 1200, ... 5700
    found = results.groups(result)[0].logged()
    assert [rows[0][0] for rows in found.values()] == [curves["loss"][0], curves["loss"][4]]  # of 300 and of 3900
    for name in curves:
        curves[name] = curves[name][:4]  # it ended at 3000
    assert list(results.groups(result)[0].logged()) == [1000]


def test_other_texts_and_other_settings_are_not_held_against_the_log():
    runs = south_park()["runs"]
    assert not report.checks(result_of("tinyshakespeare", runs))
    for run in runs:
        run["settings"]["preset"] = "custom"
    assert not report.checks(result_of("southpark", runs))


def test_everything_fits_eighty_columns():
    for result in (shakespeare(), south_park()):
        lines = printed(result, width=80).splitlines()
        assert "…" not in "".join(lines)
        statements = ("holds", "FAILS")
        assert max(len(line) for line in lines if not line.startswith(statements)) <= 80
        names = [*result["baselines"], *results.published(result)]
        assert all(sum(line.startswith(name) for line in lines) == 1 for name in names)  # in one line each


def test_without_samples_none_are_shown_and_none_written(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "save_figure", lambda figure, stem: [])
    result = shakespeare()
    assert "Samples" not in printed(result)
    assert not [path for path in report.figures(result, tmp_path / "x") if path.suffix == ".txt"]
    assert not list(tmp_path.glob("*.txt"))


def sampled(*texts):
    run = run_of({"preset": "report"}, 0, final=1.2)
    run["samples"] = [{"step": 10 * i, "temperature": 1.0, "length": len(t), "text": t} for i, t in enumerate(texts)]
    return result_of("a <novel> & more", [run])


@given(st.lists(st.text(), min_size=1, max_size=3))
def test_every_character_of_a_sample_takes_one_place_in_the_table(texts):
    result = sampled(*texts)
    shown = [results.visible(text) for text in texts]
    assert [len(text) for text in shown] == [len(text) for text in texts]
    table = figures.text_table(result)
    blocks = [block.split("-" * 78 + "\n")[2] for block in re.split("\nStep ", table)[1:]]
    for block, text in zip(blocks, shown, strict=True):
        lines = [line[14:] for line in block.splitlines()]
        assert "".join(lines).replace("␣", " ") == text.replace("␣", " ")
        assert all(len(line) == figures.WIDTH for line in lines[:-1])


@given(st.text())
def test_what_would_break_a_line_or_hide_is_marked(text):
    assert results.visible(text).isprintable()
    assert results.visible("a b\n\tc\x07\u202e") == "a b↵⇥c□□"


def test_tables_have_a_block_a_step_and_a_row_for_each_temperature_and_length():
    found = results.blocks(reversed(south_park()["runs"][0]["samples"]))
    assert [step for step, _ in found] == [0, 10_000, 20_000, 30_000]
    for step, rows in found:
        assert [temperature for temperature, _ in rows] == list(TEMPERATURES)
        for temperature, of_length in rows:
            assert of_length == [(length, text_of(length, temperature, step)) for length in LENGTHS]
    table = figures.text_table(south_park())
    assert table.count("\nStep ") == 4
    assert len(re.findall(r"^ +\d\.\d +20  ", table, flags=re.MULTILINE)) == 16


def test_figures_are_the_same_files_when_drawn_again(tmp_path, monkeypatch):
    monkeypatch.setattr(Figure, "savefig", functools.partialmethod(Figure.savefig, dpi=40))  # for speed
    result = south_park()
    first, again = (report.figures(result, tmp_path / name / "southpark") for name in ("a", "b"))
    names = ["training.png", "training.svg", "minutes.png", "minutes.svg", "samples.txt"]
    assert [path.name for path in first] == [f"southpark_{name}" for name in names]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]


def drawn(draw, result):
    with style():
        return draw(result)


def test_what_is_known_of_one_text_is_not_drawn_for_another():
    def words(result):
        return {text.get_text() for axes in drawn(figures._minutes, result).axes for text in axes.texts}

    assert {"1.880  nanoGPT small, CPU", "1.667  5-gram, Kneser-Ney"} <= words(shakespeare())
    assert {word for word in words(south_park()) if "min" not in word} == {
        "1.667  5-gram, Kneser-Ney",
        "3.342  unigram",
    }

    def rings(result):
        return sum(line.get_marker() == "o" for axes in drawn(figures._training, result).axes for line in axes.lines)

    assert (rings(south_park()), rings(shakespeare())) == (4, 0)


def test_names_of_lines_keep_apart_and_near_their_lines():
    figure = Figure(figsize=(8, 5), layout="none")
    axes = figure.add_subplot(ylim=(1, 2))
    levels = [1.5, 1.501, 1.502, 1.2, 1.9, 3.0]
    figures._name_lines(axes, [(f"{level}", level, "-") for level in levels])
    places = sorted(text.get_position()[1] for text in axes.texts)
    assert len(places) == 5  # 3.0 is outside
    assert places[0] == pytest.approx(0.2)
    assert places[-1] == pytest.approx(0.9)
    assert places[2] == pytest.approx(0.501)  # in the middle of the three
    letters = figures.LETTERS / 72 / (5 * axes.get_position().height)
    assert min(np.diff(places)) > letters


def test_results_on_one_text_can_be_put_together():
    whole = shakespeare()
    parts = [result_of("tinyshakespeare", whole["runs"][:3]), result_of("tinyshakespeare", whole["runs"][3:])]
    parts[1]["provenance"]["cpu"] = "another CPU"
    both = results.together(parts)
    assert both["runs"] == whole["runs"]
    assert both["provenance"]["cpu"] == "a CPU; another CPU"
    assert report.losses(both) == report.losses(whole)
    with pytest.raises(ValueError, match=r"on tinyshakespeare \(1,115,394 characters\) and on South Park"):
        results.together([parts[0], south_park()])


def test_presets_are_put_together_from_the_command_line(tmp_path, monkeypatch, capsys):
    drawn = []
    monkeypatch.setattr(figures, "save_figure", lambda figure, stem: drawn.append(stem) or [])
    whole = shakespeare()
    for name, runs in (("fast", whole["runs"][:3]), ("best", whole["runs"][3:])):
        write_json(tmp_path / f"tinyshakespeare-{name}.json", result_of("tinyshakespeare", runs))
    settings = script.Settings(corpus="tinyshakespeare", together=True, report_only=True, results=tmp_path)
    assert script.main(settings) == 0
    assert drawn == [tmp_path / f"tinyshakespeare_{name}" for name in ("training", "minutes")]
    shown = capsys.readouterr().out
    assert all(f"\n{name}, 3 seeds" in shown for name in ("fast", "best"))
    with pytest.raises(FileNotFoundError, match=r"none of .*southpark-report.json, .* exists"):
        script.main(script.Settings(corpus="southpark", together=True, report_only=True, results=tmp_path))


def test_the_readme_table_has_a_cell_for_every_heading():
    for result in (shakespeare(), south_park()):
        lines = report.losses(result).splitlines()
        assert {line.count("|") for line in lines} == {lines[0].count("|")}
        assert len(lines) == 2 + len(results.groups(result)) + len(result["baselines"]) + len(results.published(result))


def test_published_numbers_stand_beside_validation_and_test_together():
    result = shakespeare()
    result["corpus"]["split"] = [900, 80, 20]
    assert results.held_out(result, 1.0, 2.0) == pytest.approx(1.2)
    cells = [[cell.strip() for cell in line.split("|")] for line in report.losses(result).splitlines()]
    rows = {cell[1]: cell[2:5] for cell in cells}
    assert rows["tinyshakespeare, nats/character"] == ["validation", "test", "both"]
    assert rows["5-gram, Kneser-Ney"] == ["1.667", "1.701", f"{(4 * 1.667 + 1.701) / 5:.3f}"]
    assert rows["minGRU (published)"] == ["", "", "1.548"]
