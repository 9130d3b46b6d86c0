"""What is compiled, called and kept; without a compiler the same layers run."""

import functools
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch

from gnnseq import synchronous
from gnnseq.kernels.native import build, compiled, runs_compiled
from gnnseq.kernels.native.functions import part_of
from gnnseq.layers import LSTM
from gnnseq.schedule import packed_paths


@pytest.fixture(autouse=True)
def _allowed(monkeypatch):
    """Also if the other tests are run without."""
    monkeypatch.delenv("GNNSEQ_NATIVE", raising=False)


@pytest.fixture
def _hastily(monkeypatch):
    """Compiled without optimisation, where only what becomes of the file matters."""
    monkeypatch.setattr(build, "FLAGS", ["-O0", "-fPIC"])


@pytest.mark.usefixtures("compiled")
def test_activations_at_their_ends():
    """Saturated, tiny, infinite, and not a number."""
    sums = torch.tensor([0.0, 1e-7, -1e-3, 0.4, -5.0, 20.0, -80.0, 200.0, float("inf"), -float("inf"), float("nan")])
    sums = torch.cat([sums, torch.linspace(-12, 12, 3001)]).unsqueeze(0)
    width = sums.size(1)
    gates, c_before = sums.repeat(1, 4), torch.ones(1, width)
    c, tanh_c, h = torch.empty(3, 1, width).unbind()
    compiled("lstm_forward")(torch.get_num_threads(), 1, width, gates, c_before, c, tanh_c, h)
    i, f, g, o = gates.chunk(4, dim=1)
    exact = sums.double()
    for gate in (f, i, o):
        torch.testing.assert_close(gate.double(), exact.sigmoid(), rtol=1e-6, atol=1e-37, equal_nan=True)
    torch.testing.assert_close(g.double(), exact.tanh(), rtol=1e-6, atol=0, equal_nan=True)
    assert torch.cat([g, tanh_c], dim=1).nan_to_num().abs().max() <= 1.0
    torch.testing.assert_close(c, f + i * g, equal_nan=True)
    torch.testing.assert_close(tanh_c, c.tanh(), equal_nan=True)
    torch.testing.assert_close(h, o * tanh_c, equal_nan=True)


@pytest.mark.parametrize("environment", [{"GNNSEQ_NATIVE": "0"}, {"CC": "false"}, {"CC": "no-such-compiler"}])
def test_without_a_compiler(environment, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(build, "library", build.library.__wrapped__)
    assert not runs_compiled(torch.zeros(1), 1 << 30)
    LSTM(4, 64)(torch.randn(1000, 4), packed_paths([100] * 10))[0].sum().backward()


@pytest.mark.usefixtures("_hastily")
def test_a_compiler_may_have_arguments(monkeypatch):
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    monkeypatch.setenv("CC", "cc -O1")
    assert build.library.__wrapped__() is not None
    monkeypatch.setenv("CC", "'cc")
    assert build.library.__wrapped__() is None


@pytest.mark.usefixtures("_hastily")
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_what_was_compiled_is_kept_for_the_next_process(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert build.library.__wrapped__() is not None
    (kept,) = (tmp_path / "gnnseq").iterdir()
    inode = kept.stat().st_ino
    assert build.library.__wrapped__() is not None
    assert kept.stat().st_ino == inode
    monkeypatch.setenv("CC", "cc -DOTHER")
    assert build.library.__wrapped__() is not None
    assert len(list((tmp_path / "gnnseq").iterdir())) == 2


@pytest.mark.usefixtures("_hastily")
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_a_library_that_is_cut_off_is_compiled_anew(share, monkeypatch, tmp_path):
    """Loading one that was cut off would end the process; what is loaded already is left as it is."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert build.library.__wrapped__() is not None
    (kept,) = (tmp_path / "gnnseq").iterdir()
    whole = kept.read_bytes()
    kept.unlink()
    kept.write_bytes(whole[: int(share * len(whole))])
    assert build.library.__wrapped__() is not None
    (again,) = (tmp_path / "gnnseq").iterdir()
    assert again.stat().st_size >= len(whole)


@pytest.mark.usefixtures("_hastily")
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_a_folder_that_others_can_write_to_is_not_trusted(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "gnnseq").mkdir()
    (tmp_path / "gnnseq").chmod(0o777)
    assert build.library.__wrapped__() is not None
    assert not any((tmp_path / "gnnseq").iterdir())


@pytest.mark.usefixtures("_hastily")
def test_no_home(monkeypatch):
    """As in a container whose user has no name."""

    def fail(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", fail)
    assert (build.library.__wrapped__() is None) == (shutil.which("cc") is None)


def test_nowhere_to_write(monkeypatch, tmp_path):
    (tmp_path / "a file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a file"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    assert build.library.__wrapped__() is None


def test_a_compiler_that_hangs_is_waited_for_once(monkeypatch):
    tries = []

    def hang(command, **options):
        tries.append(command)
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(subprocess, "run", hang)
    monkeypatch.setenv("CC", sys.executable)
    assert build.library.__wrapped__() is None
    assert len(tries) == 1


@pytest.mark.parametrize("like", [torch.zeros(1).double(), torch.zeros(1, device="meta")])
def test_other_types_and_devices_have_none(like):
    assert not runs_compiled(like, 1 << 30)


def test_each_function_is_found_in_its_file():
    """And a sweep over paths needs one file alone, which is what the first one waits for."""
    functions = re.compile(r"^(?:int|void|ptrdiff_t) (\w+)\(", re.MULTILINE)
    sources = [source for source in build.SOURCES if source.suffix == ".c"]
    found = {name: source.stem for source in sources for name in functions.findall(source.read_text())}
    assert set(found.values()) == {source.stem for source in sources}
    assert {name: part_of(name) for name in found} == found


@pytest.mark.usefixtures("_hastily")
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_files_are_compiled_when_they_are_wanted(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    library = functools.cache(build.library.__wrapped__)
    monkeypatch.setattr(build, "library", library)
    layer, x = LSTM(4, 64), torch.randn(1000, 4)
    layer(x, packed_paths([100] * 10))[0].sum().backward()
    assert [kept.name.split("-")[0] for kept in (tmp_path / "gnnseq").iterdir()] == ["paths"]
    layer(x, synchronous(torch.tensor([[0], [1]]), 1000))[0].sum().backward()
    assert sorted(kept.name.split("-")[0] for kept in (tmp_path / "gnnseq").iterdir()) == ["paths", "trees"]
