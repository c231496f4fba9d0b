"""`flows hook demo`: the receiver of Threat Stack's alerts on this machine alone, to try it with the vendor's clients.

It honours the environment of threatstack-to-s3, so that it can replace that service.
"""

from functools import partial
from pathlib import Path

from pydantic import ValidationError

from api_server.config import ServerConfig
from api_server.hooks.feature import HooksConfig, HooksFeature
from api_server.server import run
from flows_platform.cli.commands.terminal import say
from flows_platform.components.source_files import shipped_file
from flows_platform.components.webhook_declaration import WebhookTableDeclaration
from flows_platform.components.webhook_files import load_webhooks
from flows_platform.declared import Secret
from flows_platform.domain.errors import ConfigurationError
from flows_platform.fetch.alert_detail import Detail, DetailApi
from flows_platform.fetch.auth import HeaderKey
from flows_platform.settings import Settings, load_settings, secret
from flows_platform.stores.opening import open_store
from flows_platform.webhooks.signatures import Nobody

HOST = "127.0.0.1"
NAME = "threatstack_alerts"
BASE_URL, API_KEY = "THREATSTACK_BASE_URL", "THREATSTACK_API_KEY"
BUCKET, PREFIX = "TS_AWS_S3_BUCKET", "TS_AWS_S3_PREFIX"
VENDOR = "https://app.threatstack.com/api/v1"


def run_demo(port: int) -> None:
    """Receive until Ctrl-C.

    Raises:
        ConfigurationError: the port is in use, or a variable does not hold what it should.
        StorageError: the archive cannot be used.
    """
    settings = _settings()
    declaration = _declaration(settings)
    config = HooksConfig(
        [declaration],
        partial(open_store, settings.archive),
        demo_journal(settings),
        secret,
        vendors={NAME: partial(_vendor, settings)} if _asks_vendor() else {},
        may_be_emptied=True,
    )
    run(ServerConfig(), [HooksFeature(config)], HOST, port, listening=partial(_say, declaration, settings))


def _settings() -> Settings:
    """The settings, with the archive that the environment names."""
    bucket, prefix = secret(BUCKET), (secret(PREFIX) or "").strip("/")
    return load_settings(**({"archive_url": f"s3://{bucket}/{prefix}".rstrip("/")} if bucket else {}))


def _declaration(settings: Settings) -> WebhookTableDeclaration:
    """The shipped declaration, over the whole archive, without a proof of the sender."""
    (shipped,) = load_webhooks(shipped_file(NAME), settings)
    webhook = shipped.webhook.model_copy(update={"verify": Nobody(), "senders": []})
    return shipped.model_copy(update={"webhook": webhook, "archive": ""})


def demo_journal(settings: Settings) -> Path:
    """A journal of its own: a project's source of the same name has another folder of the archive."""
    return settings.journal.with_stem(f"{settings.journal.stem}_demo")


def _asks_vendor() -> bool:
    return bool(secret(BASE_URL) or secret(API_KEY))


def _vendor(settings: Settings) -> DetailApi:
    base = (secret(BASE_URL) or VENDOR).rstrip("/")
    key = HeaderKey(name="Authorization", value=Secret(env=API_KEY, required=False))
    try:
        detail = Detail(url=f"{base}/alerts/{{id}}", auth=key)
    except ValidationError:  # not shown: the URL may have a password
        raise ConfigurationError(
            f"{BASE_URL} is not the URL of an API.", remedy=f"Write one without a password, such as {VENDOR}."
        ) from None
    return DetailApi.of(detail, secret, settings.files.locks, NAME)


def _say(declaration: WebhookTableDeclaration, settings: Settings, base: str) -> None:
    say(f"Webhook  {base.rstrip('/')}{declaration.paths[0]}")
    say(f"Archive  {settings.archive}")
    if not _asks_vendor():
        say(f"Details  are not fetched: set {API_KEY}, and {BASE_URL} for another server than {VENDOR}")
    say("Ctrl-C ends it.")
