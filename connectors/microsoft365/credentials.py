"""Signing in to Microsoft Graph: client secret, certificate or managed identity by azure-identity.

azure-identity refuses an authority over plain HTTP, also on loopback. For a sandbox on this machine, and for nothing
else, a small credential asks the sandbox's token endpoint with the same client-credentials request.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import httpx
from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError, ServiceRequestError

from connectors.errors import UserError
from connectors.microsoft365.settings import Microsoft365Settings

_RENEW_BEFORE_SECONDS: Final = 120
_CONNECT_SECONDS: Final = 10.0
_TENANT: Final = re.compile(r"[A-Za-z0-9.-]+")
# the service is busy, or asks to come again: nothing that settings could mend
_PASSING: Final = frozenset({"AADSTS50196", "AADSTS90001", "AADSTS90006", "AADSTS90012", "AADSTS90024", "AADSTS90033", "AADSTS90055"})


class SignInError(Exception):
    """No token was given.

    Attributes:
        code: Entra's error code (`AADSTS7000215`), or a word of ours; nothing else of what was answered.
        is_refused: Whether the credentials were refused, so that another try is of no use.
        is_unreachable: Whether nothing answered at all.
    """

    def __init__(self, code: str, *, is_refused: bool = False, is_unreachable: bool = False) -> None:
        super().__init__(f"Microsoft Entra: {code}")
        self.code = code
        self.is_refused = is_refused
        self.is_unreachable = is_unreachable


class SignIn:
    """The application's token: kept until it is about to end, asked for anew once it is refused.

    Args:
        make: Makes the credential that asks; a new one, so that nothing remembers the token that was refused.

    Attributes:
        generation: How often the token was given up.
    """

    def __init__(self, make: Callable[[], AsyncTokenCredential]) -> None:
        self.generation = 0
        self._make = make
        self._credential = make()
        self._token: AccessToken | None = None
        self._turn = asyncio.Lock()

    async def get_token(
        self, *scopes: str, claims: str | None = None, tenant_id: str | None = None, enable_cae: bool = False, **options: Any
    ) -> AccessToken:
        """Return the token.

        Raises:
            SignInError: If there is none.
        """
        async with self._turn:
            if claims is None and self._token is not None and self._token.expires_on > time.time() + _RENEW_BEFORE_SECONDS:
                return self._token
            failure = SignInError("unavailable")
            try:
                self._token = await self._credential.get_token(
                    *scopes, claims=claims, tenant_id=tenant_id, enable_cae=enable_cae, **options
                )
                return self._token
            except ClientAuthenticationError as error:
                found = re.search(r"AADSTS\d+", str(error))
                code = found.group() if found else "refused"
                failure = SignInError(code, is_refused=code not in _PASSING)
            except ServiceRequestError:
                failure = SignInError("unreachable", is_unreachable=True)
            except AzureError:
                pass
            except ValueError:
                # the tenant or the authority is none
                failure = SignInError("no such tenant", is_refused=True)
        # outside the except blocks, so that no exception which quotes the answer hangs on ours
        raise failure

    async def renew(self, generation: int) -> None:
        """Give the token of a generation up, unless another request did so already."""
        async with self._turn:
            if generation != self.generation:
                return
            self.generation += 1
            self._token = None
            given_up, self._credential = self._credential, self._make()
        await given_up.close()

    async def close(self) -> None:
        """Release connections."""
        await self._credential.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        await self.close()


def credential(settings: Microsoft365Settings) -> AsyncTokenCredential:
    """Return the credential that settings describe.

    Raises:
        UserError: If the certificate cannot be read, or the tenant is none.
    """
    if urlsplit(settings.authority).scheme == "http":
        return LoopbackCredential(settings)
    # azure.identity takes a second to import; only who signs in pays it
    from azure.identity.aio import CertificateCredential, ClientSecretCredential, ManagedIdentityCredential

    if settings.managed_identity:
        return ManagedIdentityCredential(client_id=settings.client_id) if settings.client_id else ManagedIdentityCredential()
    # what did not answer is asked again by us
    options: dict[str, Any] = {"authority": settings.authority, "retry_total": 1, "connection_timeout": _CONNECT_SECONDS}
    if settings.authority_certificates is not None:
        options |= {"disable_instance_discovery": True, "connection_verify": settings.authority_certificates}
    if not _TENANT.fullmatch(settings.tenant_id):
        raise UserError("microsoft365.tenant_id: is neither a tenant's id nor one of its domains; see Entra admin center, Overview")
    if settings.client_secret is not None:
        return ClientSecretCredential(settings.tenant_id, settings.client_id, settings.client_secret.get_secret_value(), **options)
    password = settings.certificate_password.get_secret_value() if settings.certificate_password is not None else None
    made: AsyncTokenCredential | None = None
    with suppress(OSError, ValueError, TypeError):
        made = CertificateCredential(
            settings.tenant_id, settings.client_id, certificate_path=settings.certificate_path, password=password, **options
        )
    if made is None:
        raise UserError(
            "microsoft365.certificate_path: cannot be read as a certificate with its private key (PEM or PKCS12); "
            "check the file and certificate_password"
        )
    return made


def no_tls() -> ssl.SSLContext:
    """Return a context that trusts nobody, for clients of plain HTTP: loading the usual authorities takes 0.1 s."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class LoopbackCredential:
    """Client credentials over plain HTTP, for a sandbox on this machine only.

    Raises:
        ValueError: If the authority is not on loopback (settings refuse it earlier).
    """

    def __init__(self, settings: Microsoft365Settings) -> None:
        if urlsplit(settings.authority).hostname not in {"127.0.0.1", "localhost", "::1"} or settings.client_secret is None:
            raise ValueError("only for a sandbox on loopback")
        self._endpoint = f"{settings.authority.rstrip('/')}/{settings.tenant_id}/oauth2/v2.0/token"
        self._form = {
            "grant_type": "client_credentials",
            "client_id": settings.client_id,
            "client_secret": settings.client_secret.get_secret_value(),
        }
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(settings.timeout_seconds, connect=_CONNECT_SECONDS), trust_env=False, verify=no_tls()
        )
        self._token: AccessToken | None = None

    async def get_token(
        self, *scopes: str, claims: str | None = None, tenant_id: str | None = None, enable_cae: bool = False, **options: Any
    ) -> AccessToken:
        """Return the token, asking anew when it is about to end.

        Raises:
            ClientAuthenticationError: If the sandbox refuses the credentials.
            ServiceRequestError: If nothing answers.
            AzureError: If it does not answer as a token endpoint does; worth another try.
        """
        del claims, tenant_id, enable_cae, options
        if self._token is not None and self._token.expires_on > time.time() + _RENEW_BEFORE_SECONDS:
            return self._token
        status, answer, is_there = 0, None, True
        try:
            response = await self._client.post(self._endpoint, data={**self._form, "scope": " ".join(scopes)})
            status, answer = response.status_code, response.json()
        except (httpx.ConnectError, httpx.ConnectTimeout):
            is_there = False
        except (httpx.HTTPError, ValueError):
            pass
        if not is_there:
            raise ServiceRequestError("nothing answers")
        if status in {400, 401, 403}:
            raise ClientAuthenticationError("the token endpoint refuses the credentials")
        if status != 200 or not isinstance(answer, dict) or not isinstance(answer.get("access_token"), str):
            raise AzureError("the token endpoint did not answer with a token")
        lifetime = answer.get("expires_in")
        self._token = AccessToken(answer["access_token"], int(time.time()) + (lifetime if isinstance(lifetime, int) else 3600))
        return self._token

    async def close(self) -> None:
        """Release connections."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        await self.close()
