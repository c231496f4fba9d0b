"""The key of this installation, as credentials that Google's clients send to the emulator."""

from pathlib import Path
from typing import Never

from google.auth.credentials import Credentials
from google.auth.exceptions import RefreshError

from flows_platform.access.key import installation_key


class EmulatorCredentials(Credentials):
    """A bearer token that neither expires nor changes."""

    def __init__(self, key_file: Path) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # google-auth leaves it bare
        self.token = installation_key(key_file)
        self._key_file = key_file

    def refresh(self, request: object) -> Never:  # noqa: ARG002 - the base class names it
        """Raise an error: the emulator answered 401, and there is no other key."""
        raise RefreshError(f"the emulator does not know the key in {self._key_file}: it was started with another one")
