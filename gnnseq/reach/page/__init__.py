"""Receptive fields as a page that answers a click, in one file; needs Bokeh, ``pip install 'gnnseq[pages]'``."""

from gnnseq.reach.page.write import write_page

__all__ = ["write_page"]
