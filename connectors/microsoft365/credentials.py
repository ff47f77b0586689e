"""Signing in to Microsoft Graph: client secret, certificate or managed identity by azure-identity.

azure-identity refuses an authority over plain HTTP, also on loopback. For a sandbox on this machine, and for nothing
else, a small credential asks the sandbox's token endpoint with the same client-credentials request.
"""

from __future__ import annotations

import ssl
import time
from contextlib import suppress
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError

from connectors.errors import UserError
from connectors.microsoft365.settings import Microsoft365Settings

_RENEW_BEFORE_SECONDS = 120


def credential(settings: Microsoft365Settings) -> AsyncTokenCredential:
    """Return the credential that settings describe.

    Raises:
        UserError: If the certificate cannot be read.
    """
    if urlsplit(settings.authority).scheme == "http":
        return LoopbackCredential(settings)
    # azure.identity takes a second to import; only who signs in pays it
    from azure.identity.aio import CertificateCredential, ClientSecretCredential, ManagedIdentityCredential

    if settings.managed_identity:
        return ManagedIdentityCredential(client_id=settings.client_id) if settings.client_id else ManagedIdentityCredential()
    options: dict[str, Any] = {"authority": settings.authority}
    if settings.authority_certificates is not None:
        options |= {"disable_instance_discovery": True, "connection_verify": settings.authority_certificates}
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
        self._client = httpx.AsyncClient(timeout=settings.timeout_seconds, trust_env=False, verify=no_tls())
        self._token: AccessToken | None = None

    async def get_token(
        self, *scopes: str, claims: str | None = None, tenant_id: str | None = None, enable_cae: bool = False, **options: Any
    ) -> AccessToken:
        """Return the token, asking anew when it is about to end.

        Raises:
            ClientAuthenticationError: If the sandbox refuses the credentials.
            AzureError: If it does not answer as a token endpoint does; worth another try.
        """
        del claims, tenant_id, enable_cae, options
        if self._token is not None and self._token.expires_on > time.time() + _RENEW_BEFORE_SECONDS:
            return self._token
        status, answer = 0, None
        try:
            response = await self._client.post(self._endpoint, data={**self._form, "scope": " ".join(scopes)})
            status, answer = response.status_code, response.json()
        except (httpx.HTTPError, ValueError):
            pass
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
