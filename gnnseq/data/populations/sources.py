"""Two populations: the autism study ABIDE, and a made-up one whose best score is known."""

import math

import numpy as np

from gnnseq.data.cache import folder
from gnnseq.data.populations.files import load_population
from gnnseq.data.populations.population import Population

__all__ = ["abide", "best_auc", "planted_population"]

ABIDE = "brains/abide_ho_871.npz"


def abide() -> Population:
    """871 people of 20 sites of ABIDE I, 403 with autism: correlations of 111 regions' signals at rest.

    The Preprocessed Connectomes Project's C-PAC pipeline, band-pass filter, no global signal regression, Harvard-Oxford
    regions (http://preprocessed-connectomes-project.org/abide/); features [871, 6105] are the upper triangles of the
    correlation matrices. They are not published as one file: it is read from the folder of
    :func:`gnnseq.data.cache.folder` where somebody has put it.

    Raises:
        FileNotFoundError: It is not there; the message says what it is made of.
    """
    path = folder() / ABIDE
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file. It is made of ABIDE's preprocessed regions (C-PAC, filt_noglobal, rois_ho; "
            "http://preprocessed-connectomes-project.org/abide/): arrays subject [N], connectivity [N, 6105], autism, "
            "site, sex and age [N]; put it there, or name the folder that has it by GNNSEQ_DATA"
        )
    found = load_population(path, path, "autism")
    blank = int(((found.features == 0).sum(1) >= 110).sum())
    note = f"{blank} people lack the signal of a region: its correlations are 0"
    return Population(found.ids, found.features, found.feature_names, found.labels, ("control", "autism"),
                      found.phenotypes, (*found.notes, note))  # fmt: skip


def planted_population(
    people: int = 480, features: int = 30, sites: int = 24, effect: float = 1.8, offset: float = 1.5, seed: int = 0
) -> Population:
    r"""People of several sites, whose scanners differ, and of two classes, whose means differ along a direction.

    .. math:: x_i = \tfrac{1}{2} s_i \delta v + \tau b_{site(i)} + e_i, \qquad s_i = \pm 1

    with standard normal e and b, a random unit vector v, the effect delta and the sites' offset tau. Every site has as
    many of one class as of the other, and neither sex nor age knows the class, so that phenotypes tell nothing.
    :func:`best_auc` is what can be reached.

    Example:
        >>> planted_population(people=64, features=5, sites=4)
        Population(people=64, features=5, control=32, patient=32, phenotypes=['site', 'sex', 'age'])
    """
    generator = np.random.default_rng(seed)
    site = np.arange(people) % sites
    labels = np.arange(people) // sites % 2 == 1
    direction = generator.standard_normal(features)
    direction /= np.linalg.norm(direction)
    offsets = offset * generator.standard_normal((sites, features))
    noise = generator.standard_normal((people, features))
    x = np.where(labels, 0.5, -0.5)[:, None] * effect * direction + offsets[site] + noise
    phenotypes = {
        "site": np.array([f"site {number}" for number in site]),
        "sex": generator.choice(["F", "M"], people),
        "age": np.round(generator.uniform(6, 60, people), 1),
    }
    names = tuple(f"feature {number}" for number in range(features))
    ids = tuple(f"person {number}" for number in range(people))
    return Population(ids, x, names, labels, ("control", "patient"), phenotypes)


def best_auc(effect: float = 1.8, offset: float = 1.5) -> tuple[float, float]:
    r"""The best AUC on a planted population: of who knows the sites' offsets, and of who knows only how they vary.

    .. math:: \Phi(\delta / \sqrt 2), \qquad \Phi(\delta / \sqrt{2 (1 + \tau^2)})

    Two normal classes whose means are d standard deviations apart are told apart with an AUC of Phi(d / sqrt 2); for
    who does not know where somebody was scanned, the offset is noise of variance tau^2 more.

    Example:
        >>> tuple(round(auc, 3) for auc in best_auc())
        (0.898, 0.76)
    """
    return tuple(0.5 * (1 + math.erf(effect / scale / 2)) for scale in (1.0, math.sqrt(1 + offset**2)))  # type: ignore[return-value]
