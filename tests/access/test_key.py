"""The key of an installation: created once, by the first process that needs it, and closed to other users."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flows_platform.access.key import bearer, installation_key, same_key
from flows_platform.domain.errors import StorageError


def test_it_is_made_at_first_use_in_a_private_folder_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "home" / "some.key"
    key = installation_key(path)
    assert len(key) == 43
    assert path.read_text() == key == installation_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_those_who_make_it_at_once_have_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as makers:
        keys = set(makers.map(installation_key, [tmp_path / "some.key"] * 64))
    assert len(keys) == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "some.key"]


def test_two_installations_have_two(tmp_path: Path) -> None:
    assert installation_key(tmp_path / "a" / "key") != installation_key(tmp_path / "b" / "key")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o602])
def test_one_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "some.key"
    installation_key(path)
    path.chmod(mode)
    with pytest.raises(StorageError, match=r"some\.key is open to other users.*Delete it"):
        installation_key(path)


@pytest.mark.parametrize("text", ["", "short", "x" * 44, "ü" * 43])
def test_a_file_that_holds_none_is_named_without_what_it_holds(tmp_path: Path, text: str) -> None:
    path = tmp_path / "some.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(StorageError, match=r"some\.key does not hold a key") as caught:
        installation_key(path)
    assert not text or text not in str(caught.value)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"some\.key cannot be used"):
        installation_key(tmp_path / "file" / "some.key")


@pytest.mark.parametrize(
    ("values", "token"),
    [
        (["Bearer abc"], "abc"),
        (["bearer  abc "], "abc"),
        (["Basic abc"], ""),
        (["abc"], ""),
        ([], ""),
        (["Bearer abc", "Bearer abc"], ""),
    ],
)
def test_a_bearer_token_is_read_from_one_header(values: list[str], token: str) -> None:
    assert bearer({"headers": [(b"authorization", value.encode()) for value in values]}) == token


def test_keys_are_the_same_only_if_all_of_them_is() -> None:
    assert same_key("a" * 43, "a" * 43)
    for other in ("", "a" * 42, "a" * 44, "b" * 43, "ä" * 43, "\udcff"):
        assert not same_key("a" * 43, other)
