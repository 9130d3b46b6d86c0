"""Series on graphs from files: wide tables of numbers, and graphs whose names or places are the tables' columns."""

from gnnseq.data.series_files.join import read_graph_series
from gnnseq.data.series_files.tables import SeriesTable, read_table

__all__ = ["SeriesTable", "read_graph_series", "read_table"]
