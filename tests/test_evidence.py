"""The committed results: small, all that pages show, and nothing that no page shows."""

import re

from places import BENCHMARKS, ROOT

RESULTS = BENCHMARKS / "results"
SHOWN = {".html", ".png", ".svg", ".txt"}
MOST_BYTES = 9e6


def evidence():
    """The files that a commit would take: finished runs in cache/ are ignored."""
    return [path for path in RESULTS.rglob("*") if path.is_file() and "cache" not in path.relative_to(RESULTS).parts]


def test_a_clone_does_not_carry_megabytes():
    sizes = sorted(((path.stat().st_size, path.name) for path in evidence()), reverse=True)
    assert sum(size for size, _ in sizes) < MOST_BYTES, sizes[:10]


def test_every_figure_and_text_is_linked_from_a_page():
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    shown = [path.relative_to(BENCHMARKS).as_posix() for path in evidence() if path.suffix in SHOWN]
    assert shown
    assert [name for name in shown if name not in text] == []


def test_every_figure_that_a_page_shows_is_there():
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        shown = re.findall(r"!\[[^]]*\]\((?!https?:)([^)]+)\)", page.read_text(encoding="utf-8"))
        assert [name for name in shown if not (page.parent / name).is_file()] == [], page.name
