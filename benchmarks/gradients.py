"""How far back does the gradient reach? The norm of dL/dh_t at every step t of a palindrome of 100 digits.

    python benchmarks/gradients.py

RNN, LSTM and GRU, for each initialisation, before and after a short training; about two minutes on two cores. The
sequence is swept one digit at a time and the state handed on, so that the gradient of the loss can be read at every
state between. An LSTM has two: h_t, and the cell state c_t along which it remembers.

Ctrl-C is safe: finished runs are kept and the same command continues. Exit code 0: all runs finished; 2: an argument or
a file is wrong; 130: interrupted.
"""

import dataclasses
import functools
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator
from rich import box
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn.functional import cross_entropy

from gnnseq.data import Palindromes
from gnnseq.models import SequenceClassifier
from gnnseq.plots import COLORS, save_figure, style
from gnnseq.schedule import packed_paths
from harness import cli as command
from harness.figure_layout import legend, panels
from harness.sweep import one_thread, provenance, run_sweep, write_json
from studies.palindrome.fit import Run, fit, make_model

INITS = {"RNN": ("torch", "he", "orthogonal")} | dict.fromkeys(("LSTM", "GRU"), ("torch", "he", "orthogonal", "chrono"))
LOWEST = 1e-30  # of the gradients that are drawn
LOOKS = {"torch": "ink", "he": "vermillion", "orthogonal": "green", "chrono": "blue"}


@dataclass(frozen=True)
class Settings:
    """The norm of dL/dh_t over t, for every cell and initialisation, untrained and trained."""

    quick: bool = False
    """Short palindromes, little training, one seed: shows that the script works."""
    report_only: bool = False
    """Rebuild table and figure from the JSON, train nothing."""
    results: Path = Path(__file__).resolve().parent / "results" / "gradients"
    """Folder of JSON and figure; finished runs are kept in its subfolder cache/."""
    jobs: int = -1
    """Processes, one thread each; -1 means every core."""
    length: int | None = None
    """Digits of a palindrome; 100, or 30 with --quick, where not given."""
    seeds: int | None = None
    """Networks of each kind; 3, or 1 with --quick, where not given."""
    steps: int | None = None
    """Steps of training; 300, or 20 with --quick, where not given."""
    hidden: int = 64
    """Hidden channels."""
    batch: int = 64
    """Palindromes of a training step, and those the norm is averaged over."""
    learning_rate: float = 5e-3
    """Of Adam."""

    def runs(self) -> list[Run]:
        plain = {"length": 30, "seeds": 1, "steps": 20} if self.quick else {"length": 100, "seeds": 3, "steps": 300}
        given = {name: value for name, value in vars(self).items() if name in plain and value is not None}
        length, seeds, steps = {**plain, **given}.values()
        return [
            Run(
                cell, length, seed, init=init, hidden=self.hidden, batch=self.batch, steps=steps,
                optimizer="adam", learning_rate=self.learning_rate, clip=1.0, evaluate_every=steps,
            )
            for cell, inits in INITS.items() for init in inits for seed in range(seeds)
        ]  # fmt: skip


def state_gradients(model: SequenceClassifier, x: Tensor, target: Tensor) -> dict[str, list[float]]:
    """Norms of the gradients of the loss in the states after each digit.

    Args:
        x: [T, B, F]
        target: [B]

    Returns:
        "h" and, for an LSTM, "c": for t = 1 ... T the mean over the B sequences of |dL_b/dh_{t,b}|. The last cell state
        is read by nothing but h_T, which counts as a variable of its own: its gradient is 0.
    """
    one_step = packed_paths([1] * x.size(1))
    states: list[tuple[Tensor, ...]] = []
    state: Any = None
    for digit in x:
        _, state = model.layer(digit, one_step, state)
        states.append(state if isinstance(state, tuple) else (state,))  # each [1, B, H]
    loss = cross_entropy(model.readout(states[-1][0][0]), target, reduction="sum")
    names = ("h", "c")[: len(states[0])]
    gradients = torch.autograd.grad(loss, [part for parts in states for part in parts], allow_unused=True)
    norms = [0.0 if gradient is None else gradient[0].norm(dim=1).mean().item() for gradient in gradients]
    return {name: norms[index :: len(names)] for index, name in enumerate(names)}


def measure(run: Run) -> dict[str, Any]:
    """Gradients of a fresh network, then of the trained one, on the same test palindromes, in float64."""
    x, target = Palindromes(run.length, run.encoding, run.seed, "test").sample(run.batch)
    model = make_model(run)
    untrained = state_gradients(model.double(), x.double(), target)  # float32 would underflow below 1e-45
    trained = fit(run, model.float())
    return {
        "untrained": untrained,
        "trained": state_gradients(model.double(), x.double(), target),
        "test_accuracy": trained["test_accuracy"],
    }


def seconds_at_most(run: Run) -> float:
    return 1e-3 * _milliseconds(dataclasses.replace(run, seed=0, init="torch", steps=10, test_on=1)) * run.steps


@functools.lru_cache
def _milliseconds(run: Run) -> float:
    with one_thread():
        return float(fit(run)["milliseconds"])


