"""What tests of studies share: figures of few dots."""

from collections.abc import Iterator

import pytest

from gnnseq import plots


@pytest.fixture(autouse=True, scope="session")
def _few_dots() -> Iterator[None]:
    """A figure is written as it always is, on a sixteenth of its dots, which are most of what drawing takes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(plots._RC, "savefig.dpi", 40)
        yield
