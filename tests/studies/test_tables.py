"""The tables of README.md and docs/ are those of the committed results."""

import shlex
from importlib import import_module

import pytest
import tyro

import tables
from studies.registry import STUDIES

WITH_TABLES = [page for page in tables.PAGES if "<!-- table:" in page.read_text(encoding="utf-8")]


def test_readme_and_the_pages_of_results_have_tables():
    assert {page.name for page in WITH_TABLES} >= {"README.md", "experiments.md", "speed.md", "stocks.md"}


def test_every_study_has_a_page_which_experiments_links():
    docs = tables.ROOT / "docs"
    linked = (docs / "experiments.md").read_text(encoding="utf-8")
    for name in {row.name for row in STUDIES} - {"speed"}:
        assert f"](studies/{name}.md)" in linked
        assert (docs / "studies" / f"{name}.md").read_text(encoding="utf-8").startswith("# ")


@pytest.mark.parametrize("page", WITH_TABLES, ids=lambda page: page.name)
def test_a_page_says_what_the_results_say(page):
    text = page.read_text(encoding="utf-8")
    assert tables.MARKED.findall(text)
    assert tables.rewritten(text) == text, "python benchmarks/tables.py writes it anew"


def test_a_marker_names_a_study_its_result_and_a_table():
    assert tables.table("palindrome/story accuracies") != tables.table("palindrome/full accuracies")
    marker = "stocks/a_b-2+c name"
    assert tables.MARKED.fullmatch(f"<!-- table: {marker} -->\n| old |\n<!-- end -->")[2] == marker
    with pytest.raises(ValueError, match=r"a table 'sped/speed full'; expected 'studies', or 'STUDY/STEM NAME'"):
        tables.table("sped/speed full")
    with pytest.raises(ValueError, match=r"expected one of accuracies, solved after the result of palindrome"):
        tables.table("palindrome/story accuracy")


def test_a_number_that_was_edited_is_found(tmp_path, monkeypatch, capsys):
    marker = "receptive_field/receptive_field claims"
    page = next(page for page in tables.PAGES if f"<!-- table: {marker} -->" in page.read_text(encoding="utf-8"))
    found = next(found for found in tables.MARKED.finditer(page.read_text(encoding="utf-8")) if found[2] == marker)
    changed = found[0].replace("| 10 | 1 |", "| 10 | 10 |")
    assert changed != found[0]
    copy = tmp_path / page.name
    copy.write_text(changed, encoding="utf-8")
    monkeypatch.setattr(tables, "PAGES", (copy,))
    assert tables.main(tables.Settings(check=True)) == 1
    assert page.name in capsys.readouterr().err
    assert tables.main(tables.Settings()) == 0
    assert copy.read_text(encoding="utf-8") == found[0]


MADE = [(row.name, stem, how) for row in STUDIES for stem, how in row.results.items() if how is not None]


@pytest.mark.parametrize(("study", "stem", "arguments"), MADE)
def test_a_result_is_made_by_the_arguments_of_the_registry(study, stem, arguments):
    settings = tyro.cli(import_module(study).Settings, args=[*shlex.split(arguments), "--record"])
    assert settings.path == tables.EVIDENCE / study / f"{stem}.json"
    assert settings.path.exists()


@pytest.mark.parametrize(
    ("table", "path", "remedy"),
    [("palindrome/full accuracies", "palindrome/full.json", "python benchmarks/palindrome.py --record --full makes it"),
     ("speed/speed full", "speed/speed.json", "python benchmarks/speed.py --record makes it"),
     ("speed/intel full", "speed/intel.json", r"git restore .*/speed/intel.json brings a committed one back")],
)  # fmt: skip
def test_a_missing_result_is_named_with_its_command(table, path, remedy, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "EVIDENCE", tmp_path)
    study, _, rest = table.partition("/")
    with pytest.raises(FileNotFoundError, match=f"{path} does not exist; {remedy}$"):
        tables.stored(study, rest.partition(" ")[0])
