"""Secrets that lie in Prefect Secret blocks: loaded when they are needed, and shown nowhere."""

from __future__ import annotations

from typing import Any, Final

from connectors.errors import UserError

PREFIX: Final = "block:"
"""How a setting that takes a secret names a block: `token = "block:slack-token"`."""


def load_secret(name: str, setting: str) -> str:
    """Return what a Secret block holds.

    Args:
        name: The block's name.
        setting: The setting that names it, for the message.

    Raises:
        UserError: If there is no such block, or Prefect does not answer; the message repeats nothing of it.
    """
    from prefect.blocks.system import Secret  # takes seconds to import

    try:
        value = Secret.load(name).get()  # type: ignore[union-attr]
    except Exception as error:
        raise UserError(
            f"{setting}: the Secret block cannot be loaded ({type(error).__name__}); create it in Prefect first, "
            "and let PREFECT_API_URL name the server that has it"
        ) from None
    return str(value)


def resolved(given: Any, setting: str) -> Any:
    """Return a secret as it was given, or what the block holds that it names."""
    if isinstance(given, str) and given.startswith(PREFIX):
        return load_secret(given.removeprefix(PREFIX), setting)
    return given
