"""The pseudonym key: where it comes from, how it is made, and the refusal to mix two of them.

The key comes from `PERDURE_KEY` (64 hexadecimal digits), from a Prefect Secret block named in settings, or from the
file `key` in the home (0600). After rotations it is a chain: as many digits again for each of them. Whoever holds key and
data can re-identify people; keep the key out of backups of the data.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import Final

from connectors.errors import UserError
from connectors.pseudonyms import Pseudonymiser
from pipelines.secret_blocks import load_secret
from pipelines.warehouse import Warehouse

VARIABLE: Final = "PERDURE_KEY"
BLOCK: Final = "privacy.key_block"
FINGERPRINT: Final = "key fingerprint"
"""Under which name the warehouse remembers which key its data is under."""
NEXT: Final = "key.next"
"""The file that holds the key during its rotation."""


def create_key_file(path: Path) -> bool:
    """Write a new random key unless the file exists already; return whether one was written."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32) + "\n")
    return True


def load_pseudonymiser(path: Path, *, secret_block: str | None = None) -> Pseudonymiser:
    """Return the pseudonyms under the organisation's key.

    Args:
        path: The key file, read where neither the environment nor a Secret block gives the key.
        secret_block: Name of a Prefect Secret block that holds the key.

    Raises:
        UserError: If there is no key, it is malformed, its file is open to others, or a rotation of it was ended midway.
    """
    if path.with_name(NEXT).exists():
        raise UserError(
            f"key: a rotation was ended midway ({NEXT} is in the home); run `perdure rotate-key` again, it goes on where it was"
        )
    text, place = key_text(path, secret_block)
    found = pseudonymiser(text, place)
    if place == VARIABLE and path.exists() and _is_longer(_from_file(path), text):
        raise UserError(
            f"{VARIABLE}: holds the key from before a rotation; unset it, since the home's key file holds the new one, "
            f"or set it to that file's text and delete the file"
        )
    return found


def key_text(path: Path, secret_block: str | None) -> tuple[str, str]:
    """Return the text of the key and the place that it comes from, as messages name it.

    Raises:
        UserError: If there is none, or it cannot be read.
    """
    text = os.environ.get(VARIABLE)
    if text is not None:
        return text, VARIABLE
    if secret_block:
        return load_secret(secret_block, BLOCK), BLOCK
    return _from_file(path), f"key file {path.name}"


def pseudonymiser(text: str, place: str) -> Pseudonymiser:
    """Return the pseudonyms under a key: 64 hexadecimal digits, and as many again, after white space, for each rotation since.

    Raises:
        UserError: If it is malformed; the message says where it stands and repeats nothing of it.
    """
    try:
        first, *later = [bytes.fromhex(part) for part in text.split()]
    except ValueError:
        raise UserError(f"{place}: the key must be 64 hexadecimal digits (make one with `openssl rand -hex 32`)") from None
    if any(len(secret) < 32 for secret in (first, *later)):
        raise UserError(f"{place}: the key is too short; it must be 64 hexadecimal digits (make one with `openssl rand -hex 32`)")
    return Pseudonymiser(first, later)


def _is_longer(text: str, before: str) -> bool:
    now, then = text.split(), before.split()
    return len(now) > len(then) and now[: len(then)] == then


def _from_file(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise UserError(f"key file {path.name}: others may read it; run `chmod 600` on it")
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        if path.with_name("warehouse.duckdb").exists():
            raise UserError(
                f"no key: {path.name} is gone from the home, and the data was stored under it; restore it from your copy, "
                f"or set {VARIABLE}. A new key would count everybody twice"
            ) from None
        raise UserError(f"no key: set {VARIABLE}, or privacy.key_block, or run `perdure init`, which writes one to the home") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"key file {path.name}: cannot be read ({type(error).__name__})") from None


def verify_key(warehouse: Warehouse, pseudonyms: Pseudonymiser) -> None:
    """Remember which key the data is under, or refuse one that is not it; from then on tombstones know pseudonyms of old.

    Raises:
        UserError: If the warehouse was filled under another key: the same person would be counted twice.
    """
    found = warehouse.memo(FINGERPRINT)
    if found is None:
        warehouse.remember(FINGERPRINT, pseudonyms.fingerprint())
    elif found != pseudonyms.fingerprint():
        raise UserError("key: the data was stored under another key; restore that key, or start with an empty home")
    warehouse.tombstones.earlier = pseudonyms.earlier
