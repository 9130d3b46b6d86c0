"""Data, one file per kind."""

from gnnseq.data.palindromes import Palindromes

__all__ = ["Palindromes"]
