"""`char_lm.py sample CHECKPOINT`: what a trained model writes, character by character."""

import sys
import time
from typing import Any

import torch

from harness.sweep import one_thread
from studies.char_lm.training import load_model


@one_thread()
def show(settings: Any) -> None:
    """Print a text, as the command line's settings ask for it."""
    model, vocabulary = load_model(settings.checkpoint)
    unknown = sorted(set(settings.prompt) - set(vocabulary.characters))
    if unknown:
        raise ValueError(f"--prompt: the model has not met {' '.join(map(repr, unknown))}; it knows "
                         f"{''.join(vocabulary.characters[1:])!r}")  # fmt: skip
    prompt = vocabulary.encode(settings.prompt)
    if settings.beams > 0:
        for beam in model.beam_search(settings.length, prompt, settings.beams):
            print(f"{settings.prompt}{vocabulary.decode(beam.characters)}\n[{beam.log_probability:.2f} nats]\n")
        return
    generator = torch.Generator()
    generator.manual_seed(generator.seed() if settings.seed is None else settings.seed)
    how = {name: getattr(settings, name) for name in ("length", "temperature", "top_k", "nucleus")}
    characters = model.sample(**how, prompt=prompt, generator=generator)
    print(settings.prompt, end="", flush=True)
    begin = time.perf_counter()
    for character in characters:
        print(vocabulary.characters[character], end="", flush=True)
    speed = settings.length / (time.perf_counter() - begin)
    print()
    print(f"{settings.length} characters, {speed:,.0f} a second", file=sys.stderr)
