"""Settings: `perdure.toml` in the home, then environment variables (`PERDURE_MEASURE__TIME_ZONE=...`), then flags.

An unknown key is an error that names the nearest known one; a wrong value is an error that names the setting. Neither
message repeats the value: it might be a secret.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from connectors.errors import UserError
from connectors.microsoft365.settings import Microsoft365Settings
from connectors.pseudonyms import Pseudonymiser
from connectors.slack.settings import SlackSettings
from metrics.disclosure import DisclosurePolicy
from metrics.parameters import Parameters
from pipelines.declarations import Declarations
from pipelines.secret_blocks import resolved

PREFIX: Final = "PERDURE_"
NOT_SETTINGS: Final = frozenset(
    {"PERDURE_HOME", "PERDURE_KEY", "PERDURE_DEBUG", "PERDURE_CHECKOUT", "PERDURE_CASES", "PERDURE_ORACLE_DATA"}
)
"""Environment variables of perdure that are no settings."""


_SECRETS: Final[Mapping[str, tuple[str, ...]]] = {"slack": ("token",), "microsoft365": ("client_secret", "certificate_password")}
"""Section -> its secrets: each may be given as `block:NAME`, the name of a Prefect Secret block that holds it."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OwnOrganisation(_Section):
    """The organisation that runs perdure."""

    name: str = Field("Own organisation", description="Its name, as reports show it.")
    domains: tuple[str, ...] = Field((), description="Its e-mail domains. People of other domains are external once one is named here.")
    slack_teams: tuple[str, ...] = Field((), description="Ids of its Slack workspaces (T...), to tell Slack Connect guests apart.")


class OtherOrganisation(_Section):
    """A client, supplier, partner or public body."""

    key: str = Field(description="Short name, used in the charter.", pattern=r"^[a-z0-9_]+$")
    name: str = Field(description="Its name, as reports show it.")
    kind: Literal["client", "supplier", "partner", "public_body", "unknown"] = Field(description="What it is to the own organisation.")
    domains: tuple[str, ...] = Field((), description="Its e-mail domains.")
    slack_teams: tuple[str, ...] = Field((), description="Ids of its Slack workspaces (T...).")


class Policy(_Section):
    """A change of policy whose effect is to be estimated."""

    key: str = Field(description="Short name.", pattern=r"^[a-z0-9_]+$")
    name: str = Field(description="What changed, in the organisation's words.")
    starts_on: date = Field(description="The first day on which it held.")
    teams: tuple[str, ...] = Field(
        (), description="For which teams; empty for everyone. Repeat the policy with another date for teams that began later."
    )
    description: str = Field("", description="More about it.")


class Privacy(_Section):
    """Disclosure control and the key."""

    minimum_group_size: int = Field(5, ge=5, description="Figures about fewer people than this are never exported. It can only be raised.")
    rounding_base: int = Field(5, ge=5, le=100, description="Exported counts are rounded to a multiple of this. It can only be raised.")
    retention_days: int = Field(
        400, ge=90, description="Interactions and contacts older than this are deleted by each night, in whole months; panels stay."
    )
    retention_margin: float = Field(
        0.1,
        ge=0,
        le=1,
        description="What share of all interactions a night may delete beyond one month's part; more needs `perdure retention --yes`.",
    )
    key_block: str | None = Field(None, description="Name of a Prefect Secret block that holds the pseudonym key.")


class Publish(_Section):
    """What analysts get."""

    messages: bool = Field(
        True, description="Whether the published file has the tables with one row a message (core.interaction, core.contact)."
    )


class WarehouseSettings(_Section):
    """The private file."""

    memory_limit: str | None = Field(None, description="DuckDB's memory limit, such as 4GB; by default four fifths of the machine.")


