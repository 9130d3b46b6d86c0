"""Who met whom, when: temporal edge lists as snapshots of a graph that changes."""

from gnnseq.data.contacts.clock import width_of
from gnnseq.data.contacts.contacts import Contacts, load_contacts
from gnnseq.data.contacts.report import ContactReport

__all__ = ["ContactReport", "Contacts", "load_contacts", "width_of"]
