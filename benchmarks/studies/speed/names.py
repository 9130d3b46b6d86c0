"""The names of all cases, in the order of the tables. Data alone; torch is not imported."""

__all__ = ["CELLS", "NAMES", "TEMPORAL"]

CELLS = ("rnn", "gru", "lstm")
TEMPORAL = {
    f"{order.replace('_', '-')}-{cell.lower()}-{nodes}": (order, cell, nodes)
    for order in ("space_time", "space_then_time")
    for cell in ("LSTM", "GRU")
    for nodes in (200, 1000)
}
NAMES = (
    *(f"{paths}-{cell}" for paths in ("paths", "palindromes", "ragged") for cell in CELLS),
    "trees",
    *("gcn", "cora", "cora-sparse", "gated", "reach", "influence"),
    *TEMPORAL,
    "character",
)
