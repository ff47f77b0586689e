"""Settings of the Microsoft 365 connector: the `[microsoft365]` section of perdure.toml."""

from __future__ import annotations

from typing import Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

SOURCE: Final = "microsoft365"
LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class Microsoft365Settings(BaseModel):
    """How to sign in to Microsoft Graph, what to read there, and how fast."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tenant_id: str = Field(description="The tenant (directory) id.", min_length=1)
    client_id: str = Field("", description="The application (client) id; for a managed identity only where it is user-assigned.")
    client_secret: SecretStr | None = Field(None, description="Client secret; best given as PERDURE_MICROSOFT365__CLIENT_SECRET.")
    certificate_path: str | None = Field(None, description="PEM or PKCS12 file with certificate and private key, in place of a secret.")
    certificate_password: SecretStr | None = Field(None, description="The certificate file's password.")
    managed_identity: bool = Field(False, description="Whether to sign in as the machine's managed identity.")
    authority: str = Field(
        "https://login.microsoftonline.com", description="Where to sign in; national clouds differ (https://login.microsoftonline.us, ...)."
    )
    authority_certificates: str | None = Field(
        None, description="PEM file of authorities to trust for a private authority; its name is then not looked up at Microsoft."
    )
    base_url: str = Field("https://graph.microsoft.com/v1.0", description="Where Graph is; national clouds differ.")

    own_domains: frozenset[str] = Field(
        frozenset(), description="Your own e-mail domains, beside those that the tenant has verified (needed where it may not be asked)."
    )

    mail: bool = Field(True, description="Read who wrote to whom by mail (Mail.ReadBasic.All).")
    external_mail: Literal["all_folders", "inbox", "off"] = Field(
        "all_folders",
        description="Where to look for received mail: of people outside, of leavers, of mailboxes that cannot be read. With inbox, what "
        "rules sort away or people file before the night is lost, and coverage says that mail is seen in part; with off, only Sent Items "
        "are read.",
    )
    automatic_senders: tuple[str, ...] = Field(
        (),
        description="Addresses, with * for anything, from which no person writes, beside noreply@, mailer-daemon@ and the like, which are "
        "known: jira@*, *@news.example. One that begins with ! is a person's after all.",
    )
    calendar: bool = Field(True, description="Read meetings (Calendars.ReadBasic.All).")
    count_tentative: bool = Field(False, description="Whether a tentative acceptance counts as attending.")
    chats: bool = Field(True, description="Read Teams chats' metadata (Chat.Read.All; text arrives and is dropped in the parser).")
    channels: bool = Field(True, description="Read Teams channels' metadata (ChannelMessage.Read.All, Team.ReadBasic.All).")
    calls: bool = Field(True, description="Read call records (CallRecords.Read.All), also to know who attended online meetings.")
    attendance_reports: bool = Field(
        False, description="Read attendance reports of meetings without a call record (needs a Teams application access policy)."
    )
    leave_dates: bool = Field(False, description="Read the day on which people leave (User-LifeCycleInfo.Read.All).")

    mailboxes: tuple[str, ...] = Field(
        (),
        description="Read only these people: addresses or object ids; empty for everyone. Of channels and calls, which Graph gives "
        "whole, only what one of them took part in is kept.",
    )
    groups: tuple[str, ...] = Field(
        (), description="Read only members of these groups (object ids), as with mailboxes; empty for everyone."
    )
    teams: tuple[str, ...] = Field((), description="Read the channels of only these Teams teams (object ids); empty for every team.")
    opted_out: tuple[str, ...] = Field(
        (), description="Who asked to be left out: person_id (32 hexadecimal digits) or account_key in decimal."
    )

    history_days: int = Field(365, ge=1, le=3650, description="How far back a first run reads.")
    overlap_hours: int = Field(24, ge=1, le=720, description="How much of what was read is read again, for what arrived late.")
    calls_overlap_days: int = Field(7, ge=1, le=30, description="How far back the list of calls is read again: records come days late.")
    lookback_days: int = Field(14, ge=1, le=30, description="How far back calendars are read again, for moved and deleted meetings.")
    window_days: int = Field(92, ge=1, le=366, description="How many days of calendars and chats are read at once.")
    concurrency: int = Field(32, ge=1, le=128, description="Requests under way at once of each kind: mailboxes, chats, calls.")
    pace: float = Field(1.0, gt=0, le=10_000, description="Multiplies Graph's request budgets: below 1 leaves room for other apps.")
    mailbox_concurrency: int = Field(4, ge=1, le=16, description="Requests under way at once for one mailbox; Exchange allows 4.")
    page_size: int = Field(500, ge=1, le=1000, description="Messages or events a page.")
    teams_page_size: int = Field(50, ge=1, le=1000, description="Teams messages a page.")
    attempts: int = Field(10, ge=1, le=50, description="How often a request is tried before its mailbox counts as not read.")
    retry_seconds: float = Field(1.0, gt=0, le=60, description="First pause after a failure; it doubles, with jitter, to a minute.")
    longest_pause_seconds: float = Field(900.0, gt=0, description="Longest Retry-After that is waited for.")
    resync_jitter_seconds: float = Field(
        15.0, ge=0, le=600, description="Longest random pause before a directory is read anew because its delta token expired."
    )
    timeout_seconds: float = Field(100.0, gt=0, description="Longest wait for a response.")

    @property
    def is_loopback(self) -> bool:
        """Whether Graph is a sandbox on this machine over plain HTTP."""
        parts = urlsplit(self.base_url)
        return parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS

    @property
    def resource(self) -> str:
        """Scheme and host of Graph, for which a token is asked."""
        parts = urlsplit(self.base_url)
        return f"{parts.scheme}://{parts.netloc}"

    @model_validator(mode="after")
    def _can_sign_in(self) -> Self:
        for name, url in (("base_url", self.base_url), ("authority", self.authority)):
            parts = urlsplit(url)
            if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS):
                raise ValueError(f"{name}: must begin with https://")
        ways = [self.client_secret is not None, self.certificate_path is not None, self.managed_identity]
        if sum(ways) != 1:
            raise ValueError("give exactly one of client_secret, certificate_path and managed_identity")
        if not self.managed_identity and not self.client_id:
            raise ValueError("client_id: missing")
        if urlsplit(self.authority).scheme == "http" and self.client_secret is None:
            raise ValueError("authority: a plain HTTP authority takes a client_secret only")
        return self
