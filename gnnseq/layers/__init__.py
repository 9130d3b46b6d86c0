"""The layers, one a file."""

from gnnseq.layers.EvolveGCN import EvolveGCN
from gnnseq.layers.GatedGraph import GatedGraph
from gnnseq.layers.GCN import GCN
from gnnseq.layers.GRU import GRU
from gnnseq.layers.LSTM import LSTM
from gnnseq.layers.MinGRU import MinGRU
from gnnseq.layers.MinLSTM import MinLSTM
from gnnseq.layers.RelationalGCN import RelationalGCN
from gnnseq.layers.RNN import RNN
from gnnseq.layers.TemporalGCN import TemporalGCN

__all__ = ["GCN", "GRU", "LSTM", "RNN", "EvolveGCN", "GatedGraph", "MinGRU", "MinLSTM", "RelationalGCN", "TemporalGCN"]
