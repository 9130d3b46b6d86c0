"""Graphs from files: edge lists, GraphML, GEXF, GML, Pajek, MatrixMarket and npz, all into networkx."""

from gnnseq.data.graph_files.reader import read_graph

__all__ = ["read_graph"]
