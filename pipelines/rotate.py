"""Rotation of the pseudonym key: what is stored and published is re-keyed, and nothing is read again.

The key becomes a chain (see `connectors.rotation`). It is written beside the old one first (`key.next`), then the private
file is re-keyed and told of the new key's fingerprint in one transaction, then the new key takes the old one's place.
Killed anywhere, the command is run again: the fingerprint says which of the two keys the data is under. Until then no other
command that needs the key runs, so that nothing is stored under a wrong one.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from connectors.errors import UserError
from connectors.rotation import Rotation
from pipelines import facts, night
from pipelines.home import Home, sync_to_disk
from pipelines.keys import BLOCK, FINGERPRINT, NEXT, VARIABLE, key_text, pseudonymiser, verify_key
from pipelines.privacy import Surroundings, other_files, remove_leftovers
from pipelines.rekey import rekey
from pipelines.settings import Settings
from pipelines.sync import open_warehouse
from pipelines.warehouse import PUBLISHED

ROTATION: Final = "rotation"
"""Under which name the private file remembers that a rotation has yet to be compacted and published."""


@dataclass(slots=True, kw_only=True)
class Rotated(Surroundings):
    """What a rotation did.

    Attributes:
        rows: Table -> rows rewritten; empty where an earlier run had done that.
        key_count: How many keys the chain has now.
        place: Where the new key is.
        to_do: What is left for the user to do, a sentence each.
    """

    rows: dict[str, int] = field(default_factory=dict)
    key_count: int = 0
    place: str = ""
    to_do: list[str] = field(default_factory=list)


def rotate(home: Home, settings: Settings) -> Rotated:
    """Put a new key into the chain, re-key everything that is stored, and publish it. Killed anywhere, run it again.

    Raises:
        UserError: If nothing is stored, or the key is not the one that the data is under.
    """
    if not home.warehouse.exists():
        raise UserError(
            "rotate-key: nothing is stored yet, so there is nothing to rotate; to have another key, remove `key` and run `perdure init`"
        )
    waiting = home.path / NEXT
    text, place = key_text(home.key_file, settings.privacy.key_block)
    now = pseudonymiser(text, place)
    done = Rotated()
    with open_warehouse(home, settings) as warehouse, warehouse.recorded("rotate-key") as counts:
        stored = warehouse.memo(FINGERPRINT)
        if waiting.exists() and pseudonymiser(waiting.read_text(encoding="ascii"), NEXT).fingerprint() == stored:
            text = waiting.read_text(encoding="ascii")
        elif not (warehouse.memo(ROTATION) == "unfinished" and stored == now.fingerprint()):
            verify_key(warehouse, now)
            fresh = secrets.token_hex(32)
            text = "\n".join([*text.split(), fresh]) + "\n"
            _write(waiting, text)
            with warehouse.transaction():
                done.rows = rekey(warehouse, Rotation(bytes.fromhex(fresh)))
                warehouse.forget_memo(PUBLISHED)
                warehouse.remember(FINGERPRINT, pseudonymiser(text, NEXT).fingerprint())
                warehouse.remember(ROTATION, "unfinished")
            counts.update(done.rows)
    done.key_count = len(text.split())
    if waiting.exists():
        done.place = _put(home, settings, text, place, done)
    _finish(home, settings, done)
    return done


def _write(path: Path, text: str) -> None:
    """Write the waiting key, for the owner alone, and see it on disk."""
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    sync_to_disk(path.parent)


def _put(home: Home, settings: Settings, text: str, place: str, done: Rotated) -> str:
    """Put the new key where the old one came from; the environment cannot be written, so that one goes to the key file."""
    waiting = home.path / NEXT
    if place == BLOCK:
        from prefect.blocks.system import Secret  # takes seconds to import

        Secret(value=text).save(str(settings.privacy.key_block), overwrite=True)
        waiting.unlink()
        return place
    waiting.replace(home.key_file)
    sync_to_disk(home.path)
    if place == VARIABLE:
        # for what this command still does; the environment that it was started from is the user's
        os.environ[VARIABLE] = text
        done.to_do.append(
            f"{VARIABLE} still holds the key from before: unset it (the home's key file holds the new one), "
            "or set it to that file's text and delete the file"
        )
    return f"key file {home.key_file.name}"


def _finish(home: Home, settings: Settings, done: Rotated) -> None:
    """Take the old pseudonyms out of the files' bytes, and publish under the new ones."""
    was_published = home.published.exists()
    if was_published:
        night.build_stage(home, settings)
    with open_warehouse(home, settings) as warehouse:
        warehouse.compact()
    done.removed = remove_leftovers(home)
    if was_published:
        night.publish_stage(home, settings)
    done.facts = facts.renew(home)
    with open_warehouse(home, settings) as warehouse:
        warehouse.remember(ROTATION, "finished")
    done.exports, done.unmanaged = other_files(home)
