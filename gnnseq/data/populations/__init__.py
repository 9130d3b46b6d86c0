"""People with features, phenotypes and a diagnosis: files, a published set, a made-up one, and graphs of people."""

from gnnseq.data.populations.affinity import population_graph
from gnnseq.data.populations.files import load_population
from gnnseq.data.populations.population import Population
from gnnseq.data.populations.sources import abide, planted_population

__all__ = ["Population", "abide", "load_population", "planted_population", "population_graph"]
