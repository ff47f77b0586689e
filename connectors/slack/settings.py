"""What a user may set of the Slack connector."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

SOURCE: Final = "slack"
BASE_URL: Final = "https://slack.com/api/"
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


def is_loopback(url: str) -> bool:
    """Return whether a URL names this machine."""
    return urlsplit(url).hostname in _LOOPBACK


class SlackSettings(BaseModel):
    """Settings of the Slack connector (`[slack]` in perdure.toml)."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    token: SecretStr = Field(description="Token of your own internal Slack app: xoxb-... (bot) or xoxp-... (user).")
    base_url: str = Field(default=BASE_URL, description="Slack's Web API; another one only for GovSlack or the sandbox.")
    team_id: str | None = Field(
        default=None, description="With an organisation-wide app: the one workspace to read; empty for every workspace it is in."
    )
    history_days: int = Field(default=365, ge=1, le=20_000, description="How far back the first run reads.")
    late_reply_days: int = Field(
        default=30, ge=1, le=365, description="How many days are read again each night for late replies, edits, reactions and deletions."
    )
    settle_hours: int = Field(
        default=24,
        ge=0,
        le=24 * 14,
        description="A thread read while it was still lively is read once more when it has been quiet this long.",
    )
    sweep_nights: int = Field(
        default=28, ge=0, le=366, description="Each channel is read again whole, older threads too, every so many nights; 0 for never."
    )
    retention_days: int | None = Field(
        default=None,
        ge=1,
        description="After how many days the workspace deletes messages by policy; what is gone for that reason is kept here.",
    )
    include_archived: bool = Field(default=True, description="Whether archived channels are read (once, until nothing in them can change).")
    include_private_channels: bool = Field(default=True, description="Whether private channels are read.")
    include_group_dms: bool = Field(default=True, description="Whether group direct messages are read.")
    include_dms: bool = Field(default=True, description="Whether direct messages are read.")
    include_channels: frozenset[str] = Field(default=frozenset(), description="Only these conversation ids; empty for all.")
    exclude_channels: frozenset[str] = Field(default=frozenset(), description="Not these conversation ids.")
    own_domains: frozenset[str] = Field(
        default=frozenset(), description="Domains of the own organisation; whoever has an address there is no guest."
    )
    opted_out: frozenset[str] = Field(
        default=frozenset(), description="People who asked to be left out: their person_id or account_key, as perdure shows them."
    )
    account_refresh_days: int = Field(
        default=30, ge=1, le=366, description="After how many days an outside person's entry is asked for again."
    )
    use_discovery: bool = Field(default=True, description="Whether the Enterprise Discovery API is used where the token has it.")
    concurrency: int = Field(default=4, ge=1, le=32, description="How many conversations are read at once.")
    page_size: int = Field(default=999, ge=1, le=999, description="How many messages one request asks for.")
    pace: float = Field(
        default=1.0,
        gt=0,
        le=10_000,
        description="Multiplies Slack's request budgets: below 1 leaves room for other apps.",
    )
    requests_per_minute: dict[str, float] = Field(default_factory=dict, description="Budget of single methods, in place of Slack's tiers.")
    retries: int = Field(
        default=8, ge=0, le=50, description="How often a failed request is tried again; then its conversation is left for the next run."
    )
    backoff_seconds: float = Field(default=0.5, gt=0, le=60, description="First pause after a failure; it doubles, with jitter.")
    longest_wait_seconds: float = Field(default=300, gt=0, le=3600, description="Longest single pause, whatever Retry-After says.")
    timeout_seconds: float = Field(default=60, gt=0, le=600, description="How long one request may take.")

    @field_validator("base_url")
    @classmethod
    def _is_safe(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(url)):
            raise ValueError("base_url must begin with https:// (http:// is allowed only for the sandbox on 127.0.0.1)")
        return url if url.endswith("/") else url + "/"

    @field_validator("token")
    @classmethod
    def _is_given(cls, token: SecretStr) -> SecretStr:
        if not token.get_secret_value().strip():
            raise ValueError("the Slack token is empty")
        return token
