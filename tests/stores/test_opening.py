"""The URL of an archive, and what is said where it is wrong or a package is missing."""

import sys
from pathlib import Path

import pytest

from flows_platform.domain.errors import ConfigurationError
from flows_platform.stores.bucket_store import Bucket
from flows_platform.stores.file_store import FileStore
from flows_platform.stores.opening import open_store


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "an archive #1"
    assert isinstance(open_store(folder.as_uri()), FileStore)
    assert folder.is_dir()


@pytest.mark.parametrize(
    "url",
    [
        "", "archive", "/archive", "file:", "file://host/archive", "file:///archive?x=1", "s3://", "s3:///x",
        "s3://Bucket", "s3://bucket/a//b", "s3://bucket/../b", "s3://bucket?x=1", "gs://b", "https://bucket/x",
    ],
)  # fmt: skip
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is not the URL of an archive\. Write file:///FOLDER, s3://BUCKET"):
        open_store(url)


def test_a_password_in_a_url_is_not_shown() -> None:
    with pytest.raises(ConfigurationError, match=r"^'s3://\*\*\*@bucket/x' is not") as caught:
        open_store("s3://AKIA:a-secret@bucket/x")
    assert "a-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "package", "module", "extra"),
    [
        ("s3://bucket", "obstore", "s3_store", "s3"),
        ("gs://bucket", "google.cloud.storage", "gcs_store", "gcs"),
    ],
)
def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, url: str, package: str, module: str, extra: str
) -> None:
    monkeypatch.delitem(sys.modules, f"flows_platform.stores.{module}", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigurationError) as caught:
        open_store(url)
    assert str(caught.value) == (f"the package {package} is not installed. Run pip install 'flows-platform[{extra}]'.")


def test_a_bucket_has_a_url() -> None:
    assert Bucket("s3", "bucket").url == "s3://bucket"
    assert Bucket("s3", "bucket", "a/b").url == "s3://bucket/a/b"
    assert Bucket("s3", "bucket", "a/b").root == "a/b/"
