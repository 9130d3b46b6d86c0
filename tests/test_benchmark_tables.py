"""The README's tables are those of the committed results."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))  # scripts import their neighbours, as when run

import tables


def test_the_readme_says_what_the_results_say():
    assert tables.MARKED.findall(tables.README.read_text(encoding="utf-8"))
    assert tables.main(tables.Settings(check=True)) == 0, "python benchmarks/tables.py writes them anew"


def test_any_result_can_have_its_table():
    assert tables.table("speed/speed") == tables.table("speed")
    assert tables.MARKED.fullmatch("<!-- table: stocks/a_b-2 -->\n| old |\n<!-- end -->")[2] == "stocks/a_b-2"
    with pytest.raises(ValueError, match=r"a table 'sped'; expected one of figure-1, .*, or FOLDER/STEM"):
        tables.table("sped")


def test_a_number_that_was_edited_is_found(tmp_path, monkeypatch):
    text = tables.README.read_text(encoding="utf-8")
    changed = text.replace("| get_num_hops", "| get_num_hop").replace("| 10 | 1 |", "| 10 | 10 |")
    assert changed != text
    monkeypatch.setattr(tables, "README", tmp_path / "README.md")
    tables.README.write_text(changed, encoding="utf-8")
    assert tables.main(tables.Settings(check=True)) == 1
    assert tables.main(tables.Settings()) == 0
    assert tables.README.read_text(encoding="utf-8") == text
