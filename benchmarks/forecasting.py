"""Do relations help to forecast an epidemic, and does any network beat a five-parameter autoregression?

    python benchmarks/forecasting.py            chickenpox and England Covid, ten seeds: half an hour on two cores
    python benchmarks/forecasting.py --quick    an epidemic made up on a ring, two seeds, no data needed: seconds

Every protocol's test part is the last fifth, in time order. The number of epochs for each horizon is chosen on the last
fifth of what is before it; then the network is trained anew on all of that, as the autoregressions are, and forecasts
the test part once. The data are downloaded once; GNNSEQ_DATA names a folder that has them.

Ctrl-C is safe: finished runs are kept and the same command continues. Exit code 0: all runs finished; 2: the data
cannot be had, or an argument or a file is wrong; 130: interrupted.
"""

from dataclasses import dataclass

from harness.cli import SweepSettings, run_study
from studies.forecasting.runs import ForecastRun


@dataclass(frozen=True)
class Settings(SweepSettings):
    """Forecasts of epidemics by networks and by autoregressions."""

    study = "forecasting"

    seeds: int = 10
    """Networks of each kind."""
    hidden: int = ForecastRun.hidden
    """Hidden channels of every network."""
    max_epochs: int = ForecastRun.max_epochs
    """Most epochs of a training."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for option, value in (("seeds", self.seeds), ("hidden", self.hidden), ("max-epochs", self.max_epochs)):
            if value < 1:
                raise ValueError(f"--{option}: got {value}; expected at least 1")

    @property
    def name(self) -> str:
        """What the results are called: a changed study must not overwrite the original's."""
        own = self.seeds, self.hidden, self.max_epochs
        return super().name if own == (Settings.seeds, Settings.hidden, Settings.max_epochs) else "custom"


if __name__ == "__main__":
    run_study(Settings)
