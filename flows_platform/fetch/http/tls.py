"""TLS as a source declares it: its own CA, and a certificate of the client. Every request of the source uses both."""

import ssl
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from flows_platform.declared import Declared, Secret, Secrets, refused
from flows_platform.domain.errors import ConfigurationError

RELATIVE = "A relative path starts at the folder of the YAML file."


def _is_path(given: str) -> str:
    # guard: a key is outside the YAML
    if "-----BEGIN" in given or "\n" in given:
        raise refused("write the path of a PEM file: what the file holds does not belong here")
    return given


PemPath = Annotated[str, Field(min_length=1), AfterValidator(_is_path)]


class Tls(Declared):
    """Whom the client trusts, and how it identifies itself, on every connection of a source."""

    ca: PemPath | None = Field(
        None,
        description="Path of a PEM file with the certificates of CAs to trust besides the system's. "
        "Relative paths start at the YAML file's folder.",
    )
    certificate: PemPath | None = Field(
        None, description="Path of a PEM file with the client's certificate and those between it and its CA."
    )
    key: PemPath | None = Field(
        None, description="Path of the PEM file with the certificate's private key; without it, `certificate` has both."
    )
    key_password: Secret | None = Field(None, description="Password of an encrypted key.")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.ca is None and self.certificate is None:
            raise refused("`ca`, or `certificate` and `key`, are needed")
        for name in ("key", "key_password"):
            if getattr(self, name) is not None and self.certificate is None:
                raise refused("it needs `certificate`", (name,))
        return self

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The secrets that the YAML names."""
        return (self.key_password,) if self.key_password else ()

    def beside(self, folder: Path) -> "Tls":
        """The same with absolute paths, where relative ones start at `folder`."""
        paths = {name: getattr(self, name) for name in ("ca", "certificate", "key")}
        return self.model_copy(update={name: path and str(folder.absolute() / path) for name, path in paths.items()})

    def context(self, secrets: Secrets) -> ssl.SSLContext:
        """What connections need, read from the files.

        Raises:
            ConfigurationError: a file cannot be read or used; the message names its key and path.
        """
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2  # also where the system allows less
        if self.ca:
            # Private CAs often omit extensions that RFC 5280 asks for. Signatures, dates and names are checked.
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
            _trust(context, "ca", self.ca)
        if self.certificate:
            _trust(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "certificate", self.certificate)  # whether it has any
            self._present(context, self.certificate, secrets)
        return context

    def _present(self, context: ssl.SSLContext, certificate: str, secrets: Secrets) -> None:
        """Let connections show the certificate."""
        name, path = ("key", self.key) if self.key else ("certificate", certificate)
        _require_readable(name, path)
        password = secrets[self.key_password.env] if self.key_password else ""
        asked = []

        def given() -> str:  # without a function, OpenSSL would ask at the terminal
            asked.append(True)
            return password

        try:
            context.load_cert_chain(certificate, path, given)
        except (ssl.SSLError, OSError, ValueError) as error:
            raise _unusable(name, path, self._why(error, encrypted=bool(asked), certificate=certificate)) from None

    def _why(self, error: Exception, *, encrypted: bool, certificate: str) -> str:
        """Why the key was not taken; OpenSSL's own text says little."""
        if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            return f"its key is not that of the certificate {certificate}"
        if encrypted and self.key_password:
            return f"the password in {self.key_password.env} does not decrypt it"
        if encrypted:
            return "it is encrypted; name its password as `key_password: {env: NAME}`"
        return "it holds no private key in PEM"


def _trust(context: ssl.SSLContext, name: str, path: str) -> None:
    """Add the certificates in the file to those that are trusted."""
    _require_readable(name, path)
    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise _unusable(name, path, "it holds no certificate in PEM") from None


def _require_readable(name: str, path: str) -> None:
    try:
        Path(path).open("rb").close()
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"api.tls.{name}: {path} cannot be read ({getattr(error, 'strerror', None) or error}).", remedy=RELATIVE
        ) from None


def _unusable(name: str, path: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"api.tls.{name}: {path} cannot be used: {why}.")
