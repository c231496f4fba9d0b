"""What a request that got no answer means: come back later, or change something. Opens no connection."""

import http.client
import re
import ssl
from collections.abc import Iterator
from typing import NamedTuple

import urllib3

from flows_platform.domain.errors import PlatformError, SourceRefused, SourceUnavailable
from flows_platform.fetch.http.proxies import FORM, Proxy
from flows_platform.fetch.http.refusals import TRANSIENT_STATUSES

PROXY_AUTHENTICATION = 407
TUNNEL = re.compile(r"Tunnel connection failed: ([0-9]{3})(.*)", re.DOTALL)  # http.client's words
UNREACHED = {urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError, ssl.SSLError}
NO_CONNECTION = "Is the API server running, and is its address right?"
UNTRUSTED = "Where the server's CA is one of your own, name its certificate as `api.tls.ca`."
# What to do about a certificate, by OpenSSL's number of what is wrong with it.
CERTIFICATE_REMEDIES = {
    9: "Check this machine's clock.",  # not yet valid
    10: "The server needs a new certificate; check this machine's clock too.",  # expired
    62: "Give the URL by a name that the certificate holds.",
    64: "Give the URL by a name or an address that the certificate holds.",
}
CLIENT_CERTIFICATE = "Name a certificate that it accepts, and its key, as `api.tls.certificate` and `api.tls.key`."


class _Refusal(NamedTuple):
    """What a failed handshake means, and what to do."""

    message: str
    remedy: str


_ASKS = _Refusal("asks for a certificate of the client, and none is declared", CLIENT_CERTIFICATE)
_REJECTS = _Refusal("does not accept the client's certificate", CLIENT_CERTIFICATE)
_OLD = _Refusal("speaks no TLS 1.2 or newer", "The server needs a newer version of TLS.")
_NOT_TLS = _Refusal("does not speak TLS", "Check the URL: https, the host and the port.")
# By OpenSSL's reasons; names of alerts say what the server found.
HANDSHAKES = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": _ASKS,
    "SSLV3_ALERT_BAD_CERTIFICATE": _REJECTS,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": _REJECTS,
    "SSLV3_ALERT_CERTIFICATE_REVOKED": _REJECTS,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _REJECTS,
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": _REJECTS,
    "TLSV1_ALERT_ACCESS_DENIED": _REJECTS,
    "TLSV1_ALERT_DECRYPT_ERROR": _REJECTS,
    "TLSV1_ALERT_UNKNOWN_CA": _REJECTS,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": _Refusal(
        "does not agree to a connection", f"It may ask for a certificate of the client. {CLIENT_CERTIFICATE}"
    ),
    "TLSV1_ALERT_PROTOCOL_VERSION": _OLD,
    "UNSUPPORTED_PROTOCOL": _OLD,
    "HTTP_REQUEST": _NOT_TLS,
    "WRONG_VERSION_NUMBER": _NOT_TLS,
}


def failure(url: str, error: BaseException, proxy: Proxy | None = None) -> PlatformError:
    """The error for a request to `url`, shown as it is, that got no answer."""
    if proxy and (found := _failure_of_proxy(url, error, proxy)):
        return found
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            remedy = CERTIFICATE_REMEDIES.get(cause.verify_code, UNTRUSTED)
            why = cause.verify_message.rstrip(".")
            return SourceRefused(f"{url} shows a certificate that cannot be trusted: {why}.", remedy=remedy)
        if isinstance(cause, ssl.SSLError) and (refusal := HANDSHAKES.get(cause.reason or "")):
            return SourceRefused(f"{url} {refusal.message} ({cause.reason}).", remedy=refusal.remedy)
        if _is_malformed(cause):
            return SourceRefused(f"{url} answers with a head that is not HTTP ({brief(error)}).")
    through = f" through the proxy {proxy.url}" if proxy else ""
    return SourceUnavailable(f"{url} gives no answer{through} ({brief(error)}).", remedy=NO_CONNECTION)


def unauthenticated(proxy: Proxy) -> PlatformError:
    """The error for a proxy that asks for other credentials."""
    what = "does not accept the user and password" if proxy.credentials else "asks for a user and a password"
    return SourceRefused(
        f"the proxy {proxy.url}, named by {proxy.variable}, {what} ({PROXY_AUTHENTICATION}).", remedy=FORM
    )


def _failure_of_proxy(url: str, error: BaseException, proxy: Proxy) -> PlatformError | None:
    """The error where the proxy is at fault: it cannot be reached, or opens no tunnel."""
    named = f"the proxy {proxy.url}, named by {proxy.variable},"
    for cause in _causes(error):
        if found := TUNNEL.fullmatch(str(cause)) if isinstance(cause, OSError) else None:
            status = int(found[1])
            if status == PROXY_AUTHENTICATION:
                return unauthenticated(proxy)
            kind = SourceUnavailable if status in TRANSIENT_STATUSES else SourceRefused
            why = f"{found[1]}{found[2]}"[:100].rstrip()
            return kind(
                f"{named} opens no connection to {url} ({why}).",
                remedy="Let the proxy allow it, or list the host in NO_PROXY.",
            )
    kinds = [kind for cause in _causes(error) for kind in type(cause).__mro__]
    # urllib3 also blames the proxy for what happens later, where the connection has been closed meanwhile.
    if urllib3.exceptions.ProxyError in kinds and not UNREACHED.isdisjoint(kinds):
        remedy = f"Check {proxy.variable}; NO_PROXY lists hosts to reach directly."
        return SourceUnavailable(f"{named} cannot be used ({brief(error)}).", remedy=remedy)
    return None


def brief(error: BaseException) -> str:
    """The innermost reason in a few words; urllib3's own text repeats the URL with its query."""
    *_, innermost = _causes(error)
    return f"{type(innermost).__name__}: {innermost}"[:200]


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what led to it, the innermost last."""
    while isinstance(error, Exception):
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _is_malformed(error: BaseException) -> bool:
    """Whether the head itself is at fault: too many or too long lines, or no status line."""
    too_many = type(error) is http.client.HTTPException
    return too_many or isinstance(error, http.client.LineTooLong | http.client.UnknownProtocol)
