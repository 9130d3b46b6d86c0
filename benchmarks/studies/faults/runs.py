"""What is tried, in parts that are kept when they are finished. Data alone; torch is not imported."""

from dataclasses import dataclass

__all__ = ["COMMANDS", "FaultRun"]

# Of each training script the arguments of a short training: on one thread, whose sums are in one order.
COMMANDS: dict[str, tuple[str, ...]] = {
    "palindrome": ("--quick", "--jobs", "1"),
    "gradients": ("--quick", "--jobs", "1"),
    "optimizers": ("--quick", "--jobs", "1"),
    "char_lm": ("--quick", "--jobs", "1", "--resume", "--save-every", "5"),
    "stocks": ("--quick", "--jobs", "1"),
    "forecasting": ("--quick", "--jobs", "1"),
    "trees": ("--quick", "--jobs", "1"),
    "social_graph": ("--quick", "--jobs", "1"),
    "social_relations": ("--quick", "--jobs", "1"),
    "disease": ("--quick", "--jobs", "1"),
    "large_graph": ("--quick",),
}


@dataclass(frozen=True)
class FaultRun:
    """One promise, or of kills one script.

    Attributes:
        promise: Which.
        many: How often it is tried, each number of the settings that counts for it.
        seed: Of all that is made up.
        script: Of kills, which one is killed.
        commit: Of the code: what another one did is no answer.
    """

    promise: str
    many: tuple[int, ...]
    seed: int
    script: str
    commit: str | None
