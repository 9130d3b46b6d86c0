"""Does a graph of people help to tell a diagnosis? Ridges and networks on a population, and what leaks would add.

    python benchmarks/disease.py                   made-up people of 24 sites, the best score known: minutes
    python benchmarks/disease.py --data abide      871 people of ABIDE, 20 sites: about half an hour on two cores
    python benchmarks/disease.py --features F.csv --phenotypes P.csv --label diagnosis     your people
    python benchmarks/disease.py --quick           few made-up people, seconds

Ten-fold cross-validation, stratified, shuffled, repeated; and one site after another left out, where there are sites.
All that is estimated or chosen is so in the training part: means, features, penalties, epochs. Rows that are called
transductive read the features of the tested people, never their labels; rows that are called leaks read labels of
theirs, to show what that would add. ABIDE's file is read from the folder that GNNSEQ_DATA names, brains/.

Ctrl-C is safe: finished runs are kept and the same command continues. Exit code 0: all runs finished; 2: an argument or
a file is wrong; 130: interrupted.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.cli import SweepSettings, run_study
from harness.files import name_of, short_hash
from studies.disease.runs import DiseaseRun, DiseaseTraining, PopulationSource

FILES = (
    "phenotypes",
    "label",
    "id",
    "missing",
    "positive",
    "leave_out",
    "only_shared",
    "site",
    "within",
    "correlations",
)


@dataclass(frozen=True)
class Settings(SweepSettings):
    """Diagnoses in a population, with a graph of people and without."""

    study = "disease"
    least = dict.fromkeys(("repeats",), 1) | {"folds": 2}

    data: Literal["planted", "abide"] = "planted"
    """Whose: made-up people, or ABIDE's; of your own give --features."""
    features: Path | None = None
    """Your people's features: .csv, .tsv, .txt (also .gz), a row a person and names in the first line, or .npz with a
    matrix [N, F] and the people's names."""
    phenotypes: Path | None = None  # What else is known of them, matched by name; may be the same .npz
    label: str | None = None  # Its column with the two classes
    id: str | None = None  # The column of people's names in both, where id, subject and the like do not tell
    missing: tuple[str, ...] = ()  # Cells that mean that nothing is known, as -9999
    positive: str | None = None  # The class to predict; the larger number or later text where not given
    leave_out: tuple[str, ...] = ()  # Columns of phenotypes that are not read, as other diagnoses
    only_shared: bool = False  # Leave out people who are in one file alone
    site: str | None = None  # The column of sites, to leave out one after another; site where not given
    within: tuple[str, ...] = ()
    """COLUMN=NUMBER: people agree in a column of numbers that are so far apart at most; equal where not given."""
    correlations: bool = False  # Features are the upper triangle of correlation matrices
    folds: int = 10  # Of cross-validation
    repeats: int | None = None  # Of it; 10, or 1 with --quick, where not given

    def __post_init__(self) -> None:
        super().__post_init__()
        of_files = {field.name: field.default for field in dataclasses.fields(self) if field.name in FILES}
        given = [name for name in FILES if getattr(self, name) != of_files[name]]
        if self.features is None and given:
            raise ValueError(f"--{given[0].replace('_', '-')}: it is of your own people; give --features FILE too")
        if self.features is not None:
            if self.phenotypes is None or self.label is None:
                raise ValueError("--features: expected --phenotypes FILE and --label COLUMN too")
            if self.data != "planted":
                raise ValueError(f"--features {self.features} and --data {self.data}: choose one")
            if self.record:
                raise ValueError(f"--record and --features {self.features}: the evidence is of the study's own people")
        for pair in self.within:
            name, _, number = pair.rpartition("=")
            try:
                wrong = not name or not float(number) >= 0
            except ValueError:
                wrong = True
            if wrong:
                raise ValueError(f"--within {pair}: expected COLUMN=NUMBER, as age=2")

    @property
    def name(self) -> str:
        """What the results are called: neither other people nor other settings overwrite a result."""
        usual = self.folds == 10 and self.repeats in (None, 10)
        usual = usual and not (self.quick and self.repeats)
        own = "" if usual else f"-{self.folds}x{self.repeats or 10}"
        if self.features is None:
            return ("quick" if self.quick else self.data) + own
        assert self.phenotypes is not None
        usually = {field.name: field.default for field in dataclasses.fields(self)}
        told = [(name, getattr(self, name)) for name in FILES[2:] if getattr(self, name) != usually[name]]
        own += f"-{short_hash(repr(told))}" if told else ""
        return f"{name_of([self.features, self.phenotypes])}-{self.label}{'-quick' if self.quick else ''}{own}"

    @property
    def people(self) -> PopulationSource:
        """Where the people are from."""
        if self.features is None:
            return PopulationSource(
                self.data, within=(("age", 2.0),), correlations=self.data == "abide", small=self.quick
            )
        assert self.label is not None
        within = tuple((name, float(number)) for name, _, number in (pair.rpartition("=") for pair in self.within))
        return PopulationSource(
            "files", self.features, self.phenotypes, self.label, self.id, self.missing, self.positive, self.leave_out,
            self.only_shared, self.site or "site", within, self.correlations,
        )  # fmt: skip

    def runs(self, parts: tuple[str, ...], digest: str) -> list[DiseaseRun]:
        """Every split: sites, then folds of each repeat, so that an interrupted sweep has whole repeats."""
        training = DiseaseTraining(epochs=4, selected=10) if self.quick else DiseaseTraining()
        folds = [(repeat, str(fold)) for repeat in range(self.repeats or (1 if self.quick else 10))
                 for fold in range(self.folds)]  # fmt: skip
        return [DiseaseRun(protocol, repeat, part, self.folds, digest, training)
                for protocol, splits in (("sites", [(0, part) for part in parts]), ("folds", folds))
                for repeat, part in splits]  # fmt: skip


if __name__ == "__main__":
    run_study(Settings)
