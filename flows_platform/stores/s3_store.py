"""Objects in S3, or a service with its protocol, through obstore. Needs the extra `s3`."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import obstore
import obstore.store
from obstore.exceptions import AlreadyExistsError, BaseError

from flows_platform.domain.errors import StorageError
from flows_platform.stores.bucket_store import (
    CONNECT_SECONDS,
    REQUEST_SECONDS,
    RETRY_SECONDS,
    Bucket,
    BucketStore,
)
from flows_platform.stores.object_store import Dated, ObjectTooLarge, is_key

ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")  # the first that is set is used
PAGE = 1000  # names in an answer
TRIES_AGAIN = 2
LONGEST_SHOWN = 300
_CODE = re.compile(r"<Code>([A-Za-z0-9.]{1,80})</Code>")
_STATUS = re.compile(r"status code: ([0-9]{3})")
_NO_BUCKET = "NoSuchBucket"
# What obstore accepts as a path, from the start of a text.
_SEGMENT = r"(?!\.{1,2}(?:[^A-Za-z0-9._:~-]|\Z))[A-Za-z0-9._:~-]+"
_PATH = re.compile(f"{_SEGMENT}(?:/{_SEGMENT})*")


class S3Store(BucketStore):
    """Objects in S3. Endpoint and credentials come from the variables of AWS; see docs/deploy.md.

    Raises:
        StorageError: the bucket cannot be listed now, or does not exist; or the credentials are refused.
    """

    def __init__(self, bucket: Bucket) -> None:
        endpoint = next((url for name in ENDPOINTS if (url := os.environ.get(name))), "")
        # A URL may hold a password before the @.
        self._at = re.sub(r"//[^/]*@", "//", endpoint)
        self._client = obstore.store.S3Store(
            bucket.name,
            config={"endpoint": endpoint} if endpoint else {},
            client_options={
                "allow_http": endpoint.startswith("http://"),
                "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
                "timeout": timedelta(seconds=REQUEST_SECONDS),
            },
            retry_config={"max_retries": TRIES_AGAIN, "retry_timeout": timedelta(seconds=RETRY_SECONDS)},
        )
        super().__init__(bucket)

    @property
    def name(self) -> str:
        return f"{self.bucket.url} {self._at}".rstrip()

    def _put(self, name: str, body: bytes) -> bool:
        with self._typed():
            try:
                # guard: one writer creates an object in S3
                obstore.put(self._client, name, body, mode="create", use_multipart=False)
            except AlreadyExistsError:  # 412, or 409 while another write is under way
                return False
            return True

    def _get(self, name: str, most: int | None = None) -> bytes | None:
        found = self._dated(name, most)
        return found.body if found else None

    def _dated(self, name: str, most: int | None = None) -> Dated | None:
        with self._typed():
            try:
                found = obstore.get(self._client, name)
                # Its bytes are still on their way.
                # guard: an object in S3 is not read beyond its limit
                if most is not None and found.meta["size"] > most:
                    raise ObjectTooLarge
                return Dated(bytes(found.bytes()), found.meta["last_modified"])
            except FileNotFoundError as error:
                if _found(_CODE, str(error)) == _NO_BUCKET:
                    raise
                return None

    def _names(self, prefix: str, after: str) -> Iterator[str]:
        # obstore matches whole segments of names, S3 matches any text.
        folder = prefix.rpartition("/")[0]
        if folder and not is_key(folder):
            return  # no object can be there
        # Not `after` itself: SeaweedFS takes the name of a folder for everything in the folder.
        start = max(_start(after), "" if prefix.endswith("/") else _start(prefix))
        with self._typed():
            for page in obstore.list(self._client, folder or None, offset=start or None, chunk_size=PAGE):
                yield from (found["path"] for found in page)

    @contextmanager
    def _typed(self) -> Iterator[None]:
        try:
            yield
        except (BaseError, OSError, ValueError) as error:
            raise self._explained(str(error)) from None  # its text may contain the key's id and a signature

    def _explained(self, text: str) -> StorageError:
        status, code = _found(_STATUS, text), _found(_CODE, text)
        if status in {"401", "403"}:
            return StorageError(
                f"{self.bucket.url} refuses the credentials ({code or status}).",
                remedy="Correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or allow their owner to list, read and "
                "put objects there.",
            )
        if status == "404":
            return StorageError(
                f"the bucket {self.bucket.name} does not exist.", remedy="Create it, or correct FLOWS_ARCHIVE_URL."
            )
        shown = code or text.partition("\n")[0].rstrip(".")[:LONGEST_SHOWN]
        return StorageError(
            f"{self.bucket.url} cannot be used now: {shown}.",
            remedy="Check the service, AWS_ENDPOINT_URL and AWS_REGION; what is stored is unchanged.",
        )


def _found(pattern: re.Pattern[str], text: str) -> str:
    """The first group of a pattern in the text of an error; empty if the pattern does not match."""
    found = pattern.search(text)
    return found[1] if found else ""


def _start(text: str) -> str:
    """A path just before all names that start with a text, without its last slash; empty if there is no such path."""
    plain = text.rstrip("/")
    below = f"{plain[:-1]}{chr(ord(plain[-1]) - 1)}~" if plain else ""
    found = _PATH.match(below)
    path = found[0] if found else ""
    # A shorter path may again be the name of a folder.
    return path if path == below else _start(path)