def curves(result: dict[str, Any], cell: str, init: str, when: str, state: str) -> np.ndarray:
    """Norms [seeds, T]."""
    wanted = [run for run in result["runs"] if (run["settings"]["model"], run["settings"]["init"]) == (cell, init)]
    return np.array([run["result"][when][state] for run in wanted])


def print_report(result: dict[str, Any], console: Console) -> None:
    settings = result["runs"][0]["settings"]
    table = Table(
        title=f"Gradient at the first of {settings['length']} digits, relative to the last",
        caption="Geometric mean over seeds of |dL/dh_1| / |dL/dh_T|, and of |dL/dc_1| / |dL/dh_T| for an LSTM.\n"
        f"Trained: {settings['steps']} steps on palindromes; accuracy is of that network, chance is 10 %.",
        box=box.SIMPLE_HEAD, title_style="bold", caption_justify="left",
    )  # fmt: skip
    for heading in ("cell", "init"):
        table.add_column(heading, no_wrap=True)
    for heading in ("untrained h", "c", "trained h", "c", "accuracy %"):
        table.add_column(heading, justify="right", no_wrap=True)
    for cell, inits in INITS.items():
        for init in inits:
            scores = [
                run["result"]["test_accuracy"]
                for run in result["runs"]
                if (run["settings"]["model"], run["settings"]["init"]) == (cell, init)
            ]
            ratios = [
                _ratio(result, cell, init, when, state) if state == "h" or cell == "LSTM" else ""
                for when in ("untrained", "trained")
                for state in ("h", "c")
            ]
            spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
            accuracy = f"{100 * statistics.fmean(scores):.1f} ± {100 * spread:.1f}"
            table.add_row(cell if init == inits[0] else "", init, *ratios, accuracy)
        table.add_section()
    console.print()
    console.print(table)


def _ratio(result: dict[str, Any], cell: str, init: str, when: str, state: str) -> str:
    first = curves(result, cell, init, when, state)[:, 0]
    last = curves(result, cell, init, when, "h")[:, -1]
    with np.errstate(divide="ignore"):
        return f"{np.exp(np.log(first / last).mean()):.0e}"


def draw(result: dict[str, Any]) -> Figure:
    """A column a cell; untrained above, trained below; a colour an initialisation."""
    settings = result["runs"][0]["settings"]
    steps = np.arange(1, settings["length"])
    seeds = len(result["runs"]) // sum(map(len, INITS.values()))
    figure, axes = panels(
        2,
        len(INITS),
        "How far back does the gradient reach?",
        f"Geometric mean and range over {seeds} seeds. Palindromes of {settings['length']} digits, one-hot; "
        f"{settings['hidden']} hidden channels.\nTrained: {settings['steps']} steps of Adam at "
        f"{settings['learning_rate']:g}. Nothing below {LOWEST:g} is drawn.",
    )
    for row, when in enumerate(("untrained", "trained")):
        for column, (cell, inits) in enumerate(INITS.items()):
            panel = axes[row, column]
            for init in inits:
                for state, dashes in (("h", "-"), ("c", "--"))[: 2 if cell == "LSTM" else 1]:
                    norms = np.maximum(curves(result, cell, init, when, state), 1e-300)
                    shown = slice(None) if state == "h" else slice(-1)  # nothing but h reads the last cell state
                    mean = np.exp(np.log(norms).mean(0))
                    panel.semilogy(steps[shown], mean[shown], color=COLORS[LOOKS[init]], ls=dashes)
                    if state == "h":
                        panel.fill_between(
                            steps, norms.min(0), norms.max(0), color=COLORS[LOOKS[init]], alpha=0.15, lw=0
                        )
            panel.set_title(f"{cell}, {when}")
    for panel in axes[1]:
        panel.set_xlabel("digit t")
    for panel in axes[:, 0]:
        panel.set_ylabel(r"$\|\partial L/\partial h_t\|$")
    highest = max(panel.get_ylim()[1] for panel in axes.flat)
    for panel in axes[:, 0]:
        panel.set_ylim(LOWEST, highest)
        panel.yaxis.set_major_locator(LogLocator(base=1e5))
        panel.yaxis.set_minor_locator(NullLocator())
    axes[0, 0].set(xlim=(1, settings["length"] - 1))
    handles = [Line2D([], [], color=COLORS[color], label=init) for init, color in LOOKS.items()]
    handles += [Line2D([], [], color=COLORS["ink"], ls="--", lw=1.6, label="LSTM cell state, dL/dc")]
    legend(figure, handles=handles, ncols=len(handles))
    return figure


def figures(result: dict[str, Any], stem: Path) -> tuple[Path, ...]:
    with style():
        figure = draw(result)
    return save_figure(figure, stem)


def main(settings: Settings) -> int:
    console = Console()
    path = settings.results / ("quick.json" if settings.quick else "gradients.json")
    if not settings.report_only:
        records = run_sweep(
            measure, settings.runs(), settings.results / "cache", settings.jobs, seconds_at_most, console=console
        )
        for record in records:
            for when in ("untrained", "trained"):
                record["result"][when] = {
                    name: [float(f"{norm:.4g}") for norm in norms] for name, norms in record["result"][when].items()
                }
        write_json(path, {"experiment": "gradients", "provenance": provenance(), "runs": records}, indent=None)
    command.report(path, print_report, figures, console)
    return 0


if __name__ == "__main__":
    command.run(main, Settings)
