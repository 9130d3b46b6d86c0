"""Whole models of the layers: classifiers of sequences, residual blocks, and language models."""

from gnnseq.models.blocks import LockedDropout, RecurrentBlocks
from gnnseq.models.classifiers import GraphClassifier, SequenceClassifier
from gnnseq.models.language_model import LanguageModel

__all__ = ["GraphClassifier", "LanguageModel", "LockedDropout", "RecurrentBlocks", "SequenceClassifier"]
