"""Opens the store at a URL: a folder, or a bucket of S3 or Google Cloud Storage."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from flows_platform.domain.errors import ConfigurationError
from flows_platform.runtime.imports import required
from flows_platform.stores.bucket_store import Bucket
from flows_platform.stores.file_store import FileStore
from flows_platform.stores.object_store import ObjectStore, is_key

S3, GCS = "s3", "gcs"  # extras
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,221}[a-z0-9]")


def open_store(url: str) -> ObjectStore:
    """The store at `file:///FOLDER`, `s3://BUCKET[/PREFIX]` or `gs://BUCKET[/PREFIX]`.

    Raises:
        ConfigurationError: the URL has another form, or a package that it needs is not installed.
        StorageError: the store cannot be used.
    """
    scheme = urlsplit(url).scheme
    if scheme == "file":
        return FileStore(_folder(url))
    if scheme == "s3":
        with required(S3):
            from flows_platform.stores.s3_store import S3Store  # noqa: PLC0415  an extra

        return S3Store(_bucket(url))
    if scheme == "gs":
        with required(GCS):
            from flows_platform.stores.gcs_store import GcsStore  # noqa: PLC0415  an extra

        return GcsStore(_bucket(url))
    raise _wrong(url)


def _folder(url: str) -> Path:
    given = urlsplit(url)
    if given.netloc not in {"", "localhost"} or len(given.path) < 2 or given.query or given.fragment:  # noqa: PLR2004
        raise _wrong(url)
    return Path(unquote(given.path))


def _bucket(url: str) -> Bucket:
    given = urlsplit(url)
    prefix = given.path.strip("/")
    if not _NAME.fullmatch(given.netloc) or given.query or given.fragment or (prefix and not is_key(prefix)):
        raise _wrong(url)
    return Bucket(given.scheme, given.netloc, prefix)


def _wrong(url: str) -> ConfigurationError:
    # If the URL has a password, it is before the @.
    shown = re.sub(r"//[^/]*@", "//***@", url)
    return ConfigurationError(
        f"{shown!r} is not the URL of an archive.",
        remedy="Write file:///FOLDER, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX, without a password: credentials come "
        "from the service's own variables.",
    )
