"""Whole models of the layers: classifiers of sequences, and language models."""

from gnnseq.models.classifiers import GraphClassifier, SequenceClassifier
from gnnseq.models.language_model import LanguageModel

__all__ = ["GraphClassifier", "LanguageModel", "SequenceClassifier"]
