"""A secret is changed and a clock jumps while a sender delivers: what is proven is archived, once."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest

from api_server.hooks import receive_routes
from tests.api_server.hooks.served import MINUTE, PATH, Hooks, body, serving
from tests.webhooks.declared import KEY, declared
from tests.webhooks.deliveries import github, standard, stripe

OLD, NEW = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


def signed_standard(secret: str, sent: bytes) -> dict[str, str]:
    return standard(secret, sent, f"msg_{len(sent)}", int(time.time()))


def signed_stripe(secret: str, sent: bytes) -> dict[str, str]:
    return stripe(secret, sent, int(time.time()))


def bearer(secret: str, _: bytes) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


KINDS = [("standard", signed_standard), ("github", github), ("stripe", signed_stripe), ("bearer", bearer)]


@pytest.mark.parametrize(("kind", "sign"), KINDS)
def test_a_secret_is_changed(tmp_path: Path, kind: str, sign: Callable[[str, bytes], dict[str, str]]) -> None:
    verify = {"kind": kind, "secret": {"env": "SECRET"}, "old": {"env": "SECRET_OLD", "required": False}}
    declaration = declared(archive="", verify=verify)

    def statuses(hooks: Hooks, *ids: str) -> list[int]:
        """Of a delivery with the old secret, one with the new one, and one with the new one for other bytes."""
        first, second = body(ids[0]), body(ids[1])
        headers = [sign(OLD, first), sign(NEW, second), sign(NEW[:-4] + "AAAA", second)]
        sent = zip((first, second, second), headers, strict=True)
        return [hooks.send(one, PATH, **given)[0] for one, given in sent]

    with serving(tmp_path, declaration, environment={"SECRET": OLD}) as hooks:
        assert statuses(hooks, "a-1001", "none") == [200, 401, 401]
    with serving(tmp_path, declaration, environment={"SECRET": NEW, "SECRET_OLD": OLD}) as hooks:
        assert statuses(hooks, "a-1002", "a-1003") == [200, 200, 401]
    with serving(tmp_path, declaration, environment={"SECRET": NEW}) as hooks:
        assert statuses(hooks, "none", "a-1004") == [401, 200, 401]
        assert hooks.keys == [f"{MINUTE}/a-100{number}" for number in (1, 2, 3, 4)]


class Jumping:
    """The server's clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.minutes = minutes = [0]

        class Shifted(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> Any:
                return cls.fromtimestamp((datetime.now(tz) + timedelta(minutes=minutes[0])).timestamp(), tz)

        monkeypatch.setattr(receive_routes, "datetime", Shifted)

    def by(self, minutes: int) -> None:
        self.minutes[0] = minutes


def test_a_clock_jumps_and_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Jumping(monkeypatch)
    verify = {"kind": "standard", "secret": {"env": "SECRET"}}
    environment = {"SECRET": NEW, "HOOK_KEY": KEY}
    unsigned = declared("others", path=f"{PATH}_others", archive="others")
    with serving(tmp_path, declared(archive="", verify=verify), unsigned, environment=environment) as hooks:
        for number, minutes in enumerate((0, 10, 0, -10, 0)):
            clock.by(minutes)
            sent = body(f"a-100{number // 2}")  # what is refused is sent again once the clock is right
            status, _, answer = hooks.send(sent, PATH, **signed_standard(NEW, sent))
            others = hooks.send(body(f"b-100{number}"), f"{PATH}_others?key={KEY}")
            assert (status, answer.get("wrong")) == ((401, "timestamp") if minutes else (200, None))
            assert (others[0], others[2]["archived"]) == (200, 1)
        assert [key for key in hooks.keys if "others" not in key] == [f"{MINUTE}/a-100{n}" for n in (0, 1, 2)]
        assert len([key for key in hooks.keys if "others" in key]) == 5