class BuildSettings(_Section):
    """What computes the tables."""

    engine: Literal["duckdb", "spark"] = Field(
        "duckdb",
        description="duckdb: this machine. spark: the heavy path on Apache Spark, for whom one machine is too small.",
    )
    master: str | None = Field(
        None,
        description="Spark's master, such as local[4], yarn or k8s://...; by default what spark-submit says, else this machine.",
    )
    conf: tuple[str, ...] = Field((), description="Further settings of Spark, each as name=value.")
    exchange: str | None = Field(
        None, description="Folder that this machine and every executor see under the same path; by default exchange in the home."
    )

    @field_validator("conf")
    @classmethod
    def _pairs(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        if not all("=" in line.strip("=") for line in given):
            raise ValueError("each is written name=value")
        return given


class Nightly(_Section):
    """The nightly flow."""

    export: bool = Field(True, description="Whether a night ends with an export.")
    wait_minutes: float = Field(
        60, ge=0, le=24 * 60, description="How long a stage of a flow waits while another run (a backfill, say) writes to the private file."
    )


class Settings(BaseSettings):
    """All settings of perdure."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)

    organisation: OwnOrganisation = Field(OwnOrganisation(), description="The own organisation.")
    organisations: tuple[OtherOrganisation, ...] = Field((), description="Clients, suppliers, partners and public bodies.")
    policies: tuple[Policy, ...] = Field((), description="Changes of policy whose effects are to be estimated.")
    charter: str | None = Field(None, description="File in the home that declares which relationships matter, such as charter.toml.")
    slack: SlackSettings | None = Field(None, description="Slack, read every night where this section is given.")
    microsoft365: Microsoft365Settings | None = Field(None, description="Microsoft 365, read every night where this section is given.")
    measure: Parameters = Field(Parameters(), description="Choices that change figures.")
    privacy: Privacy = Field(Privacy(), description="Disclosure control and the key.")
    publish: Publish = Field(Publish(), description="What analysts get.")
    warehouse: WarehouseSettings = Field(WarehouseSettings(), description="The private file.")
    build: BuildSettings = Field(BuildSettings(), description="What computes the tables.")
    nightly: Nightly = Field(Nightly(), description="The nightly flow.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags before the environment before the file."""
        del dotenv_settings, file_secret_settings
        file = TomlConfigSettingsSource(settings_cls, toml_file=_FILE.get("path"))
        return init_settings, env_settings, file

    def disclosure(self) -> DisclosurePolicy:
        """Return what disclosure control goes by."""
        return DisclosurePolicy(minimum_group_size=self.privacy.minimum_group_size, rounding_base=self.privacy.rounding_base)

    @model_validator(mode="before")
    @classmethod
    def _secrets_of_blocks(cls, given: Any) -> Any:
        """Load each secret that is given as `block:NAME` from that Prefect Secret block."""
        if not isinstance(given, dict):
            return given
        found = dict(given)
        for section, names in _SECRETS.items():
            if isinstance(found.get(section), dict):
                loaded = {name: resolved(found[section][name], f"{section}.{name}") for name in names if name in found[section]}
                found[section] = {**found[section], **loaded}
        return found

    @model_validator(mode="after")
    def _time_zone_exists(self) -> Settings:
        try:
            ZoneInfo(self.measure.time_zone)
        except (KeyError, ValueError, OSError):
            raise ValueError("measure.time_zone: no such time zone; use an IANA name such as Europe/Paris") from None
        return self


_FILE: dict[str, Path] = {}


def load_settings(file: Path, **flags: Any) -> Settings:
    """Read the settings from `file` (if it is there), the environment and flags.

    Raises:
        UserError: On an unknown key, a wrong value or a file that is no TOML; the message names the setting and the mend.
    """
    _refuse_unknown_variables()
    if file.exists():
        try:
            tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            where = str(error).rpartition("(")[2].rstrip(")") if "(" in str(error) else "unknown place"
            raise UserError(f"{file.name}: is no valid TOML ({where})") from None
    _FILE["path"] = file
    try:
        return Settings(**flags)
    except ValidationError as error:
        raise UserError("; ".join(_explained(problem) for problem in error.errors(include_input=False, include_url=False))) from None
    finally:
        _FILE.clear()


def _explained(problem: Mapping[str, Any]) -> str:
    place = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        near = get_close_matches(place, [name for name, _, _ in setting_rows()], n=1, cutoff=0.5)
        return f"{place}: unknown setting" + (f"; did you mean {near[0]}?" if near else "")
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


def _refuse_unknown_variables() -> None:
    sections = Settings.model_fields
    for name in os.environ:
        if name.startswith(PREFIX) and name not in NOT_SETTINGS:
            section = name.removeprefix(PREFIX).partition("__")[0].lower()
            if section not in sections:
                near = get_close_matches(section, sections, n=1)
                hint = f"; did you mean {PREFIX}{near[0].upper()}?" if near else ""
                raise UserError(f"{name}: unknown environment variable{hint}")


def setting_rows(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """Yield every setting as (name, default, description), for documentation and for the hint at the nearest name.

    The default of a setting that must be given is `...`.
    """
    for name, info in model.model_fields.items():
        inner = _model_in(info.annotation)
        listed = get_origin(info.annotation) is tuple
        if inner is not None:
            yield from setting_rows(inner, f"{prefix}{name}{'[]' if listed else ''}.")
        else:
            default = ... if info.is_required() else info.get_default(call_default_factory=True)
            yield f"{prefix}{name}", default, info.description or ""


def _model_in(annotation: Any) -> type[BaseModel] | None:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


class _Relationship(_Section):
    """A declared relationship."""

    key: str = Field(pattern=r"^[a-z0-9_]+$")
    name: str
    between: tuple[str, str] = Field(description="Two parties: a team's name, `organisation:<key>`, or `newcomers`.")
    minimum_ties: int = Field(2, ge=1)
    contact_within_days: int = Field(30, ge=1)


class _Charter(_Section):
    relationships: tuple[_Relationship, ...] = ()


def load_declarations(settings: Settings, home: Path, pseudonyms: Pseudonymiser) -> Declarations:
    """Turn settings and the charter file into declarations; domains become keyed hashes.

    Raises:
        UserError: If the charter is missing or malformed, or names an organisation that settings do not.
    """
    organisations = [("own", settings.organisation.name, "own")]
    domains = [(key, "own") for key in _domain_keys(settings.organisation, pseudonyms)]
    for other in settings.organisations:
        organisations.append((other.key, other.name, other.kind))
        domains += [(key, other.key) for key in _domain_keys(other, pseudonyms)]
    for label, values in (("organisations[].key", [key for key, _, _ in organisations]), ("domains", [str(key) for key, _ in domains])):
        if len(set(values)) != len(values):
            raise UserError(f"{label}: one of them is given twice; each belongs to one organisation")
    policies = [(policy.key, policy.name, policy.starts_on, list(policy.teams), policy.description) for policy in settings.policies]
    relationships = _relationships(settings, home, {key for key, _, _ in organisations})
    return Declarations(organisations, domains, policies, relationships)


def _domain_keys(organisation: OwnOrganisation | OtherOrganisation, pseudonyms: Pseudonymiser) -> list[int]:
    names = [*organisation.domains, *(f"slack-team:{team}" for team in organisation.slack_teams)]
    return [key for name in names if (key := pseudonyms.domain_key(name)) is not None]


def _relationships(settings: Settings, home: Path, organisations: set[str]) -> list[tuple[str, str, str, str, str, str, int, int]]:
    if settings.charter is None:
        return []
    path = home / settings.charter
    try:
        charter = _Charter.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise UserError(f"charter: {settings.charter} is not in the home; write it there, or leave the setting out") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise UserError(f"charter: {settings.charter} is no valid TOML") from None
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False)
        raise UserError(f"charter: {'; '.join('.'.join(str(part) for part in p['loc']) + ': ' + p['msg'] for p in problems)}") from None
    rows = []
    for declared in charter.relationships:
        parties = [_party(text, declared.key, organisations) for text in declared.between]
        rows.append((declared.key, declared.name, *parties[0], *parties[1], declared.minimum_ties, declared.contact_within_days))
    return rows


def _party(text: str, relationship: str, organisations: set[str]) -> tuple[str, str]:
    if text == "newcomers":
        return text, "newcomers"
    if text.startswith("organisation:"):
        key = text.removeprefix("organisation:")
        if key not in organisations:
            raise UserError(f"charter: {relationship} names an organisation that settings do not; add it under [[organisations]]")
        return key, "organisation"
    return text, "team"
