"""SGD, momentum, RMSProp and Adam: which way they go, how fast, and how much the learning rate decides.

    python benchmarks/optimizers.py            about four minutes on two idle cores
    python benchmarks/optimizers.py --quick    the same code on little, in seconds

torch's own, on a narrow valley, along the axes and turned, on Rosenbrock's and on Beale's function, and training an
LSTM to tell the last digit of palindromes of length 11. Each optimizer has the learning rate that is best for it on
each task, of a grid that is the same for all; for palindromes it is chosen on seeds, and so on weights and data, that
are not among those reported. On a quadratic, theory says how fast gradient descent and heavy ball are; torch's SGD is
held against it.

Ctrl-C is safe: finished runs are kept and the same command continues. Exit code 0: all runs finished and every
statement checked holds; 1: one does not; 2: an argument or a file is wrong; 130: interrupted.
"""

from dataclasses import dataclass

from harness.cli import SweepSettings, run_study


@dataclass(frozen=True)
class Settings(SweepSettings):
    """SGD, momentum, RMSProp and Adam on surfaces, a quadratic and palindromes; about four minutes."""

    study = "optimizers"


if __name__ == "__main__":
    run_study(Settings)
