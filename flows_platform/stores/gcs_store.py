"""Objects in Google Cloud Storage, through Google's library. Needs the extra `gcs`."""

from collections.abc import Iterator
from contextlib import contextmanager

import requests
from google.api_core.exceptions import (
    Forbidden,
    GoogleAPIError,
    NotFound,
    PreconditionFailed,
    Unauthorized,
)
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, RefreshError
from google.cloud.storage import Client
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY
from requests.adapters import HTTPAdapter

from flows_platform.domain.errors import StorageError
from flows_platform.stores.bucket_store import (
    CONNECT_SECONDS,
    REQUEST_SECONDS,
    RETRY_SECONDS,
    Bucket,
    BucketStore,
)
from flows_platform.stores.object_store import Dated, ObjectTooLarge

CONNECTIONS = 32
LONGEST_SHOWN = 300
_NO_BUCKET = "The specified bucket does not exist"
_TIMES = (CONNECT_SECONDS, REQUEST_SECONDS)
_RETRY = DEFAULT_RETRY.with_timeout(RETRY_SECONDS)


class GcsStore(BucketStore):
    """Objects in Google Cloud Storage, with application default credentials.

    Raises:
        StorageError: the bucket cannot be listed now, or does not exist; or the credentials are refused.
    """

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        with self._typed():
            self._client = Client()
        # The library's session pools ten connections, and warns about each further one.
        for scheme in ("https://", "http://"):
            self._client._http.mount(scheme, HTTPAdapter(pool_maxsize=CONNECTIONS))  # noqa: SLF001  it has no option
        self._objects = self._client.bucket(bucket.name)
        super().__init__(bucket)

    @property
    def name(self) -> str:
        return f"{self.bucket.url} {self._client.api_endpoint}"

    def _put(self, name: str, body: bytes) -> bool:
        with self._typed():
            try:
                # guard: one writer creates an object in Google Cloud Storage
                self._objects.blob(name).upload_from_string(
                    body, "application/octet-stream", if_generation_match=0, timeout=_TIMES, retry=_RETRY
                )
            except PreconditionFailed:
                return False
            return True

    def _get(self, name: str, most: int | None = None) -> bytes | None:
        if most is not None:
            found = self._dated(name, most)
            return found.body if found else None
        with self._typed():
            try:
                return bytes(self._objects.blob(name).download_as_bytes(timeout=_TIMES, retry=_RETRY))
            except NotFound as error:
                if _NO_BUCKET in str(error):
                    raise
                return None

    def _dated(self, name: str, most: int | None = None) -> Dated | None:
        # A request of its own: a download says neither size nor time before its bytes, and the checksum of a part of
        # an object is not compared.
        with self._typed():
            found = self._objects.get_blob(name, timeout=_TIMES, retry=_RETRY)
        if found is None:
            return None
        # guard: an object in Google Cloud Storage is not read beyond its limit
        if most is not None and found.size > most:
            raise ObjectTooLarge
        body = self._get(name)
        return None if body is None else Dated(body, found.time_created)

    def _names(self, prefix: str, after: str) -> Iterator[str]:
        with self._typed():
            found = self._client.list_blobs(
                self._objects,
                prefix=prefix or None,
                start_offset=after or None,
                fields="items(name),nextPageToken",
                timeout=_TIMES,
                retry=_RETRY,
            )
            # The markers of folders, which some tools create, end with a slash.
            yield from (blob.name for blob in found if not blob.name.endswith("/"))

    @contextmanager
    def _typed(self) -> Iterator[None]:
        try:
            yield
        except (Forbidden, Unauthorized, DefaultCredentialsError, RefreshError) as error:
            raise StorageError(
                f"{self.bucket.url} refuses the credentials ({type(error).__name__}).",
                remedy="Set GOOGLE_APPLICATION_CREDENTIALS to the key of an account that may list, read and create "
                "objects there.",
            ) from None
        except NotFound:
            raise StorageError(
                f"the bucket {self.bucket.name} does not exist.", remedy="Create it, or correct FLOWS_ARCHIVE_URL."
            ) from None
        except (
            GoogleAPIError,
            GoogleAuthError,
            InvalidResponse,
            DataCorruption,
            requests.RequestException,
            OSError,
            ValueError,
        ) as error:
            shown = str(error).partition("\n")[0][:LONGEST_SHOWN]
            raise StorageError(
                f"{self.bucket.url} cannot be used now: {shown}.",
                remedy="Check the service and the network; what is stored is unchanged.",
            ) from error
