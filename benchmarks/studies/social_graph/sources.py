"""Where the contacts come from: made up, the published messages, or a file."""

import hashlib
from functools import lru_cache

import numpy as np

from gnnseq.data.cache import fetch
from gnnseq.data.contacts import load_contacts
from harness.files import cached_while_unchanged
from studies.social_graph.history import Events
from studies.social_graph.planted import Planted, planted

__all__ = ["COLLEGE", "LEAST_WEEKS", "made_up", "read"]

COLLEGE = "contacts/CollegeMsg.txt"
LEAST_WEEKS = 4  # two to learn from, two to be tested
MOST = 3e8  # scores of all weeks


@lru_cache(maxsize=2)
def made_up(name: str) -> Planted:
    """The made-up data of a name "planted N W E S"."""
    nodes, weeks, events, seed = map(int, name.split()[1:])
    return planted(nodes, weeks, events, seed)


@cached_while_unchanged(2)
def read(data: str, width: float) -> tuple[Events, str, str]:
    """The log of some data, a digest of it, and what a file's report says.

    Raises:
        ValueError: A file holds no contacts, or too few weeks or too many nodes for the study.
    """
    report = "made up"
    if data.startswith("planted "):
        events = made_up(data).events
    else:
        contacts = load_contacts(fetch(COLLEGE) if data == "collegemsg" else data, every=width)
        events = Events(contacts.source, contacts.target, contacts.time, len(contacts.names))
        report = str(contacts.report)
        weeks = contacts.report.snapshots
        if weeks < LEAST_WEEKS:
            raise ValueError(f"{data}: {weeks} snapshots of {width:g} s; expected at least {LEAST_WEEKS}: two to learn "
                             "from and two to be tested; choose a narrower --every")  # fmt: skip
        if (events.source == events.target).all():
            raise ValueError(f"{data}: no contact between two nodes, only of nodes with themselves; expected some of "
                             "one node with another")  # fmt: skip
        sources = len(np.unique(np.stack([contacts.source, (contacts.time - contacts.time[0]) // width]), axis=1).T)
        if sources * events.nodes > MOST:
            raise ValueError(f"{data}: {sources:,} sources of all weeks times {events.nodes:,} nodes; the study scores "
                             f"every pair and takes at most {MOST:,.0f}: give it a part of the nodes")  # fmt: skip
    parts = (events.source, events.target, events.time)
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()
    return events, digest, report
