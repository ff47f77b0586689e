"""What a check of a source's credentials says, scope by scope."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScopeCheck:
    """One scope or permission: whether it works, and what its absence costs.

    Attributes:
        source: The source's name.
        scope: The scope or permission, as the vendor calls it.
        works: Whether a call that needs it succeeded.
        costs: What is not observed without it, in a sentence.
        grant: How to grant it, in a sentence.
    """

    source: str
    scope: str
    works: bool
    costs: str
    grant: str
