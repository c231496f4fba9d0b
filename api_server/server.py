"""Runs the application under uvicorn: sockets, limits, log and shutdown."""

import contextlib
import ctypes
import errno
import gc
import logging
import os
import resource
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from logging.config import dictConfig
from typing import Any

import uvicorn

from api_server.app import create_app
from api_server.config import ServerConfig
from api_server.http.certificate import Certificate, certificate_of
from api_server.http.connection import HEAD_BYTES, for_config
from api_server.http.exposure import check_exposure
from api_server.http.feature import Feature
from flows_platform.domain.errors import ConfigurationError

BACKLOG = 2048
OPEN_FILES = 16_384
M_ARENA_MAX, M_MMAP_THRESHOLD = -8, -3  # as in malloc.h
HEAPS = 2
LARGE = 512 << 10

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {
        "api_server": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        "uvicorn": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
    },
}

logger = logging.getLogger(__name__)


def run(
    config: ServerConfig,
    features: Sequence[Feature],
    host: str,
    port: int,
    *,
    not_served: Sequence[str] = (),
    listening: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve until SIGINT or SIGTERM. For port 0 a free one is chosen; the log says which.

    The log also says what is `not_served`, and what features lack. `listening` is called with the server's URL when
    connections are accepted.

    Raises:
        PlatformError: a feature's data is missing or of another kind.
        ConfigurationError: the address cannot be bound, or must not be served without tokens; or the files of tokens
            or TLS cannot be used.
    """
    for feature in features:
        feature.prepare()
    _keep_no_freed_memory()
    certificate = certificate_of(config)
    settings = uvicorn_settings(replace(config, hosts=(*config.hosts, host)), features, certificate)
    _raise_file_limit()
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(bound(host, number)) for number in (port, *config.also_ports)]
        address = listeners[0].getsockname()[0]
        # guard: no address is served by accident
        check_exposure(config, address)
        for feature in features:
            feature.check_exposure(config, address)
        urls = " and ".join(_url(listener, certificate) for listener in listeners)
        cautions = "".join(f"; {caution}" for feature in features if (caution := feature.caution()))
        level = logging.WARNING if cautions else logging.INFO
        source = ", ".join(feature.source for feature in features)
        logger.log(level, "serving %s on %s (Ctrl-C ends)%s", source, urls, cautions)
        for note in (*not_served, *(note for feature in features for note in feature.notes())):
            logger.warning("not served: %s", note)
        if certificate:
            signal.signal(signal.SIGHUP, certificate.reload)
        listening(_url(listeners[0], certificate))
        gc.freeze()  # what is loaded by now stays, so the garbage collector need not look at it
        # uvicorn raises the signal again once everything has ended.
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(settings).run(sockets=listeners)


def _url(listener: socket.socket, certificate: Certificate | None) -> str:
    address, number = listener.getsockname()[:2]
    return f"{'https' if certificate else 'http'}://{f'[{address}]' if ':' in address else address}:{number}/"


def uvicorn_settings(
    config: ServerConfig, features: Sequence[Feature], certificate: Certificate | None = None
) -> uvicorn.Config:
    """Uvicorn's configuration of the application and its limits; with a certificate, for TLS. Configures the log.

    Raises:
        PlatformError: a feature's data is missing or of another kind.
    """
    dictConfig(LOGGING)  # first, since features log what they do before they can serve
    # guard: streams end with the server
    return uvicorn.Config(
        create_app(config, features),
        http=for_config(config),
        # A head of exactly HEAD_BYTES is never incomplete at one byte less.
        h11_max_incomplete_event_size=HEAD_BYTES - 1,
        # Without it a running stream keeps the process alive forever.
        timeout_graceful_shutdown=config.shutdown_seconds,
        log_config=None,
        ssl_context_factory=(lambda *_: certificate.context) if certificate else None,
        access_log=False,
        server_header=False,
        lifespan="on",
        ws="none",
    )


def _keep_no_freed_memory() -> None:
    """Keep little of the memory that streams freed: the peak of 32 streams with digests is 196 MB, else 220 to 260 MB.

    Arrow's own allocator keeps memory for every thread, and glibc makes eight heaps a core. After large blocks were
    freed, glibc takes the next ones from its heaps too, where small blocks between them keep the heaps large: without
    the threshold, 64 webhooks of 1 MB leave 30 MB more.
    """
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"  # read when Arrow is first imported
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):  # other C libraries have none
        mallopt(M_ARENA_MAX, HEAPS)
        mallopt(M_MMAP_THRESHOLD, LARGE)


def _raise_file_limit() -> None:
    """Raise the limit of open files: a thousand clients and their streams need more than the common 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and (hard == resource.RLIM_INFINITY or soft < hard):
        wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def bound(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        ConfigurationError: the address cannot be bound.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        taken = getattr(error, "errno", None) == errno.EADDRINUSE
        reason = "is in use" if taken else f"cannot be bound ({error})"
        raise ConfigurationError(
            f"the address {host}:{port} {reason}.", remedy="Choose another with --host and --port."
        ) from error
