"""SGD, momentum, RMSProp and Adam: which way they go, how fast, and how much the learning rate decides.

    python benchmarks/optimizers.py            about four minutes on two idle cores
    python benchmarks/optimizers.py --quick    the same code on little, in seconds

On a narrow valley, along the axes and turned, on Rosenbrock's and on Beale's function, and training an LSTM to tell
the last digit of palindromes. Each of torch's optimizers has its best learning rate of one grid for all, chosen on
starts and seeds that are not among those reported. On a quadratic, SGD is held against what theory says of gradient
descent and heavy ball.

Ctrl-C is safe: finished runs are kept and the same command continues. Exit code 0: all runs finished and every
statement checked holds; 1: one does not; 2: an argument or a file is wrong; 130: interrupted.
"""

from harness.cli import SweepSettings, run_study


class Settings(SweepSettings):
    """SGD, momentum, RMSProp and Adam on surfaces, a quadratic and palindromes; about four minutes."""

    study = "optimizers"


if __name__ == "__main__":
    run_study(Settings)
