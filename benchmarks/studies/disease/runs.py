"""What is run: a split of a population, and how networks are trained on it. Data alone; torch is not imported."""

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Protocol = Literal["folds", "sites"]

MAJORITY, PHENOTYPES = "majority", "phenotypes"
RIDGE, SITE_RIDGE, OWN_RIDGE = "ridge", "ridge, site means of training", "ridge on the site graph"
GAUSSIAN = "Gaussian ridge, site means of training"
ENSEMBLE, OWN_ENSEMBLE = "ridges together", "ridges together on the site graph"
MLP, CHEBYSHEV, NEAREST, GCNS = "network, no edges", "Chebyshev", "Chebyshev, nearest", "GCN"
ADDED_MLP, ADDED_CHEBYSHEV = "network, no edges, on the ridges' score", "Chebyshev, on the ridges' score"
MEAN_MLP, MEAN_CHEBYSHEV = "ridges and network, no edges, averaged", "ridges and Chebyshev, averaged"
BEST_EPOCH, SELECTED = "LEAK: best test epoch", "LEAK: features chosen with all labels"
SELECTED_INSIDE = "features chosen in training"

RIDGES = (RIDGE, SITE_RIDGE, GAUSSIAN, ENSEMBLE)
TRANSDUCTIVE = (
    OWN_RIDGE,
    OWN_ENSEMBLE,
    CHEBYSHEV,
    NEAREST,
    GCNS,
    ADDED_CHEBYSHEV,
    MEAN_CHEBYSHEV,
)  # read tested people's features
NETWORKS = (MLP, CHEBYSHEV, NEAREST, GCNS, ADDED_MLP, ADDED_CHEBYSHEV, MEAN_MLP, MEAN_CHEBYSHEV)
LEAKS = (BEST_EPOCH, SELECTED)
MODELS = (MAJORITY, PHENOTYPES, *RIDGES, OWN_RIDGE, OWN_ENSEMBLE, SELECTED_INSIDE, *NETWORKS, *LEAKS)


@dataclass(frozen=True)
class DiseaseTraining:
    """How every network is trained."""

    components: int = 400  # of the training part's principal components, which networks read
    hidden: int = 16
    terms: int = 3  # K of a Chebyshev filter
    epochs: int = 60  # at most: so many as were best on a fifth of the training part
    patience: int = 15  # epochs without a better one that end the search for it
    learning_rate: float = 0.01  # Adam's
    weight_decay: float = 0.1
    dropout: float = 0.3
    neighbours: int = 10  # of the sparse graph
    selected: int = 500  # features, of those chosen one by one


@dataclass(frozen=True)
class DiseaseRun:
    """All models on one split; equal settings give equal numbers."""

    protocol: Protocol
    repeat: int  # seeds shuffling, and the networks' weights
    part: str  # number of a fold, or name of a site
    folds: int
    data: str  # digest of what is read
    training: DiseaseTraining


@dataclass(frozen=True)
class PopulationSource:
    """Where people are from, which must not decide what a run is called.

    Attributes:
        name: "abide", "planted", or "files".
        site: The column of sites, "" for none.
        within: How far apart numbers of a column may be, to agree.
        correlations: Whether features are the upper triangle of correlation matrices.
        small: A planted population for the quick form.
    """

    name: str
    features: Path | None = None
    phenotypes: Path | None = None
    label: str = ""
    id: str | None = None
    missing: tuple[str, ...] = ()
    positive: str | None = None
    leave_out: tuple[str, ...] = ()
    only_shared: bool = False
    site: str = "site"
    within: tuple[tuple[str, float], ...] = ()
    correlations: bool = False
    small: bool = False

    def digest(self) -> str:
        """Of the files and of all that changes what is read in them."""
        told = dataclasses.replace(self, features=None, phenotypes=None)
        found = hashlib.sha256(repr(told).encode())
        for path in (self.features, self.phenotypes):
            if path is not None:
                found.update(path.read_bytes())
        return found.hexdigest()[:16]
