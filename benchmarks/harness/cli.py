"""Command lines of the scripts: settings in, a study run, an exit code out; torch is imported once they are right."""

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import ClassVar, Literal, NoReturn, TypeVar

import tyro

from harness.files import expect_result, write_json

__all__ = [
    "EVIDENCE",
    "DeviceSettings",
    "ProcessSettings",
    "StudySettings",
    "SweepSettings",
    "publish",
    "run",
    "run_study",
]

Settings = TypeVar("Settings")

EVIDENCE = Path(__file__).resolve().parents[1] / "results"  # committed: README and docs quote them


@dataclass(frozen=True)
class StudySettings:
    """What every study's command line has."""

    study: ClassVar[str]  # names its folder in studies/, its script and its folder of results
    least: ClassVar[dict[str, int]] = {}  # of the options that are numbers, or several

    quick: bool = False
    """The form that CI runs: seconds, on little; its numbers mean nothing."""
    report_only: bool = False
    """Rebuild tables and figures from the JSON, run nothing. Without results of yours, the committed ones are read."""
    record: bool = False
    """Write the committed evidence in benchmarks/results/, in place of a folder of yours."""
    json: bool = False
    """Print the result as JSON in place of tables and figures."""
    results: Path | None = None
    """Folder of JSON and figures; results/ under the working directory, and in it the study's own, where not given."""

    def __post_init__(self) -> None:
        if self.record and self.quick:
            raise ValueError("--record and --quick: a quick form's numbers mean nothing; choose one")
        for name, least in self.least.items():
            given = getattr(self, name)
            numbers = given if isinstance(given, tuple) else () if given is None else (given,)
            if any(number < least for number in numbers):
                raise ValueError(f"--{name.replace('_', '-')} {given}: expected {least} or more")

    @property
    def name(self) -> str:
        """What the results are called."""
        return "quick" if self.quick else self.study

    @property
    def folder(self) -> Path:
        """Where results are written; finished runs are kept in its subfolder cache/."""
        if self.record and self.results is not None:
            raise ValueError(f"--record and --results {self.results}: --record names a folder itself; choose one")
        if self.record:
            return EVIDENCE / self.study
        return Path("results", self.study) if self.results is None else self.results

    @property
    def path(self) -> Path:
        """The result's JSON, as it is written."""
        return self.folder / f"{self.name}.json"

    @property
    def source(self) -> Path:
        """The JSON that a report is made of: one's own, else, where no folder was named, the committed one."""
        committed = EVIDENCE / self.study / self.path.name
        return committed if self.results is None and not self.path.exists() and committed.exists() else self.path


