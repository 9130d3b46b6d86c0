"""Data: one file or folder a kind. Modules here import :mod:`gnnseq.graphs` and :mod:`gnnseq.checks` at most."""

from gnnseq.data.palindromes import Palindromes

__all__ = ["Palindromes"]
