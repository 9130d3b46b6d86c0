"""Which inputs an output depends on, how far away they are, and how strongly they act."""

from gnnseq.reach.page import write_page
from gnnseq.reach.receptive_field import ReceptiveField, receptive_field

__all__ = ["ReceptiveField", "receptive_field", "write_page"]
