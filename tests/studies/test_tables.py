"""The tables of README.md and docs/ are those of the committed results."""

from importlib import import_module
from pathlib import Path

import pytest
import tyro

import tables


@pytest.mark.parametrize("page", tables.PAGES, ids=lambda page: page.name)
def test_a_page_says_what_the_results_say(page):
    text = page.read_text(encoding="utf-8")
    assert tables.MARKED.findall(text)
    assert tables.rewritten(text) == text, "python benchmarks/tables.py writes it anew"


def test_any_result_can_have_its_table():
    assert tables.table("speed/speed") == tables.table("speed")
    assert tables.MARKED.fullmatch("<!-- table: stocks/a_b-2 -->\n| old |\n<!-- end -->")[2] == "stocks/a_b-2"
    with pytest.raises(ValueError, match=r"a table 'sped'; expected one of figure-1, .*, or FOLDER/STEM"):
        tables.table("sped")


def test_a_number_that_was_edited_is_found(tmp_path, monkeypatch, capsys):
    page = next(page for page in tables.PAGES if "<!-- table: claims -->" in page.read_text(encoding="utf-8"))
    text = page.read_text(encoding="utf-8")
    changed = text.replace("| 10 | 1 |", "| 10 | 10 |")
    assert changed != text
    copy = tmp_path / page.name
    copy.write_text(changed, encoding="utf-8")
    monkeypatch.setattr(tables, "PAGES", (copy,))
    assert tables.main(tables.Settings(check=True)) == 1
    assert page.name in capsys.readouterr().err
    assert tables.main(tables.Settings()) == 0
    assert copy.read_text(encoding="utf-8") == text


@pytest.mark.parametrize(("name", "command"), tables.COMMANDS.items())
def test_a_result_is_made_by_the_command_that_is_named(name, command):
    script, *options = command.split()
    settings = tyro.cli(import_module(Path(script).stem).Settings, args=options)
    stem = settings.stem.name if hasattr(settings, "stem") else settings.name
    assert f"{settings.results.name}/{stem}" == name


@pytest.mark.parametrize(
    ("table", "path", "remedy"),
    [("figure-1", "palindrome/full.json", "python benchmarks/palindrome.py --full makes it"),
     ("speed-summary", "speed/speed.json", "python benchmarks/speed.py makes it"),
     ("speed/intel", "speed/intel.json", r"git restore .*/speed/intel.json brings a committed one back")],
)  # fmt: skip
def test_a_missing_result_is_named_with_its_command(table, path, remedy, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    with pytest.raises(FileNotFoundError, match=f"results/{path} does not exist; {remedy}$"):
        tables.table(table)
