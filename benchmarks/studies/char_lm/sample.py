"""`char_lm.py sample CHECKPOINT`: what a trained model writes, character by character."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro

from gnnseq.data.text import Vocabulary
from harness.sweep import one_thread
from studies.char_lm.training import load_model


@dataclass(frozen=True)
class Sample:
    """Writes text with a trained model, each character as soon as it is drawn."""

    checkpoint: tyro.conf.Positional[Path]
    """A best.ckpt or last.ckpt of a training."""
    prompt: str = ""
    """What to go on from; without one the first character is drawn uniformly."""
    temperature: float = 0.7
    """Logits are divided by it; 0 takes the likeliest character."""
    length: int = 500
    """Characters to write."""
    top_k: int | None = None
    """Draw from so many of the likeliest."""
    nucleus: float | None = None
    """Draw from the likeliest that together have this probability."""
    beams: int = 0
    """Search for the likeliest texts with so many beams, in place of drawing; needs a prompt."""
    seed: int | None = None
    """The same one gives the same text; without one, texts differ."""


def show(settings: Sample) -> int:
    model, vocabulary = load_model(settings.checkpoint)
    prompt = read_prompt(settings.prompt, vocabulary)
    with one_thread():
        if settings.beams > 0:
            for beam in model.beam_search(settings.length, prompt, settings.beams):
                print(f"{settings.prompt}{vocabulary.decode(beam.characters)}\n[{beam.log_probability:.2f} nats]\n")
            return 0
        generator = torch.Generator()
        if settings.seed is None:
            generator.seed()
        else:
            generator.manual_seed(settings.seed)
        characters = model.sample(
            settings.length, prompt=prompt, temperature=settings.temperature, top_k=settings.top_k,
            nucleus=settings.nucleus, generator=generator,
        )  # fmt: skip
        print(settings.prompt, end="", flush=True)
        begin = time.perf_counter()
        for character in characters:
            print(vocabulary.characters[character], end="", flush=True)
        seconds = time.perf_counter() - begin
    print()
    print(f"{settings.length} characters, {settings.length / seconds:,.0f} a second", file=sys.stderr)
    return 0


def read_prompt(prompt: str, vocabulary: Vocabulary) -> list[int]:
    unknown = sorted(set(prompt) - set(vocabulary.characters))
    if unknown:
        raise ValueError(f"--prompt: the model has not met {' '.join(map(repr, unknown))}; it knows "
                         f"{''.join(vocabulary.characters[1:])!r}")  # fmt: skip
    return vocabulary.encode(prompt).tolist()
