"""The file of tokens: private, holds hashes, replaced as a whole, compared in constant time."""

import hmac
import json
import os
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from stat import S_IMODE
from threading import Thread

import pytest

from api_server.http import tokens
from api_server.http.tokens import Scope, TokenFile, create_token, read_tokens, revoke_token, without_tokens
from flows_platform.domain.errors import ConfigurationError

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


def scopes_of(known: TokenFile, token: str) -> tuple[str, ...]:
    grant = known.grant_of(token)
    assert grant
    return grant.scopes


def test_only_the_hash_is_kept_and_only_for_the_owner(file: Path) -> None:
    os.umask(umask := os.umask(0))
    token = create_token(file, "nightly", [Scope.FLOWS_READ], NOW)
    assert umask == os.umask(umask)
    assert len(token) == len("flows_") + 43
    assert S_IMODE(file.stat().st_mode) == 0o600
    assert token not in "".join(path.read_text() for path in file.parent.iterdir())
    assert json.loads(file.read_text())["tokens"] == [
        {
            "name": "nightly",
            "scopes": ["flows:read"],
            "created": "2026-01-02T03:04:05+00:00",
            "sha256": sha256(token.encode()).hexdigest(),
        }
    ]


def test_a_server_follows_the_file(file: Path) -> None:
    first = create_token(file, "first", [Scope.FLOWS_READ], NOW)
    known = TokenFile(file)
    assert scopes_of(known, first) == ("flows:read",)
    second = create_token(file, "second", list(Scope), NOW)
    assert scopes_of(known, second) == tuple(Scope)
    revoke_token(file, "first")
    assert known.grant_of(first) is None
    assert known.grant_of(second)
    assert known.grant_of(second[:-1]) is None
    file.unlink()
    with pytest.raises(ConfigurationError, match="flows token create"):
        known.grant_of(second)


def test_every_token_is_compared_in_constant_time(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [create_token(file, f"token-{number}", [Scope.FLOWS_READ], NOW) for number in range(3)]
    compared: list[str] = []

    def count(given: str, kept: str) -> bool:
        compared.append(kept)
        return hmac.compare_digest(given, kept)

    monkeypatch.setattr(tokens, "compare_digest", count)
    for token in (made[0], made[2], "flows_none"):
        compared.clear()
        TokenFile(file).grant_of(token)
        assert len(compared) == 3


def test_tokens_made_at_once_are_all_kept(file: Path) -> None:
    threads = [Thread(target=create_token, args=(file, f"t{number}", [], NOW)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {entry.name for entry in read_tokens(file)} == {f"t{number}" for number in range(12)}


@pytest.mark.parametrize("name", ["", "-x", "a b", "é", "x" * 65, "../x"])
def test_names_are_plain(file: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="is not the name of a token"):
        create_token(file, name, [], NOW)
    assert not file.exists()


def test_a_name_is_taken_once(file: Path) -> None:
    create_token(file, "one", [], NOW)
    with pytest.raises(ConfigurationError, match="flows token revoke one"):
        create_token(file, "one", [], NOW)
    with pytest.raises(ConfigurationError, match="flows token list"):
        revoke_token(file, "two")
    assert len(read_tokens(file)) == 1


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"tokens": [1]}', '{"tokens": [{"name": "x", "scopes": ["root"]}]}'])
def test_a_file_that_is_none_is_named(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigurationError, match="is not a token file"):
        read_tokens(file)


def test_a_file_that_others_may_write_is_refused(file: Path) -> None:
    create_token(file, "one", [], NOW)
    file.chmod(0o620)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        read_tokens(file)


def test_tokens_are_taken_out_of_texts(file: Path) -> None:
    token = create_token(file, "one", [], NOW)
    assert without_tokens(f"a {token}, {token}.") == "a flows_…, flows_…."
    assert without_tokens("flows_platform/wire") == "flows_platform/wire"
