"""What a file of contacts held, and what became of it: nothing is hidden."""

from dataclasses import dataclass

__all__ = ["ContactReport"]


@dataclass(frozen=True)
class ContactReport:
    """What was found in a file of contacts; ``str()`` says it in lines.

    Attributes:
        form: How the file is written.
        events: Contacts in all, repeated ones and self-loops included.
        nodes: Names in all.
        first: When the first contact was, as text.
        last: When the last one was.
        repeated: Contacts that are equal to an earlier one in source, target and time. They are kept, and counted in
            the weights.
        merged: Contacts beyond the first of their pair in a snapshot, whose weights are added up in one edge.
        self_loops: Contacts of a node with itself. They are edges as all others.
        out_of_order: Contacts that stand below a later one in the file; they were sorted.
        snapshots: How many there are, empty ones included.
        gaps: Stretches of snapshots without a contact, the first and the last of each.
        ignored: Names of columns that were not read.
        comments: Lines that begin with # or %, which were passed over.
    """

    form: str
    events: int
    nodes: int
    first: str
    last: str
    repeated: int
    merged: int
    self_loops: int
    out_of_order: int
    snapshots: int
    gaps: tuple[tuple[int, int], ...]
    ignored: tuple[str, ...] = ()
    comments: int = 0

    def __str__(self) -> str:
        empty = sum(last - first + 1 for first, last in self.gaps)
        some = ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in self.gaps[:5])
        lines = [
            f"{self.events:,} contacts of {self.nodes:,} nodes, {self.first} to {self.last}; {self.form}",
            f"{self.snapshots:,} snapshots, {empty:,} of them empty" + (f" ({some}{', ...' * (len(self.gaps) > 5)})"
                                                                      if empty else ""),
            f"{self.repeated:,} repeated in source, target and time; {self.merged:,} merged with others of a snapshot; "
            f"{self.self_loops:,} self-loops; {self.out_of_order:,} out of order",
        ]  # fmt: skip
        lines += [f"{self.comments:,} lines that begin with # or % passed over"] * bool(self.comments)
        return "\n".join(lines + [f"not read: {', '.join(self.ignored)}"] * bool(self.ignored))
