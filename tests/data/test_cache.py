"""Published files come from the cache, whole or not at all."""

import gzip
import hashlib
import sys
from pathlib import Path

import pooch
import pytest

from gnnseq.data import cache


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A registry of one file, whose address is another folder's."""
    monkeypatch.setenv("GNNSEQ_DATA", str(tmp_path / "cache"))
    content = b"1,2,3\n"

    def download(url, output_file, _pooch):
        if url == "gone":
            raise OSError("no route")
        Path(output_file).write_bytes(content if url == "here" else content[:3])

    registry = pooch.create(path=tmp_path, base_url="", registry={})
    for name in ("here", "gone", "cut"):
        registry.registry[f"{name}.csv"] = "sha256:" + hashlib.sha256(content).hexdigest()
        registry.urls[f"{name}.csv"] = name
    monkeypatch.setattr(cache, "_registry", lambda: registry)
    monkeypatch.setattr(pooch.core, "choose_downloader", lambda *_, **__: download)
    return content


def test_a_file_is_downloaded_once_and_then_read(published, tmp_path, monkeypatch):
    path = cache.fetch("here.csv")
    assert path == tmp_path / "cache" / "here.csv"
    assert path.read_bytes() == published
    monkeypatch.setattr(pooch.core, "choose_downloader", None)
    assert cache.fetch("here.csv") == path


def test_a_changed_file_is_downloaded_again(published):
    path = cache.fetch("here.csv")
    path.write_bytes(b"something else")
    assert cache.fetch("here.csv").read_bytes() == published


def test_what_cannot_be_had_is_named(published, tmp_path):
    with pytest.raises(ConnectionError, match=r"not in .*cache, and gone cannot be had \(no route\).*GNNSEQ_DATA"):
        cache.fetch("gone.csv")
    with pytest.raises(ValueError, match=r"expected one of here\.csv, gone\.csv, cut\.csv"):
        cache.fetch("elsewhere.csv")


def test_a_packed_file_is_kept_and_hashed_unpacked(published, tmp_path, monkeypatch):
    packed, registry = gzip.compress(published), cache._registry()

    def download(url, output_file, _pooch):
        Path(output_file).write_bytes(packed if url == "here.gz" else packed[:-9])

    monkeypatch.setattr(pooch.core, "choose_downloader", lambda *_, **__: download)
    for name in ("here", "cut"):
        registry.urls[f"{name}.csv"] = f"{name}.gz"
    assert cache.fetch("here.csv").read_bytes() == published
    with pytest.raises(ConnectionError, match=r"cut\.gz cannot be had \(not gzipped, or cut off"):
        cache.fetch("cut.csv")


def test_a_cut_off_file_that_cannot_be_had_anew_is_named(published, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "gone.csv").write_bytes(published[:2])
    with pytest.raises(ConnectionError, match=r"another SHA-256 in .*cache, so cut off or changed, and gone cannot be"):
        cache.fetch("gone.csv")


def test_a_folder_that_is_none_or_cannot_be_written_is_named(published, tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(ValueError, match=r"GNNSEQ_DATA=.*cache: a file; expected a folder"):
        cache.fetch("here.csv")
    monkeypatch.setenv("GNNSEQ_DATA", str(tmp_path / "cache" / "inside"))
    with pytest.raises(
        ValueError, match=r"here\.csv: not in .*inside, and nothing can be written there \(.*GNNSEQ_DATA"
    ):
        cache.fetch("here.csv")


def test_home_is_found(monkeypatch):
    monkeypatch.setenv("GNNSEQ_DATA", "~/data")
    assert cache.folder() == Path.home() / "data"


def test_a_download_that_is_cut_off_leaves_nothing(published, tmp_path):
    with pytest.raises(ValueError, match=r"cut\.csv: cut has another SHA-256 than the file had .* Try again"):
        cache.fetch("cut.csv")
    assert list((tmp_path / "cache").rglob("*.csv")) == []


def test_every_published_file_has_a_checksum_and_an_address():
    registry = cache._registry()
    assert len(registry.registry) > 100
    assert all(value.startswith("sha256:") for value in registry.registry.values())
    assert all(registry.get_url(name).startswith("https://") for name in registry.registry)


def test_without_pooch_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    monkeypatch.delenv("GNNSEQ_DATA", raising=False)
    cache._registry.cache_clear()
    for needed in (cache.folder, cache.names, lambda: cache.fetch("text/tinyshakespeare.txt")):
        with pytest.raises(ImportError, match=r"pip install 'gnnseq\[experiments\]'"):
            needed()
