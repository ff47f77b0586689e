"""What could keep a night from running, each with its mend: versions, permissions, key, clock, disk, lock, schema, published file."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Literal
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import duckdb

from connectors.errors import UserError
from pipelines import retention
from pipelines.engines import require_engine
from pipelines.home import Home
from pipelines.keys import FINGERPRINT, NEXT, load_pseudonymiser
from pipelines.migrating import edited_migration, migration_files
from pipelines.rotate import ROTATION
from pipelines.settings import Settings, load_settings

Verdict = Literal["ok", "warning", "mend"]
_LATE: Final = timedelta(hours=36)
_AHEAD: Final = timedelta(days=2)
_SPARE_BYTES: Final = 1_000_000_000
_VERSIONS: Final = (
    ("duckdb", (1, 5, 5), (2, 1)),
    ("prefect", (3, 8, 8), (3, 10)),
    ("fastapi", (0,), (0, 151)),
    ("sqlalchemy", (2,), (2, 1)),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one examination found.

    Attributes:
        name: What was examined.
        verdict: ok, warning (a night would run), or mend (it would not, or not safely).
        detail: What was found.
        fix: What to do; empty where nothing is to be done.
    """

    name: str
    verdict: Verdict
    detail: str
    fix: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return the finding as a mapping."""
        return asdict(self)


def examine(home: Home) -> list[Finding]:
    """Examine everything that a night needs. Nothing is changed, and nothing is asked of a service but Prefect's health.

    Args:
        home: The home, which need not exist.
    """
    findings = list(_versions())
    if not home.path.is_dir():
        return [*findings, Finding("home", "mend", "there is none here", "run `perdure init`, or name it with --home or PERDURE_HOME")]
    findings += _permissions(home)
    try:
        settings: Settings | None = load_settings(home.settings_file)
        findings.append(Finding("settings", "ok", "every setting is known and in bounds"))
    except UserError as error:
        settings = None
        findings.append(Finding("settings", "mend", str(error), "correct it in perdure.toml or the environment"))
    if settings is not None and settings.build.engine != "duckdb":
        findings.append(_engine(settings))
    findings += _lock(home)
    findings += _warehouse(home, settings)
    for examination in (_disk, _encryption, _published, _leftovers):
        findings += examination(home)
    return [*findings, *_prefect()]


def _versions() -> Iterator[Finding]:
    wrong = []
    for name, low, below in _VERSIONS:
        try:
            found = tuple(int(part) for part in version(name).split(".")[:3] if part.isdigit())
        except PackageNotFoundError:
            wrong.append(f"{name} is not installed")
            continue
        if found < low or found >= below or (name == "duckdb" and found == (2, 0, 0)):
            wrong.append(f"{name} {version(name)} is not one that perdure works with")
    if wrong:
        yield Finding("versions", "mend", "; ".join(wrong), "run `pip install -c constraints.txt .` in perdure's own environment")
    else:
        yield Finding("versions", "ok", f"perdure {version('perdure')}, DuckDB {version('duckdb')}, Prefect {version('prefect')}")


def _permissions(home: Home) -> Iterator[Finding]:
    open_count = sum(_is_open(path) for path in home.path.rglob("*") if not path.is_symlink() and home.exports not in (path, *path.parents))
    if home.path.stat().st_mode & 0o077 or open_count:
        yield Finding(
            "permissions", "mend", f"the home or {open_count} files in it can be read by others", f"run `chmod -R go-rwx {home.path}`"
        )
    elif not os.access(home.path, os.W_OK | os.X_OK):
        yield Finding("permissions", "mend", "the home cannot be written to", "run as its owner, or mount it writable")
    else:
        yield Finding("permissions", "ok", "the home is open to its owner alone")


def _is_open(path: Any) -> bool:
    try:
        return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
    except OSError:
        return False


def _engine(settings: Settings) -> Finding:
    try:
        require_engine(settings.build)
    except UserError as error:
        return Finding("engine", "mend", str(error), "install it, or set build.engine to duckdb")
    return Finding("engine", "ok", f"{settings.build.engine} can start")


def _lock(home: Home) -> Iterator[Finding]:
    path = home.warehouse.with_suffix(".lock")
    try:
        with path.open("r+", encoding="utf-8") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield Finding("lock", "ok", "nobody is writing")
    except FileNotFoundError:
        yield Finding("lock", "ok", "nobody has written yet")
    except BlockingIOError:
        holder = path.read_text(encoding="utf-8").strip() or "an unknown process"
        yield Finding("lock", "warning", f"a run is writing ({holder})", "wait until it ends; a killed run leaves no lock")
    except OSError as error:
        yield Finding(
            "lock", "mend", f"the lock cannot be taken ({type(error).__name__})", "give the home back to the user that runs perdure"
        )


def _key(home: Home, settings: Settings | None, stored: str | None) -> Iterator[Finding]:
    try:
        pseudonyms = load_pseudonymiser(home.key_file, secret_block=settings.privacy.key_block if settings else None)
    except UserError as error:
        is_midway = home.path.joinpath(NEXT).exists()
        fix = (
            "run `perdure rotate-key`"
            if is_midway
            else "restore the key that the data was stored under"
            if stored
            else "run `perdure init`"
        )
        yield Finding("key", "mend", str(error), fix)
        return
    if stored is not None and stored != pseudonyms.fingerprint():
        yield Finding(
            "key", "mend", "the key is not the one that the data was stored under", "restore that key, or start with an empty home"
        )
    else:
        yield Finding("key", "ok", "the key is there" + (" and matches the data" if stored else ""))


def _warehouse(home: Home, settings: Settings | None) -> Iterator[Finding]:
    if not home.warehouse.exists():
        yield from _key(home, settings, None)
        yield Finding("warehouse", "warning", "nothing is stored yet", "run `perdure import` or `perdure sync`")
        return
    try:
        with duckdb.connect(str(home.warehouse), read_only=True) as connection:

            def ask(sql: str) -> Any:
                rows = connection.execute(sql).fetchall()
                return rows[0][0] if rows else None

            yield from _key(home, settings, ask(f"select value from raw.memo where name = '{FINGERPRINT}'"))
            for (name,) in connection.execute("select schema_name || '.' || table_name from duckdb_tables()").fetchall():
                # reads every block, so that a damaged one is met here and not at night
                ask(f"select bit_xor(hash(t)) from {name} as t")
            yield from _stored(ask)
            yield from _migrations(connection)
            yield from _clock(ask)
            yield from _retention(ask, settings or Settings())
    except duckdb.IOException as error:
        if "could not set lock" in str(error).lower():
            yield Finding("warehouse", "warning", "a run has it open", "ask again when it ended")
        else:
            yield Finding(
                "warehouse", "mend", "the private file cannot be read", "restore warehouse.duckdb from a backup, or move it away and import"
            )
    except duckdb.Error as error:
        yield Finding(
            "warehouse", "mend", f"the private file is damaged ({type(error).__name__})", "restore warehouse.duckdb from a backup"
        )


def _stored(ask: Callable[[str], Any]) -> Iterator[Finding]:
    newest = max(int(path.name.partition("_")[0]) for path in migration_files())
    found = ask("select max(version) from main.schema_version") or 0
    if found > newest:
        yield Finding(
            "schema", "mend", f"written by a newer perdure (schema {found}; this one knows {newest})", "install that version or newer"
        )
    elif found < newest:
        yield Finding("schema", "ok", f"schema {found}; the next command that writes brings it to {newest}")
    else:
        yield Finding("schema", "ok", f"schema {found}")
    if ask("select value from raw.memo where name = 'build'") == "unfinished":
        yield Finding("build", "warning", "the last build did not end", "run `perdure build`; it goes on where it was")
    if ask(f"select value from raw.memo where name = '{ROTATION}'") == "unfinished":
        yield Finding(
            "rotation",
            "warning",
            "the last rotation of the key did not end: old pseudonyms may be in the files",
            "run `perdure rotate-key`; it goes on where it was",
        )


def _migrations(connection: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    try:
        applied = connection.execute("select version, name, checksum from main.schema_version").fetchall()
    except duckdb.BinderException:
        return  # from before checksums were kept; the next command that writes notes them
    newest = max(int(path.name.partition("_")[0]) for path in migration_files())
    if edited := edited_migration(row for row in applied if row[0] <= newest):
        yield Finding("migrations", "mend", edited, "install perdure anew (`pip install --force-reinstall --no-deps .`)")


def _clock(ask: Callable[[str], Any]) -> Iterator[Finding]:
    now = datetime.now(UTC).replace(tzinfo=None)
    newest, ran = ask("select max(occurred_at) from raw.interaction where exclusion is null"), ask("select max(started_at) from raw.run")
    night = ask("select max(ended_at) from raw.run where outcome = 'done' and (command like 'sync%' or command like 'import%')")
    if ran is not None and ran > now + timedelta(minutes=5):
        yield Finding("clock", "mend", f"a run began at {ran:%Y-%m-%d %H:%M}, later than now", "set the machine's clock (NTP)")
    elif newest is not None and newest > now + _AHEAD:
        yield Finding(
            "clock", "warning", f"an interaction is dated {newest:%Y-%m-%d}, in the future", "set the machine's clock, or mend the source's"
        )
    else:
        yield Finding("clock", "ok", "no run and no message later than now")
    if night is not None and now - night > _LATE:
        yield Finding(
            "last night", "warning", f"nothing was read since {night:%Y-%m-%d %H:%M} UTC", "run `perdure nightly`; it catches up by itself"
        )


def _retention(ask: Callable[[str], Any], settings: Settings) -> Iterator[Finding]:
    last = ask(f"select max(ended_at) from raw.run where command = '{retention.COMMAND}' and outcome = 'done'")
    first = retention.kept_from(settings.privacy, datetime.now(UTC))
    ran = f"last ran {last:%Y-%m-%d %H:%M} UTC" if last is not None else "never ran"
    # a local day lies within a day of the UTC day, and whole months are deleted
    if ask(f"select count(*) from raw.interaction where occurred_at < date '{first}' - 1"):
        yield Finding(
            "retention",
            "warning",
            f"{ran}; interactions of before {first} are still there (privacy.retention_days: {settings.privacy.retention_days})",
            "run `perdure retention`: it deletes them, or says why it does not",
        )
    else:
        yield Finding("retention", "ok", f"{ran}; nothing is older than {first}")


def _disk(home: Home) -> Iterator[Finding]:
    used = sum(path.stat().st_size for path in (home.warehouse, home.published) if path.exists())
    free = shutil.disk_usage(home.path).free
    # publishing and compacting write the new file beside the old one
    needed = used + _SPARE_BYTES
    told = f"{free / 1e9:.1f} GB free, {needed / 1e9:.1f} GB wanted (a second copy of the files, and 1 GB)"
    yield Finding("disk", "ok", told) if free >= needed else Finding("disk", "mend", told, "free space where the home lies, or enlarge it")


def _encryption(home: Home) -> Iterator[Finding]:
    """DuckDB cannot write encrypted files offline, so the disk has to: said, but no reason for a night not to run."""
    device = home.path.stat().st_dev
    uuid = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/dm/uuid")
    try:
        is_encrypted = uuid.read_text(encoding="ascii").startswith("CRYPT-")
    except OSError:
        is_encrypted = False
    if is_encrypted:
        yield Finding("encryption", "ok", "the home lies on an encrypted disk")
    else:
        yield Finding(
            "encryption",
            "ok",
            "not seen: the home lies on no dm-crypt device",
            "if the disk is not encrypted otherwise (by its maker or the cloud), put the home on one that is",
        )


def _published(home: Home) -> Iterator[Finding]:
    if not home.published.exists():
        yield Finding("published file", "warning", "nothing is published yet", "run `perdure build` and `perdure publish`")
        return
    try:
        with duckdb.connect(str(home.published), read_only=True) as connection:
            ((as_of, built_at),) = connection.execute("select as_of, built_at from metrics.about").fetchall()
        yield Finding("published file", "ok", f"as of {as_of}, published {built_at:%Y-%m-%d %H:%M} UTC")
    except (duckdb.Error, ValueError) as error:
        yield Finding("published file", "mend", f"cannot be read ({type(error).__name__})", "run `perdure publish`, which replaces it")


def _leftovers(home: Home) -> Iterator[Finding]:
    found = sorted(path.name for path in home.path.iterdir() if path.name.endswith((".duckdb.next", ".duckdb.compact", ".tmp")))
    if found:
        yield Finding(
            "leftovers",
            "warning",
            f"{len(found)} files of a killed run: {', '.join(found)}",
            f"delete them while no run is writing: `cd {home.path} && rm -r {' '.join(found)}`",
        )


def _prefect() -> Iterator[Finding]:
    url = os.environ.get("PREFECT_API_URL")
    if not url:
        yield Finding("prefect", "ok", "no server is set (PREFECT_API_URL): flows run without one")
        return
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"}:
        yield Finding("prefect", "mend", "PREFECT_API_URL is no address", "set it to the server's, such as http://127.0.0.1:4200/api")
        return
    try:
        with urlopen(url.rstrip("/") + "/health", timeout=5) as answer:  # noqa: S310  (the scheme was looked at)
            answer.read(64)
        yield Finding("prefect", "ok", "the server answers")
    except (URLError, OSError, ValueError) as error:
        yield Finding(
            "prefect",
            "mend",
            f"the server does not answer ({type(error).__name__})",
            "start it (`prefect server start`), or correct PREFECT_API_URL; without it `perdure nightly` runs alone",
        )