@dataclass(frozen=True)
class DeviceSettings(StudySettings):
    """What the command line of a study has whose trainings several processes can share."""

    machines_option: ClassVar[str]  # which option says how many machines there are

    devices: int = 1
    """Processes on each machine that share every batch of a training; the numbers are one process's, but for rounding.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("devices", self.machines_option):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name} {getattr(self, name)}: expected 1 or more")
        if self.processes > 1 and getattr(self, "backend", "loky") != "loky":
            machines = f"--{self.machines_option} {getattr(self, self.machines_option)}"
            raise ValueError(f"--devices {self.devices} {machines}: a training by several processes is not sent to a "
                             "cluster; leave out --backend")  # fmt: skip

    @property
    def processes(self) -> int:
        """How many there are."""
        return self.devices * int(getattr(self, self.machines_option))


@dataclass(frozen=True)
class ProcessSettings(DeviceSettings):
    """:class:`DeviceSettings` whose machines are called nodes, as torchrun and Slurm call them."""

    machines_option = "nodes"

    nodes: int = 1
    """Machines: the command is started on each with MASTER_ADDR, MASTER_PORT and NODE_RANK, or by torchrun or Slurm."""


@dataclass(frozen=True)
class SweepSettings(StudySettings):
    """What the command line of a study has whose runs go side by side."""

    jobs: int = -1
    """Processes, one thread each; -1 means every core, or all that a cluster has."""
    backend: Literal["loky", "dask", "ray"] = "loky"
    """Who does the runs: loky, processes of this machine; dask or ray, a cluster's workers (extras of these names)."""
    cluster: str | None = None
    """A running cluster: tcp://HOST:8786 or a scheduler file of Dask's; auto, HOST:6379 or ray://HOST:10001 of Ray's.
    Without it --backend dask and --backend ray start one on this machine, and stop it at the end."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.jobs == 0:
            raise ValueError("--jobs 0: expected a number of processes, or -1 for one a core")
        if self.cluster is not None and self.backend == "loky":
            raise ValueError(f"--cluster {self.cluster}: expected --backend dask or --backend ray with it")


def run(main: Callable[[Settings], int], settings: type[Settings], command: str | None = None) -> NoReturn:
    """Call ``main`` with the settings that the command line gives, and end with an exit code.

    0: done, or whoever reads the output has had enough, as ``head`` does; 1: a claim does not hold, as ``main`` says;
    2: an argument or a file is wrong, and stderr says which; 130: interrupted. ``command`` is the script's first
    argument, if the settings are those of one of its commands.
    """
    config = (tyro.conf.FlagCreatePairsOff, tyro.conf.DisallowNone)
    script = Path(sys.argv[0]).name
    prog, args = (f"{script} {command}", sys.argv[2:]) if command else (script, sys.argv[1:])
    try:
        sys.exit(main(tyro.cli(settings, prog=prog, args=args, config=config)))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is not written yet goes there
        sys.exit(0)
    except (ImportError, OSError, ValueError) as error:
        if isinstance(error.__cause__ or error.__context__, KeyboardInterrupt):  # as some modules say while imported
            _interrupted()
        print(f"{script}: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        _interrupted()


def _interrupted() -> NoReturn:
    print("\ninterrupted; the same command continues from the finished runs in cache/, if any", file=sys.stderr)
    sys.exit(130)


def run_study(settings: type[StudySettings]) -> NoReturn:
    """:func:`run` a study: its ``study.run(settings, console)`` makes the result, its ``report`` shows it."""
    run(publish, settings)


def publish(settings: StudySettings) -> int:
    """Run the study that the settings are of, unless only a report is asked for, and show the result."""
    target = settings.path  # settings that contradict one another are found before torch is imported
    if settings.report_only:
        expect_result(settings.source)  # nor is it for a report of nothing
    tools, report = "harness.report", f"studies.{settings.study}.report"
    if not settings.report_only:
        with ExitStack() as running:
            if isinstance(settings, SweepSettings):
                running.enter_context(_backend(settings))
            first = running.enter_context(_processes(settings))
            console = import_module(tools).console(stderr=settings.json, quiet=not first)
            result = import_module(f"studies.{settings.study}.study").run(settings, console)
            if not first:
                sys.exit(0)
        target = settings.path  # again: another run may have taken the name meanwhile
        write_json(target, result)
    source = settings.source if settings.report_only else target
    show, of = import_module(tools), import_module(report)
    console = show.console(stderr=settings.json)  # stdout is then the JSON's alone
    return int(show.show_json(source, of) if settings.json else show.show(source, target, of, console))


def _backend(settings: SweepSettings) -> AbstractContextManager[None]:
    if settings.backend == "loky":
        return nullcontext()
    made: AbstractContextManager[None] = import_module("harness.engines").sweep_on(settings.backend, settings.cluster)
    return made


def _processes(settings: StudySettings) -> AbstractContextManager[bool]:
    if not isinstance(settings, DeviceSettings):
        return nullcontext(True)
    option = settings.machines_option
    counts = settings.devices, getattr(settings, option)
    made: AbstractContextManager[bool] = import_module("harness.processes").together(*counts, f"--{option}")
    return made
