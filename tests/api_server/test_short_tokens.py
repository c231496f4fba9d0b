"""Short tokens and their keys: signed, bounded in time, never wider than their parent, and gone with it."""

import base64
import hmac
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from stat import S_IMODE
from threading import Thread

import pytest

from api_server.http.authority import Authority, NotValid, ScopeRefused
from api_server.http.short_tokens import LIFE, SKEW, Claims, claims_of, sign
from api_server.http.token_keys import KeyFile, keys_beside, read_keys, rotate_keys
from api_server.http.tokens import Scope, TokenFile, create_token, revoke_token, without_tokens
from flows_platform.domain.errors import ConfigurationError

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KEY = "k" * 43
CLAIMS = Claims("0123456789abcdef", ("flows:read",), 1000, 1600)


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def authority(file: Path, clock: Clock) -> Authority:
    return Authority(TokenFile(file), KeyFile(keys_beside(file)), clock)


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(NotValid) as caught:
        act()
    return str(caught.value)


def test_a_token_says_what_was_signed() -> None:
    token = sign(CLAIMS, KEY)
    assert token.startswith("flowss_")
    assert claims_of(token, [KEY]) == claims_of(token, ["other", KEY]) == CLAIMS
    assert claims_of(token, []) is None
    assert without_tokens(f"a {token}.") == "a flows_…."


def test_every_changed_character_is_noticed() -> None:
    token = sign(CLAIMS, KEY)
    for index, sign_ in enumerate(token):
        other = "A" if sign_ != "A" else "B"
        assert claims_of(token[:index] + other + token[index + 1 :], [KEY]) is None
        assert claims_of(token[:index], [KEY]) is None
    for text in (token + "A", token + "=", token + "\n", f" {token}", "", "flowss_", "flowss_" + "A" * 5000):
        assert claims_of(text, [KEY]) is None


def test_no_token_chooses_its_algorithm() -> None:
    fields = [CLAIMS.parent, CLAIMS.scopes, CLAIMS.issued, CLAIMS.expires]
    code = base64.urlsafe_b64encode(json.dumps(fields, separators=(",", ":")).encode()).decode().rstrip("=")
    text = f"flowss_{code}"

    def mac(key: bytes, algorithm: str, signed: str = text) -> str:
        return base64.urlsafe_b64encode(hmac.digest(key, signed.encode(), algorithm)).decode().rstrip("=")

    assert text + mac(KEY.encode(), "sha256") == sign(CLAIMS, KEY)
    plain = base64.urlsafe_b64encode(sha256(text.encode()).digest()).decode().rstrip("=")
    wrong = [plain, mac(b"", "sha256"), mac(KEY.encode(), "sha3_256"), mac(KEY.encode(), "sha256", code), "A" * 43, ""]
    assert [claims_of(text + end, [KEY]) for end in [*wrong, mac(KEY.encode(), "sha512")]] == [None] * 7
    head = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    assert claims_of(f"{head}.{code}.", [KEY]) is None


def test_every_key_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    token, compared = sign(CLAIMS, KEY), 0

    def count(given: str, made: str) -> bool:
        nonlocal compared
        compared += 1
        return given == made

    monkeypatch.setattr("api_server.http.short_tokens.hmac.compare_digest", count)
    claims_of(token, [KEY, "b" * 43])
    assert compared == 2


def test_a_token_counts_from_its_issue_to_its_end() -> None:
    seconds = [1000 - SKEW - 1, 1000 - SKEW, 1000, 1599.9, 1600, 5000]
    assert [CLAIMS.counts_at(now) for now in seconds] == [False, True, True, True, False, False]


def test_an_exchanged_token_allows_what_its_parent_does(file: Path, clock: Clock, authority: Authority) -> None:
    parent = create_token(file, "nightly", ["flows:read", "reports:read"], NOW)
    issued = authority.exchange(parent, "")
    assert (issued.seconds, issued.scopes) == (LIFE, ("flows:read", "reports:read"))
    assert authority.grant(issued.token) == authority.grant(parent)
    clock.pass_by(LIFE - 1)
    assert authority.grant(issued.token).name == "nightly"
    clock.pass_by(1)
    assert refused(lambda: authority.grant(issued.token)) == (
        "The token has expired: exchange the long-lived one again."
    )
    assert authority.grant(parent)
    clock.pass_by(-LIFE - SKEW - 1)
    assert "expired" in refused(lambda: authority.grant(issued.token))  # the clock was put back


