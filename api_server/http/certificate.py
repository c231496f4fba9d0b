"""The server's certificate, which can be replaced while the server runs."""

import logging
import ssl
from pathlib import Path
from types import FrameType

from api_server.config import ServerConfig
from flows_platform.domain.errors import ConfigurationError

logger = logging.getLogger(__name__)


def certificate_of(config: ServerConfig) -> "Certificate | None":
    """The certificate of these settings; None where they have none.

    Raises:
        ConfigurationError: certificate or key cannot be used, or there is a key alone.
    """
    if config.certificate is None:
        if config.key is not None:
            raise ConfigurationError(f"--key {config.key} needs --certificate.", remedy="Give the certificate too.")
        return None
    return Certificate(config.certificate, config.key)


class Certificate:
    """The context of a server's TLS, whose certificate is read again when it is asked to.

    Connections that run go on with the certificate that they began with.

    Raises:
        ConfigurationError: certificate or key cannot be used.
    """

    def __init__(self, certificate: Path, key: Path | None) -> None:
        self._certificate, self._key = certificate, key
        self.context = self._current = self._read()
        # OpenSSL calls it in every handshake, also where the client names no server.
        self.context.sni_callback = self._choose

    def reload(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """Read the files again, as the handler of a signal. Files that cannot be used change nothing."""
        # guard: a bad certificate does not replace a good one
        try:
            self._current = self._read()
        except ConfigurationError as error:
            logger.error("the certificate stays as it was: %s", error)
        else:
            logger.info("the certificate %s was read again", self._certificate)

    def _read(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            # A password that is wrong: a key that needs one is refused, instead of asking the terminal for it.
            context.load_cert_chain(self._certificate, self._key, password="")
        except OSError as error:  # SSLError is one
            raise ConfigurationError(
                f"the certificate {self._certificate} with the key {self._key or 'in it'} cannot be used ({error}).",
                remedy="Give a PEM certificate with --certificate and its unencrypted key with --key.",
            ) from error
        return context

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._current
