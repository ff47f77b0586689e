"""What a person may ask: what is held of them, and that it be erased.

`about` counts what is held of one person and names nobody else. `forget` takes a person out of every table, cursor and
file, keeps them out of later syncs by a tombstone, builds and publishes again, and rewrites the files so that the bytes
are gone; then it looks for them. Exports hold no person (disclosure control), so they are listed and left.
"""

from __future__ import annotations

import mmap
import shutil
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from connectors.errors import UserError
from connectors.pseudonyms import Pseudonymiser
from pipelines import facts, night
from pipelines.access import about_as_published, asked_for, dashed
from pipelines.faults import explained
from pipelines.home import Home
from pipelines.keys import load_pseudonymiser, verify_key
from pipelines.settings import Settings
from pipelines.sync import open_warehouse
from pipelines.tombstones import naming_conditions, person_key, person_keys
from pipelines.warehouse import PUBLISHED, Warehouse
from pipelines.writer_lock import WriterLockedError

_MANAGED: Final = ("key", "perdure.toml", "charter.toml", "warehouse.duckdb", "warehouse.lock", "analytics.duckdb", "state.json", "told")


class NotErasedError(Exception):
    """A trace of a forgotten person was found after erasure: a bug; the message names the file or table."""


class HalfErasedError(UserError):
    """The erasure stopped midway; the message says where the person still stands, and how it goes on."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Every pseudonym of one person.

    Attributes:
        person_ids: 128-bit pseudonyms of their addresses, aliases included (32 hexadecimal digits).
        account_keys: Their accounts, and the key that their address would have as an account.
        held_count: How many of their accounts are stored.
    """

    person_ids: frozenset[str]
    account_keys: frozenset[int]
    held_count: int


