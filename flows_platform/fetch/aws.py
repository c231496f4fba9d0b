"""Signatures of AWS by botocore, which is imported where a source asks for one: it comes with the extra `aws`."""

from collections.abc import Mapping
from typing import Protocol

from flows_platform.domain.errors import ConfigurationError
from flows_platform.fetch.http.request import Request

type AwsKeys = tuple[str, str, str]  # id, secret, session token or ""

# Other headers are not signed: those of the connection may change on the way.
SIGNED_HEADERS = ("content-type", "x-amz-")


class _Signer(Protocol):
    def __call__(self, request: Request, headers: Mapping[str, str]) -> Mapping[str, str]:
        """The headers with the signature."""


def aws_signed(request: Request, region: str, service: str, keys: AwsKeys) -> Request:
    """The request with its signature now.

    Raises:
        ConfigurationError: botocore is not installed, or a key has characters that a header cannot hold.
    """
    kept = {name: text for name, text in request.sent_headers.items() if name.lower().startswith(SIGNED_HEADERS)}
    for name, text in _signer(region, service, keys)(request, kept).items():
        if name not in kept:
            request = request.with_secret_header(name, text)
    return request


def _signer(region: str, service: str, keys: AwsKeys) -> _Signer:
    try:
        from botocore.auth import S3SigV4Auth, SigV4Auth  # noqa: PLC0415 - an extra, of 100 ms
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415
        from botocore.credentials import Credentials  # noqa: PLC0415
    except ImportError:
        raise ConfigurationError(
            "`auth: {kind: aws}` needs botocore, which is not installed.",
            remedy="pip install 'flows-platform[aws]'",
        ) from None

    access_key, secret_key, token = keys
    kind = S3SigV4Auth if service == "s3" else SigV4Auth
    signer = kind(Credentials(access_key, secret_key, token or None), service, region)

    def sign(request: Request, headers: Mapping[str, str]) -> Mapping[str, str]:
        signed = AWSRequest(request.method, request.target, dict(headers), request.body)
        signer.add_auth(signed)
        return dict(signed.headers.items())

    return sign
