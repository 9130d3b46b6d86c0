"""Character language models: trained on any text, asked for more of it.

    python benchmarks/char_lm.py                                 Python's own help texts, no network: two minutes
    python benchmarks/char_lm.py --corpus tinyshakespeare        downloaded once; GNNSEQ_DATA names a folder that has it
    python benchmarks/char_lm.py --corpus southpark --preset report    the report's settings: an hour
    python benchmarks/char_lm.py --corpus my_novel.txt --resume  your text, from the last checkpoint if there is one
    python benchmarks/char_lm.py --train a.txt --valid b.txt --test c.txt      your texts, split as they are
    python benchmarks/char_lm.py sample CHECKPOINT --prompt "To be" --temperature 0.5

Tables, curves and samples come from the JSON that a training writes. Every run has one thread, so two seeds run side by
side on two cores; `--devices 2` shares each step of one training among two processes. Ctrl-C and SIGTERM save after the
step being done; the same command with --resume goes on to the same numbers.

Exit code 0: done; 1: training is behind the log of the report; 2: a setting or a file is wrong, or the disk is full;
130 and 143: stopped by Ctrl-C and SIGTERM.
"""

import dataclasses
import shlex
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import tyro

from harness.cli import ProcessSettings, SweepSettings, publish, run
from harness.files import fitting, name_of, read_json
from studies.char_lm.interruption import Stopped
from studies.char_lm.runs import PRESETS, QUICK, LanguageTraining


@dataclass(frozen=True)
class Settings(SweepSettings, ProcessSettings):
    """Trains a character language model; `char_lm.py sample CHECKPOINT` lets it write.

    The settings from --kind on are the preset's unless they are given.
    """

    study = "char_lm"
    least = {"embedding": 0} | dict.fromkeys(
        ("hidden", "expansion", "layers", "streams", "warm_up", "save_every", "devices", "nodes"), 1
    )

    corpus: str = "pydoc"  # pydoc, tinyshakespeare, southpark, or a UTF-8 file or folder.
    train: Path | None = None  # In place of --corpus, text to learn from as it is, with --valid and --test.
    valid: Path | None = None  # Held out: the weights that are best on it are kept.
    test: Path | None = None  # Held out: scored once, at the end.
    preset: Literal["report", "fast", "best", "scan"] = "fast"
    """report: two LSTMs of 128, an hour; fast: an LSTM in two minutes; best: one in a quarter of an hour; scan:
    MinGRU in residual blocks in as long with AVX-512; each on one core."""
    seeds: tuple[int, ...] = (0,)  # One run each.
    resume: bool = False  # Go on from the last checkpoint of an unfinished run; without it such a run begins anew.
    together: bool = False
    """With --report-only: all presets that the corpus has results of, in tables and figures named after the corpus."""
    save_every: int = 1000  # Steps between checkpoints.

    kind: Literal["LSTM", "GRU", "RNN", "MinGRU", "MinLSTM"] | None = None  # Recurrent layers.
    residual: bool | None = None
    """Each layer in a residual block that is told its last input too, in place of one upon another."""
    hidden: int | None = None  # Their channels.
    expansion: int | None = None  # Channels of the state of a layer in a block, as a multiple of --hidden.
    layers: int | None = None  # How many.
    embedding: int | None = None  # Channels of a learnt embedding; 0 for one-hot characters.
    dropout: float | None = None  # After every layer.
    init: Literal["torch", "he", "orthogonal"] | None = None  # Initialisation of recurrent layers.
    window: int | None = None  # Characters that gradients flow back through.
    batch: int | None = None  # Windows a step.
    streams: int | None = None  # Stretches of the text that take turns in batches, each with a state of its own.
    shifted: bool | None = None  # These are cut elsewhere at every pass through the text.
    random_windows: bool | None = None
    """Windows from anywhere, each from a zero state, in place of streams that carry it on."""
    steps: int | None = None  # Of training.
    learning_rate: float | None = None  # Adam's.
    weight_decay: float | None = None  # AdamW's, of all kernels but an embedding's.
    schedule: Literal["decay", "cosine"] | None = None
    """decay: times 0.96 every 5,000 steps; cosine: down to a hundredth at the end."""
    warm_up: int | None = None  # Steps in which cosine's rate rises, at most a tenth of all.
    clip: float | None = None  # Largest norm of the gradient.
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] | None = None
    """Mixed precision is for readout, embedding and what an LSTM, GRU or RNN multiplies; states stay in 32 bits."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"--seeds: got {self.seeds}; expected different numbers, at least one")
        if len(self.seeds) > 1 and (self.devices, self.nodes) != (1, 1):
            several = f"--devices {self.devices} --nodes {self.nodes}"
            raise ValueError(f"{several}: expected a single seed with more than one")
        given = {f"--{name}": getattr(self, name) for name in ("train", "valid", "test")}
        missing = [name for name, path in given.items() if path is None]
        if 0 < len(missing) < len(given):
            raise ValueError(f"{' and '.join(missing)}: expected all three of {', '.join(given)}, or --corpus alone, "
                             "which is split by position")  # fmt: skip
        if not missing and self.corpus != "pydoc":
            raise ValueError(f"--corpus {self.corpus} and --train {self.train}: choose one text, or three")
        if not missing and len({path.resolve() for path in self.texts}) < len(given):
            raise ValueError(f"{', '.join(f'{name} {path}' for name, path in given.items())}: expected three texts, of "
                             "which none is another")  # fmt: skip
        if self.together and self.json:
            raise ValueError("--together and --json: several results are no one JSON; choose one")
        if self.together and not self.report_only:
            raise ValueError("--together: expected it with --report-only, once every preset has been trained")

    def training(self, seed: int) -> LanguageTraining:
        """The settings of a seed's training."""
        quick = QUICK if self.quick else {}
        return dataclasses.replace(PRESETS[self.preset], **{**quick, **self.changes(), "seed": seed})

    def changes(self) -> dict[str, Any]:
        """What differs from the preset."""
        names = {field.name for field in dataclasses.fields(LanguageTraining)}
        return {name: value for name, value in vars(self).items() if name in names and value is not None}

    @property
    def texts(self) -> tuple[Path, ...]:
        """Training, validation and test, if they were given."""
        return tuple(path for path in (self.train, self.valid, self.test) if path is not None)

    @property
    def stem(self) -> str:
        """What the text is called: three texts by the first and a digest of where they are, as no corpus is."""
        return name_of(self.texts) if self.texts else fitting(Path(self.corpus).stem)

    @property
    def kept_as(self) -> str:
        """The preset's name; a changed training must not overwrite the preset's results."""
        return "quick" if self.quick else "custom" if self.changes() else self.preset

    @property
    def name(self) -> str:
        """What the results are called."""
        return self.stem if self.together else f"{self.stem}-{self.kept_as}"


