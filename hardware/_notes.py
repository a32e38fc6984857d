"""What a conversion lost, changed or assumed, said once for programs and people."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from spikelearn.errors import require

__all__ = ["KINDS", "Note"]

KINDS = ("lost", "changed", "assumed")


@dataclass(frozen=True)
class Note:
    """One thing that a conversion did not carry over as it was.

    Attributes
    ----------
    kind
        "lost": the target cannot say it; "changed": it says it in another way;
        "assumed": the source does not say it, and this was taken.
    subject
        What it is about, in a word or two.
    text
        What that means.
    loud
        Whether spikes change for whoever does not take care of it.

    Raises
    ------
    InvalidValue
        If the kind is none of `KINDS`.
    """

    kind: str
    subject: str
    text: str
    loud: bool = False

    def __post_init__(self) -> None:
        """Check the kind."""
        require(self.kind in KINDS, "Note.kind", f"must be one of {KINDS}", self.kind)

    def __str__(self) -> str:
        """Return one line, with WARNING in front of what changes spikes."""
        warning = "WARNING: " if self.loud else ""
        return f"{warning}{self.subject} {self.kind}: {self.text}"

    def to_dict(self) -> dict[str, str | bool]:
        """Return plain values."""
        return dataclasses.asdict(self)
