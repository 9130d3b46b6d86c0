"""Results survive interruption: files are whole or absent, finished runs are kept, cut-off ones are done again."""

import dataclasses
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from rich.console import Console

from harness.files import UnreadableResultError, cached_while_unchanged, read_json, write_json
from harness.provenance import provenance
from harness.sweep import one_thread, run_sweep
from places import BENCHMARKS


@dataclasses.dataclass(frozen=True)
class Power:
    base: int
    exponents: tuple[int, ...] = (1, 2)


ENVIRONMENT = os.environ | {"PYTHONPATH": str(BENCHMARKS)}
POWERS = [Power(3), Power(1), Power(2)]


def powers(settings):
    return [settings.base**exponent for exponent in settings.exponents]


def powers_and_threads(settings):
    return [*powers(settings), torch.get_num_threads()]


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=400)


def said(console):
    return console.file.getvalue()


def test_provenance_names_versions_hardware_and_command_as_json():
    found = json.loads(json.dumps(provenance()))
    assert found["versions"]["torch"] == torch.__version__
    assert found["cores"] >= 1
    assert found["cpu"]
    assert not found["command"].split()[1].startswith("/")  # the maker's folders are nobody's business


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "result.json"
    write_json(path, {"loss": 1.0})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"loss": float("nan")})
    with pytest.raises(TypeError):
        write_json(path, {"loss": torch.tensor(1.0)})
    assert read_json(path) == {"loss": 1.0}
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_cut_off_midway_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "result.json"
    write_json(path, 1)

    def cut(descriptor):
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", cut)
    with pytest.raises(OSError, match="no space"):
        write_json(path, 2)
    assert read_json(path) == 1
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b'{"loss": [0.5, 0.', b"\xff\xfe\x00"])
def test_a_cut_off_file_is_named_with_the_remedy(tmp_path, content):
    path = tmp_path / "result.json"
    path.write_bytes(content)
    with pytest.raises(UnreadableResultError, match=r"result\.json: \d+ bytes that are not complete .*; delete it"):
        read_json(path)


@pytest.mark.parametrize("jobs", [1, 2])
def test_records_come_in_the_order_of_the_settings_and_every_run_has_one_thread(tmp_path, console, jobs):
    records = run_sweep(
        powers_and_threads, POWERS, tmp_path, jobs=jobs, seconds=lambda power: power.base, console=console
    )
    assert [record["result"] for record in records] == [[3, 9, 1], [1, 1, 1], [2, 4, 1]]
    assert [record["settings"] for record in records] == [{"base": b, "exponents": [1, 2]} for b in (3, 1, 2)]
    assert len(list(tmp_path.glob("*.json"))) == 3


def test_one_thread_gives_the_threads_back():
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_an_interrupted_sweep_continues_where_it_stopped(tmp_path, console):
    done = []

    def interrupted(settings):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(settings)
        return powers(settings)

    with pytest.raises(KeyboardInterrupt):
        run_sweep(interrupted, POWERS, tmp_path, jobs=1, console=console)
    assert len(list(tmp_path.glob("*.json"))) == 2

    def rest(settings):
        done.append(settings)
        return powers(settings)

    records = run_sweep(rest, POWERS, tmp_path, jobs=1, console=console)
    assert done == POWERS  # each exactly once
    assert [record["result"] for record in records] == [[3, 9], [1, 1], [2, 4]]
    assert "2 of 3 runs were finished before" in said(console)


def test_a_run_that_fails_stops_the_sweep_and_keeps_the_others(tmp_path, console):
    def fails(settings):
        if settings.base == 2:
            raise RuntimeError("diverged")
        return powers(settings)

    with pytest.raises(RuntimeError, match="diverged"):
        run_sweep(fails, POWERS, tmp_path, jobs=1, console=console)
    assert len(list(tmp_path.glob("*.json"))) == 2


def test_a_cut_off_run_is_reported_and_done_again(tmp_path, console):
    run_sweep(powers, POWERS, tmp_path, jobs=1, console=console)
    (victim,) = [path for path in tmp_path.glob("*.json") if read_json(path)["settings"]["base"] == 1]
    victim.write_text(victim.read_text()[:-20])
    records = run_sweep(powers, POWERS, tmp_path, jobs=1, console=console)
    assert records[1]["result"] == [1, 1] == read_json(victim)["result"]
    assert f"{victim} was cut off; this run is done again" in said(console)


def test_a_file_with_other_settings_is_not_taken_for_the_run(tmp_path, console):
    run_sweep(powers, POWERS[:1], tmp_path, jobs=1, console=console)
    (path,) = tmp_path.glob("*.json")
    write_json(path, read_json(path) | {"settings": {"base": 7, "exponents": [1]}, "result": [7]})
    assert run_sweep(powers, POWERS[:1], tmp_path, jobs=1, console=console)[0]["result"] == [3, 9]
    assert f"{path} is another run's" in said(console)


def test_expensive_runs_start_first(tmp_path, console):
    started = []
    run_sweep(lambda s: started.append(s.base), POWERS, tmp_path, jobs=1, seconds=lambda s: s.base, console=console)
    assert started == [3, 2, 1]


def test_the_sweep_says_how_long_it_will_take(tmp_path, console):
    run_sweep(powers, POWERS, tmp_path, jobs=1, seconds=lambda power: 60.0 * power.base, console=console)
    assert "3 runs to do, at most about 6.0 minutes on 1 cores" in said(console)


def test_equal_settings_are_refused(tmp_path, console):
    with pytest.raises(ValueError, match=r"Power\(base=1.*occurs twice"):
        run_sweep(powers, [Power(1), Power(1)], tmp_path, console=console)


def test_a_killed_sweep_leaves_no_workers(tmp_path):
    """Its parent can tell nobody; workers see that it is gone, whatever they do."""
    script = tmp_path / "killed.py"
    script.write_text(
        "import os, time\nfrom harness.orphans import end_with\nparent = os.getpid()\n"
        "if os.fork() == 0:\n    end_with(parent, 0.02)\n    print(os.getpid(), flush=True)\n    time.sleep(60)\n"
        "time.sleep(60)\n"
    )
    command = [sys.executable, script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as process:
        worker = int(process.stdout.readline())
        process.kill()
    until = time.monotonic() + 10
    while time.monotonic() < until and Path(f"/proc/{worker}").exists():
        if Path(f"/proc/{worker}/stat").read_text().split(") ")[1].startswith("Z"):
            break
        time.sleep(0.02)
    else:
        assert not Path(f"/proc/{worker}").exists()


def test_what_is_made_of_files_is_made_anew_when_one_changes(tmp_path, monkeypatch):
    @dataclasses.dataclass(frozen=True)
    class Place:
        path: Path

    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        path.write_text("old")
    seen = []

    @cached_while_unchanged(2)
    def joined(text, *, several, place):
        seen.append(text)
        return "".join(Path(path).read_text() for path in (text, *several, place.path))

    def asked():
        return joined(str(paths[0]), several=(paths[1],), place=Place(paths[2]))

    assert asked() == asked() == "oldoldold"
    for number, path in enumerate(paths):
        path.write_text("new")
        assert asked().count("new") == number + 1
    monkeypatch.setenv("GNNSEQ_DATA", str(tmp_path))  # another folder of published files
    asked()
    assert len(seen) == 5