@dataclass(slots=True, kw_only=True)
class Surroundings:
    """What became of all that lies beside the private file when pseudonyms left it or changed.

    Attributes:
        removed: Leftovers of killed runs that were removed.
        facts: Folders of facts that were written anew, or removed where nothing is published.
        exports: Exports, which hold no pseudonym and stay.
        unmanaged: Files in the home that perdure did not write: look through them yourself.
    """

    removed: list[str] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    exports: list[str] = field(default_factory=list)
    unmanaged: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as a mapping."""
        return asdict(self)


@dataclass(slots=True, kw_only=True)
class Forgotten(Surroundings):
    """What erasing a person did.

    Attributes:
        accounts: How many accounts were erased.
        rows: Table -> rows removed, or changed so that they no longer name the person.
        rebuilt_days: How many days were computed again.
        searched: Files of the home in which no trace was found afterwards, in tables or bytes; a folder's files are counted.
    """

    accounts: int
    rows: dict[str, int]
    rebuilt_days: int = 0
    searched: list[str] = field(default_factory=list)


def identify(warehouse: Warehouse, pseudonyms: Pseudonymiser, asked: str) -> Identity:
    """Resolve an address, or a `person_id`, to every pseudonym of the person: aliases are followed over all accounts.

    Raises:
        UserError: If it is neither an address nor a person_id.
    """
    keys, ids = asked_for(pseudonyms, asked)
    if warehouse.has_table("core", "account"):
        # a person without an address has a person_id made of the account
        known = "select account_key from core.account where list_contains($1::varchar[], cast(person_id as varchar))"
        rows = warehouse.run(known, [dashed(ids)])
        keys |= {key for (key,) in rows}
    held = 0
    while True:
        rows = warehouse.run(
            "select account_key, person_id, alias_ids from raw.account where list_contains($1::bigint[], account_key) "
            "or list_contains($2::varchar[], person_id) or list_has_any(coalesce(alias_ids, []), $2::varchar[])",
            [sorted(keys), sorted(ids)],
        )
        before = len(keys), len(ids)
        for key, person_id, aliases in rows:
            keys.add(key)
            ids.update(name for name in (person_id, *(aliases or ())) if name)
        held = len(rows)
        if (len(keys), len(ids)) == before:
            return Identity(frozenset(ids), frozenset(keys), held)


def _opened(home: Home, settings: Settings) -> tuple[Pseudonymiser, Warehouse]:
    if not home.warehouse.exists():
        raise UserError("nothing is stored yet; run `perdure import` or `perdure sync` first")
    pseudonyms = load_pseudonymiser(home.key_file, secret_block=settings.privacy.key_block)
    return pseudonyms, open_warehouse(home, settings)


# -- access -----------------------------------------------------------------------------------------------------------


def about(home: Home, settings: Settings, asked: str) -> dict[str, Any]:
    """Return what is held of a person: accounts, places, counts by medium and month. Nobody else is named.

    Args:
        home: The home.
        settings: The settings.
        asked: An e-mail address, or a person_id.

    Raises:
        UserError: If it is neither, or nothing is stored.
    """
    try:
        pseudonyms, warehouse = _opened(home, settings)
    except WriterLockedError as locked:
        return about_as_published(home, settings, asked, locked)
    with warehouse, warehouse.recorded("about"):
        verify_key(warehouse, pseudonyms)
        who = identify(warehouse, pseudonyms, asked)
        keys, ids = sorted(who.account_keys), sorted(who.person_ids)
        people = sorted(person_keys(warehouse, set(keys), set(ids)))
        tables = {
            name: warehouse.value(f"select count(*) from {name} where {test}")
            for name, test in naming_conditions(warehouse, people, ids).items()
        }
        return {
            "is_held": who.held_count > 0,
            "is_forgotten": any(warehouse.tombstones.covers(name) for name in (*keys, *ids)),
            "accounts": _dicts(
                warehouse,
                "select source, kind, is_active, is_guest, is_licensed, person_id is not null as has_address, "
                "len(coalesce(alias_ids, [])) as alias_count from raw.account where list_contains($1::bigint[], account_key) order by all",
                keys,
            ),
            "memberships": _dicts(
                warehouse,
                "select source, observed_on, team, office, organisation, valid_from, valid_to, joined_on, left_on, "
                "manager_key is not null as has_manager from raw.membership where list_contains($1::bigint[], account_key) order by all",
                keys,
            ),
            "interactions": _interactions(warehouse, keys, "medium"),
            "interactions_by_month": _interactions(warehouse, keys, "medium, strftime(occurred_at, '%Y-%m')"),
            "rows_by_table": {name: count for name, count in sorted(tables.items()) if count},
            "kept_for_days": settings.privacy.retention_days,
        }


def _interactions(warehouse: Warehouse, keys: list[int], grouped: str) -> list[dict[str, Any]]:
    month = ", strftime(occurred_at, '%Y-%m') as month" if "strftime" in grouped else ""
    return _dicts(
        warehouse,
        "with part as (select occurred_at, source, medium, coalesce(list_contains($1::bigint[], sender_key), false) as is_sender, "
        "len(list_filter(participants, lambda p: list_contains($1::bigint[], p.account_key))) > 0 as is_participant from raw.interaction) "
        f"select source, medium{month}, count(*) filter (where is_sender) as sent_or_organised, "
        "count(*) filter (where is_participant) as took_part, "
        "cast(min(occurred_at) as date) as first_day, cast(max(occurred_at) as date) as last_day "
        f"from part where is_sender or is_participant group by source, {grouped} order by all",
        keys,
    )


def _dicts(warehouse: Warehouse, sql: str, keys: list[int]) -> list[dict[str, Any]]:
    cursor = warehouse.connection.execute(sql, [keys])
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


# -- erasure ----------------------------------------------------------------------------------------------------------


def forget(home: Home, settings: Settings, asked: str) -> Forgotten:
    """Erase a person from all that is stored and published, and keep them out of what is read later.

    The erasure from the private file is one transaction. Killed after it, the command is run again: it goes on.

    Args:
        home: The home.
        settings: The settings.
        asked: An e-mail address, or a person_id.

    Raises:
        UserError: If it is neither, or nothing is stored.
        HalfErasedError: If something that can be mended (no room on the disk, say) ended it midway.
        NotErasedError: If a trace is found afterwards.
    """
    was_published = home.published.exists()
    before = _publication(home)
    try:
        who, people, done = _erase(home, settings, asked)
    except Exception as error:
        if isinstance(error, UserError):
            raise  # it says itself what is to be mended, before anything was done
        _halt(error, "nothing was erased, and the person stands in the private and the published file as before")
        raise
    try:
        if was_published or done.rows:
            done.rebuilt_days = night.build_stage(home, settings).touched_day_count
        with open_warehouse(home, settings) as warehouse:
            warehouse.compact()
        done.removed = remove_leftovers(home)
        if was_published:
            night.publish_stage(home, settings)
        done.facts = facts.renew(home)
        done.searched = _searched(home, settings, who, people)
    except NotErasedError:
        raise
    except Exception as error:
        is_published = was_published and _publication(home) == before
        _halt(error, _remainder(home, is_published=is_published))
        raise
    done.exports, done.unmanaged = other_files(home)
    return done


def _erase(home: Home, settings: Settings, asked: str) -> tuple[Identity, set[int], Forgotten]:
    """Take the person out of the private file, in one transaction, and return who they are to it and what was done."""
    pseudonyms, warehouse = _opened(home, settings)
    with warehouse, warehouse.recorded("forget") as counts:
        verify_key(warehouse, pseudonyms)
        who = identify(warehouse, pseudonyms, asked)
        people = person_keys(warehouse, set(who.account_keys), set(who.person_ids))
        with warehouse.transaction():
            warehouse.forget_memo(PUBLISHED)
            warehouse.tombstones.add([*(str(key) for key in who.account_keys), *who.person_ids])
            done = Forgotten(accounts=who.held_count, rows=warehouse.tombstones.erase(set(who.account_keys), set(who.person_ids)))
        counts.update(accounts=done.accounts, rows=done.rows)
    return who, people, done


def _publication(home: Home) -> tuple[int, int] | None:
    """Return what tells one published file from the next: it is replaced as a whole."""
    return (found.st_ino, found.st_mtime_ns) if home.published.exists() and (found := home.published.stat()) else None


def _remainder(home: Home, *, is_published: bool) -> str:
    """Say where a person who is out of the private file's rows may still stand."""
    places = [f"in the published file ({home.published.name})"] if is_published else []
    places += [f"in {len(folders)} folders of facts"] if (folders := facts.known_folders(home)) else []
    if not places:
        return "the person's rows are erased, but their bytes may still be in files of the home"
    return f"the person is erased from the private file, but still stands {' and '.join(places)}"


