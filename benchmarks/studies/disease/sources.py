"""Where a study's people are from."""

from dataclasses import replace
from typing import Any

import numpy as np

from gnnseq.data.populations import Population, abide, load_population, planted_population
from studies.disease.runs import PopulationSource

__all__ = ["PLANTED", "QUICK", "read"]

PLANTED: dict[str, Any] = {"people": 480, "features": 30, "sites": 24}
QUICK: dict[str, Any] = {"people": 96, "features": 20, "sites": 4}
OPTIONS = {"id=": "--id COLUMN", "only_shared=True": "--only-shared", "leave_out=": "--leave-out COLUMN"}


def read(source: PopulationSource) -> Population:
    """The population, sites as texts; errors of the library name the options of the command line, too."""
    population = _read(source)
    sites = population.phenotypes.get(source.site)
    if sites is None or sites.dtype.kind != "f":
        return population
    texts = np.array(
        [
            "" if np.isnan(number) else str(int(number)) if number.is_integer() else repr(float(number))
            for number in sites
        ]
    )
    return replace(population, phenotypes={**population.phenotypes, source.site: texts})


def _read(source: PopulationSource) -> Population:
    if source.name == "abide":
        return abide()
    if source.name == "planted":
        return planted_population(**(QUICK if source.small else PLANTED))
    assert source.features is not None
    assert source.phenotypes is not None
    told = {name: getattr(source, name) for name in ("id", "missing", "positive", "leave_out", "only_shared")}
    try:
        return load_population(source.features, source.phenotypes, source.label, **told)
    except ValueError as error:
        hints = [option for argument, option in OPTIONS.items() if argument in str(error)]
        raise ValueError(f"{error}. On the command line: {', '.join(hints)}" if hints else str(error)) from error
