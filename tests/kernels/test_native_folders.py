"""Where compiled code is kept if the user's cache is no place for it, and that it is compiled once."""

import os
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from gnnseq.kernels.native import build, folders

pytestmark = pytest.mark.skipif(shutil.which("cc") is None or not hasattr(os, "fork"), reason="no C compiler")


@pytest.fixture(autouse=True)
def _places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Compiled hastily, in folders of the test's own."""
    monkeypatch.delenv("GNNSEQ_NATIVE", raising=False)
    monkeypatch.setattr(build, "FLAGS", ["-O0", "-fPIC"])
    monkeypatch.setattr(build, "CHOICES", [[]])
    monkeypatch.setattr(
        build, "SOURCES", [source for source in build.SOURCES if source.name[-1] == "h" or source.stem == "cells"]
    )
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    compiler = tmp_path / "counting"
    compiler.write_text(f'#!/bin/sh\ncase "$*" in *cells0.o*) echo >> {tmp_path}/count;; esac\nexec cc "$@"\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))


def built_in(tmp_path: Path) -> list[Path]:
    return sorted(path.parent.relative_to(tmp_path) for path in tmp_path.rglob("cells-*.so"))


def mount(options: str, folder: Path) -> None:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this user cannot mount")


@pytest.mark.parametrize("options", ["size=300k", "noexec", "ro"])
def test_a_cache_that_is_full_or_loads_nothing_leads_to_one_that_is_kept(options: str, tmp_path: Path) -> None:
    mount(options, tmp_path / "cache")
    try:
        assert build.library.__wrapped__() is not None
        assert build.library.__wrapped__() is not None
        assert built_in(tmp_path) == [Path(f"temporary/gnnseq-{os.getuid()}")]
        assert (tmp_path / "count").read_text().count("\n") == 2  # compiled, and linked, once
    finally:
        subprocess.run(["umount", str(tmp_path / "cache")], check=True)


def test_a_cache_without_room_by_a_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(folders, "ROOM", 1 << 30)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    try:
        assert build.library.__wrapped__() is None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not built_in(tmp_path)
    assert not any((tmp_path / "cache" / "gnnseq").iterdir())


def test_a_folder_among_temporary_files_that_is_another_users_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    (tmp_path / "elsewhere").mkdir()
    shared = tmp_path / "temporary" / f"gnnseq-{os.getuid()}"
    shared.symlink_to(tmp_path / "elsewhere")
    assert build.library.__wrapped__() is not None
    shared.unlink()
    shared.mkdir(mode=0o777)
    shared.chmod(0o777)
    assert build.library.__wrapped__() is not None
    assert not built_in(tmp_path)


def test_of_several_processes_that_start_at_once_one_compiles(tmp_path: Path) -> None:
    children = []
    for _ in range(8):
        child = os.fork()
        if child == 0:
            os._exit(0 if build.library.__wrapped__() is not None else 1)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 8
    assert built_in(tmp_path) == [Path("cache/gnnseq")]
    assert (tmp_path / "count").read_text().count("\n") == 2


def test_a_process_that_died_while_it_built_holds_up_nobody(tmp_path: Path) -> None:
    (tmp_path / "cache" / "gnnseq").mkdir(parents=True, mode=0o700)
    child = os.fork()
    if child == 0:
        with folders.one_at_a_time(tmp_path / "cache" / "gnnseq"):
            os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    assert build.library.__wrapped__() is not None