def test_an_exchange_narrows_and_never_widens(file: Path, authority: Authority) -> None:
    parent = create_token(file, "all", ["flows:read", "reports:read"], NOW)
    one = create_token(file, "one", ["reports:sales"], NOW)
    for asked, scopes in [
        ("flows:read", ("flows:read",)),
        ("reports:sales  reports:sales", ("reports:sales",)),
        ("session:scope:PUBLIC api.example.com", ("flows:read", "reports:read")),
        ("session:scope:PUBLIC", ("flows:read", "reports:read")),
    ]:
        issued = authority.exchange(parent, asked)
        assert issued.scopes == authority.grant(issued.token).scopes == scopes
    narrow = authority.grant(authority.exchange(parent, "reports:sales").token)
    assert (narrow.allows(Scope.FLOWS_READ), narrow.allows(Scope.REPORTS_READ)) == (False, True)
    assert (narrow.reads("sales"), narrow.reads("others")) == (True, False)
    for token, asked in [(parent, "cves:read"), (one, "reports:read"), (one, "reports:other"), (parent, "root")]:
        with pytest.raises(ScopeRefused, match=asked):
            authority.exchange(token, asked)


def test_a_short_token_is_never_wider_than_its_parent_is_now(file: Path, authority: Authority) -> None:
    parent = create_token(file, "one", ["flows:read", "reports:read"], NOW)
    issued = authority.exchange(parent, "")
    narrowed = json.loads(file.read_text())
    narrowed["tokens"][0] |= {"scopes": ["reports:sales"], "fixed": {"customer": "ann"}}
    file.write_text(json.dumps(narrowed))
    grant = authority.grant(issued.token)
    assert (grant.scopes, grant.fixed) == ((), {"customer": "ann"})


def test_it_ends_with_its_parent(file: Path, clock: Clock, authority: Authority) -> None:
    parent = create_token(file, "one", ["flows:read"], NOW, expires=NOW + timedelta(seconds=100))
    issued = authority.exchange(parent, "")
    assert issued.seconds == 100
    clock.pass_by(99)
    assert authority.grant(issued.token)
    clock.pass_by(1)
    assert "expired" in refused(lambda: authority.grant(issued.token))
    assert refused(lambda: authority.grant(parent)) == "The token one has expired: create another."
    assert "expired" in refused(lambda: authority.exchange(parent, ""))
    clock.pass_by(-50)
    assert authority.grant(issued.token)
    revoke_token(file, "one")
    again = create_token(file, "one", ["flows:read"], NOW)
    assert refused(lambda: authority.grant(issued.token)) == "The token is not known here."
    assert "not known" in refused(lambda: authority.exchange(parent, ""))
    assert authority.grant(again)


def test_a_short_token_gives_no_other(file: Path, authority: Authority) -> None:
    issued = authority.exchange(create_token(file, "one", ["flows:read"], NOW), "")
    assert "use the long-lived one" in refused(lambda: authority.exchange(issued.token, ""))


def test_a_token_of_another_installation_is_unknown(tmp_path: Path, file: Path, authority: Authority) -> None:
    other = tmp_path / "other" / "tokens.json"
    strange = Authority(TokenFile(other), KeyFile(keys_beside(other)), Clock())
    parent = create_token(other, "one", ["flows:read"], NOW)
    (file).write_bytes(other.read_bytes())
    file.chmod(0o600)
    token = strange.exchange(parent, "").token
    assert refused(lambda: authority.grant(token)) == "The token is not known here."


def test_a_rotation_ends_no_token_and_the_second_does(file: Path, authority: Authority) -> None:
    parent = create_token(file, "one", ["flows:read"], NOW)
    first = authority.exchange(parent, "").token
    rotate_keys(keys_beside(file))
    second = authority.exchange(parent, "").token
    assert authority.grant(first) == authority.grant(second)
    rotate_keys(keys_beside(file))
    assert "not known" in refused(lambda: authority.grant(first))
    assert authority.grant(second)
    assert len(read_keys(keys_beside(file))) == 2


def test_keys_are_private_and_made_once(file: Path) -> None:
    os.umask(umask := os.umask(0))
    path = keys_beside(file)
    assert path == file.with_name("tokens.keys")
    made: list[str] = []
    threads = [Thread(target=lambda: made.append(KeyFile(path).signing())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert umask == os.umask(umask)
    assert (len(made), len(set(made)), read_keys(path)) == (8, 1, (made[0],))
    assert S_IMODE(path.stat().st_mode) == 0o600
    rotate_keys(path)
    assert S_IMODE(path.stat().st_mode) == 0o600


def test_keys_that_cannot_be_used_are_named(file: Path) -> None:
    path = keys_beside(file)
    for text in ("", "short", f"{KEY}\n{KEY}\n{KEY}\n", "é" * 43):
        path.write_text(text)
        path.chmod(0o600)
        with pytest.raises(ConfigurationError, match="does not hold keys"):
            KeyFile(path).signing()
    path.write_text(KEY)
    for mode in (0o640, 0o604, 0o620):
        path.chmod(mode)
        with pytest.raises(ConfigurationError, match="is open to other users"):
            rotate_keys(path)
