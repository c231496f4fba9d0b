"""`flows hook send` and `flows hook secret`: for those who set a webhook up."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args
from uuid import uuid4

from flows_platform.cli.commands.terminal import progress_bar, say
from flows_platform.components.webhook_files import webhook_named
from flows_platform.declared import Secrets, did_you_mean
from flows_platform.domain.errors import ConfigurationError, InputError, PlatformError
from flows_platform.domain.redaction import Redactor
from flows_platform.fetch.http.client import HttpClient, HttpLimits
from flows_platform.fetch.http.proxies import Proxies
from flows_platform.fetch.http.refusals import Refusals
from flows_platform.fetch.http.request import Request
from flows_platform.settings import load_settings, secret
from flows_platform.webhooks.declaration import WebhookDeclaration
from flows_platform.webhooks.signatures import AnyVerification
from flows_platform.webhooks.signing import new_secret, signed

GOOD = frozenset({200, 202, 204})
LIMITS = HttpLimits(connect=10, read=60, total=120)
ANSWER_BYTES = 1 << 16
ELSEWHERE = "No webhook is received at that URL: compare it with `webhook.path`, and restart the receiver."
REMEDIES = {
    401: "The receiver has another secret, or its clock differs: compare the variables of both.",
    403: "The receiver takes deliveries from the addresses in `webhook.senders` alone.",
    404: ELSEWHERE,
    405: ELSEWHERE,
    413: "Send fewer bytes, or raise `webhook.limit_bytes`.",
}


def run_send(name: str, file: Path, url: str | None) -> None:
    """Send the file's bytes as a delivery of the webhook's vendor, and print the answer.

    Raises:
        ConfigurationError: there is no such webhook, or a secret is not set.
        InputError: the file cannot be read.
        PlatformError: the receiver does not accept it.
    """
    settings = load_settings()
    declaration = webhook_named(name, settings)
    if declaration.webhook.unwrap:
        raise ConfigurationError(
            f"{name} takes deliveries through Amazon SNS, which signs them with a key of its own.",
            remedy="Publish the file to the topic: aws sns publish --topic-arn ARN --message file://FILE.",
        )
    secrets = declaration.secrets(secret)
    body = _read(file)
    target = url or f"{settings.hooks_base}{declaration.paths[0]}"
    request = _request(declaration, secrets, body, target)
    say(f"Sending {len(body):,} bytes to {target}, verified as `{declaration.webhook.verify.kind}`.")
    own = f"{settings.api_host}:{settings.api_port}"
    # guard: a sent secret is not shown
    with (
        Redactor(tuple(secrets.values())).errors(),
        closing(HttpClient(LIMITS, proxies=Proxies.of_environment([own]))) as client,
        progress_bar("Sending", "bytes"),
    ):
        say(_sent(client, request))


def print_secret(kind: str) -> None:
    """Print a new secret of a kind.

    Raises:
        ConfigurationError: there is no such kind.
    """
    kinds = [
        str(model.model_fields["kind"].default)
        for model in get_args(get_args(AnyVerification)[0])
        if "secret" in model.model_fields
    ]
    if kind not in kinds:
        near = did_you_mean(kind, kinds) or "."
        raise ConfigurationError(f"{kind!r} is not a kind with a secret{near}", remedy=f"One of {', '.join(kinds)}.")
    say(new_secret(kind))


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(
            f"{file} cannot be read: {error.strerror}.", remedy="Name a file with one delivery."
        ) from error


def _request(declaration: WebhookDeclaration, secrets: Secrets, body: bytes, target: str) -> Request:
    proof = signed(declaration.webhook, body, secrets, f"msg_{uuid4().hex}", datetime.now(UTC))
    base, mark, query = target.partition("?")
    keyed = f"{base.rstrip('/')}/{proof.url_key}{mark}{query}" if proof.url_key else target
    headers = {"User-Agent": "flows-platform", "Accept": "application/json"} | proof.headers
    return Request(keyed, headers=headers, method="POST", body=body, content_type="application/json")


def _sent(client: HttpClient, request: Request) -> str:
    """The status and the body of the answer."""
    statuses: list[int] = []
    try:
        with client.stream(
            request, refusals=Refusals(good=GOOD), seen=lambda _, status: statuses.append(status)
        ) as answer:
            text = answer.beginning(ANSWER_BYTES).decode(errors="replace").strip()
            return f"{answer.status} {text}".rstrip()
    except PlatformError as error:
        error.reword(error.message, REMEDIES.get(statuses[-1], error.remedy) if statuses else error.remedy)
        raise