@dataclass(frozen=True)
class SampleSettings:
    """Writes text with a trained model, each character as soon as it is drawn."""

    checkpoint: tyro.conf.Positional[Path]  # A best.ckpt or last.ckpt of a training.
    prompt: str = ""  # What to go on from; without one the first character is drawn uniformly.
    temperature: float = 0.7  # Logits are divided by it; 0 takes the likeliest character.
    length: int = 500  # Characters to write.
    top_k: int | None = None  # Draw from so many of the likeliest.
    nucleus: float | None = None  # Draw from the likeliest that together have this probability.
    beams: int = 0  # Search for the likeliest texts with so many beams, in place of drawing; needs a prompt.
    seed: int | None = None  # The same one gives the same text; without one, texts differ.


def main(settings: Settings) -> int:
    """Train or report, and say what can be done next; the exit code."""
    for seed in settings.seeds:
        settings.training(seed)  # what is out of range is found before torch is imported
    if settings.together:
        presets: Any = PRESETS
        sources = [dataclasses.replace(settings, preset=preset, together=False).source for preset in presets]
        return int(import_module("studies.char_lm.report").show_together(sources, settings.path))
    try:
        code = publish(settings)
    except (Stopped, KeyboardInterrupt) as error:
        how = error if isinstance(error, Stopped) else "interrupted; checkpoints are kept"
        print(f"\nchar_lm.py: {how}; to go on: {_again()}", file=sys.stderr)
        return 128 + error.number if isinstance(error, Stopped) else 130
    except ChildProcessError as error:  # a process that trained with this one
        print(f"\nchar_lm.py: {error}; to go on: {_again()}", file=sys.stderr)
        return 2
    best = settings.folder / read_json(settings.source)["checkpoints"][0]
    if best.exists() and not settings.json:
        print(f"more: python benchmarks/char_lm.py sample {best}")
    return code


def _again() -> str:
    return shlex.join(["python", *(each for each in sys.argv if each != "--resume"), "--resume"])


def sample(settings: SampleSettings) -> int:
    """Write text; the exit code."""
    import_module("studies.char_lm.sample").show(settings)
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["sample"]:
        run(sample, SampleSettings, command="sample")
    run(main, Settings)