def _halt(error: Exception, state: str) -> None:
    """Raise the state in which a fault that people can mend halted an erasure; a bug stays one, and the state is told beside it."""
    cause = str(error) if isinstance(error, UserError) else explained(error)
    if cause is None:
        # not by way of the progress, which may have been asked to be quiet
        sys.stderr.write(f"perdure: forget: {state}; run `perdure forget` again when the fault is mended\n")
        return
    raise HalfErasedError(
        f"forget: {state}; mend this and run `perdure forget` again: {cause.partition('; nothing is lost')[0]}"
    ) from error


def remove_leftovers(home: Home) -> list[str]:
    """Remove what killed runs left beside the files, which may hold what was erased, and return the names."""
    found = []
    for path in sorted(home.path.iterdir()):
        if path.name.endswith((".duckdb.next", ".duckdb.next.wal", ".duckdb.compact", ".duckdb.compact.wal")) and path.is_file():
            path.unlink()
            found.append(path.name)
        elif path in (home.exchange, *(home.path / f".{home.facts.name}.{end}" for end in ("next", "old"))):
            shutil.rmtree(path)
            found.append(path.name)
        elif path.name.endswith(".duckdb.tmp") and path.is_dir():
            for part in path.iterdir():
                part.unlink()
            path.rmdir()
            found.append(path.name)
    return found


def _searched(home: Home, settings: Settings, who: Identity, people: set[int]) -> list[str]:
    """Look for every pseudonym of a person in every row and every byte, and return where nothing was found."""
    keys, ids = sorted(people | who.account_keys), sorted(who.person_ids)
    with open_warehouse(home, settings) as warehouse:
        for table, test in naming_conditions(warehouse, keys, ids, schemas=("raw", "core", "metrics")).items():
            if warehouse.value(f"select count(*) from {table} where {test}"):
                raise NotErasedError(f"a row of {table} names the person still")
    needles = traces(keys, ids)
    searched: Counter[str] = Counter()
    for path in sorted(home.path.rglob("*")):
        try:
            if not path.is_file() or path.is_symlink() or not path.stat().st_size:
                continue
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as held:
                if any(held.find(needle) >= 0 for needle in needles):
                    raise NotErasedError(f"{path.name} holds a trace of the person still")
        except FileNotFoundError:
            continue  # another process (Prefect's server, say) removed it since it was listed
        searched[path.relative_to(home.path).parts[0]] += 1
    return [name if (home.path / name).is_file() else f"{name} ({count} files)" for name, count in sorted(searched.items())]


def traces(keys: Iterable[int], ids: Iterable[str]) -> list[bytes]:
    """Return every form in which pseudonyms would stand in a file: 64 bits or decimal, 128 bits, hexadecimal or UUID."""
    found: list[bytes] = []
    for key in {*keys, *(person_key(name) for name in ids)}:
        found += [key.to_bytes(8, "little", signed=True), key.to_bytes(8, "big", signed=True), str(key).encode()]
    for name in ids:
        found += [spelt.encode() for text in (name, dashed([name])[0]) for spelt in (text, text.upper())]
        # DuckDB keeps a UUID as a 128-bit integer whose first bit is turned over
        for value in (int(name, 16), int(name, 16) ^ (1 << 127)):
            found += [value.to_bytes(16, "little"), value.to_bytes(16, "big")]
    return found


def other_files(home: Home) -> tuple[list[str], list[str]]:
    """Return the exports in the home, and what perdure did not write there."""
    exports = (
        [path.name for path in sorted(home.exports.iterdir()) if path.is_dir() and not path.is_symlink()] if home.exports.is_dir() else []
    )
    managed = {*_MANAGED, home.exports.name, home.facts.name, home.facts_list.name, home.logs.name, home.prefect.name}
    return exports, [path.name for path in sorted(home.path.iterdir()) if path.name not in managed]
