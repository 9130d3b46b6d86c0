"""Prices of stocks, the relations between them, and the samples that models learn from."""

from gnnseq.data.stocks.market import Market, make_market
from gnnseq.data.stocks.panel import Panel
from gnnseq.data.stocks.prices import load_prices
from gnnseq.data.stocks.relations import Relations, load_relations
from gnnseq.data.stocks.samples import Samples, leak_free, published

__all__ = [
    "Market",
    "Panel",
    "Relations",
    "Samples",
    "leak_free",
    "load_prices",
    "load_relations",
    "make_market",
    "published",
]
