"""Folders of one user, and the path of a socket whose usual path would be too long."""

import os
import stat
from pathlib import Path

import pytest

from flows_platform.access.private import SOCKET_BYTES, private_folder, socket_path
from flows_platform.domain.errors import ConfigurationError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_folder_is_made_private_and_one_of_ours_becomes_so(tmp_path: Path) -> None:
    assert mode(private_folder(tmp_path / "a" / "run")) == 0o700
    (tmp_path / "open").mkdir(mode=0o755)
    assert mode(private_folder(tmp_path / "open")) == 0o700


def test_anothers_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(ConfigurationError, match="not a folder of this user"):
        private_folder(tmp_path)


def test_a_link_to_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(ConfigurationError, match="not a folder of this user"):
        private_folder(tmp_path / "link")


def test_a_socket_goes_below_the_home_if_its_path_is_short_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    fits = Path("/" + "h" * (SOCKET_BYTES - len("//run/code.sock")))
    assert socket_path(fits, "code.sock") == fits / "run" / "code.sock"
    longer = fits.with_name(fits.name + "h")
    elsewhere = socket_path(longer, "code.sock")
    assert elsewhere.parent.parent == Path("/run/user/7")
    assert elsewhere == socket_path(longer, "code.sock")
    assert elsewhere != socket_path(longer.with_name(longer.name + "h"), "code.sock")


def test_bytes_count_and_not_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    path = socket_path(Path("/" + "ü" * 60), "code.sock")
    assert len(os.fsencode(path)) <= SOCKET_BYTES
    assert "ü" not in str(path)


def test_a_runtime_folder_that_is_too_long_itself_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/" + "r" * 100)
    path = socket_path(Path("/" + "h" * 100), "code.sock")
    assert path.parts[:2] == ("/", "tmp")
