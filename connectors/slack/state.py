"""What is remembered beyond one conversation: how ids are made into keys, and until when what is stored was shown."""

from __future__ import annotations

from typing import Final

from connectors.errors import UserError
from connectors.slack.people import ANYWHERE
from connectors.state import State

KEYS: Final = "keys"
"""The cursor that says which keys a home has: `BY_WORKSPACE` where an older release filled it."""
BY_WORKSPACE: Final = "by workspace"
RUN: Final = "run"
"""The cursor of a night: its end, in microseconds."""
AS_OF: Final = "export"
"""The cursor of exports: of when the newest is, in microseconds."""


def namespace_of(state: State, workspace: str | None) -> str:
    """Return what stands before ids in keys (`connectors.slack.people.ANYWHERE`).

    Args:
        state: What was stored before.
        workspace: The workspace's id, which keys of an older release begin with, if it is known.

    Raises:
        UserError: If the home has such keys, and it cannot be told of which workspace.
    """
    if state.cursor(KEYS) != BY_WORKSPACE:
        return ANYWHERE
    if workspace is None:
        raise UserError(
            "Slack export: it does not show for certain of which workspace it is, and this home was begun with an older perdure that knows "
            "messages by it; say its id with --team-id (T..., or E... of an Enterprise organisation)"
        )
    return workspace


def shown_until(state: State) -> int:
    """Return of when the newest of what is stored is, in microseconds; 0 where nothing is."""
    return max(int(value) if (value := state.cursor(name)) is not None and value.isdigit() else 0 for name in (RUN, AS_OF))
