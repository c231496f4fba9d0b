"""What the stand-ins of the library share: events around two midnights, requests with ranges, secrets, HTTP."""

import json
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

from flows_platform.domain.windows import Window
from tests.fakes.serving import Answer, Asked, VendorServer

DAY = datetime(2024, 3, 1, tzinfo=UTC)
# Around two days, on both midnights, and a millisecond before the second.
TIMES = sorted(
    [DAY + timedelta(minutes=47, seconds=1) * step for step in range(-20, 60)]
    + [DAY, DAY + timedelta(days=1), DAY + timedelta(days=1, milliseconds=-1)]
)
SECRET = "s3cr3t"  # noqa: S105 - what every variable of a file holds
TOKEN_USES = 2  # requests that an OAuth2 token is good for

type Row = tuple[Any, datetime]  # a record's key and time


def epoch(instant: datetime) -> int:
    return int(instant.timestamp())


def milliseconds(instant: datetime) -> int:
    return int(instant.timestamp() * 1000 + 0.5)


def iso(instant: datetime) -> str:
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def whole(instant: datetime) -> datetime:
    """The time of an API that counts seconds."""
    return instant.replace(microsecond=0)


def numbered(
    first: datetime,
    last: datetime,
    *,
    inclusive: bool = False,
    seen: Callable[[datetime], datetime] = lambda time: time,
) -> list[tuple[int, datetime]]:
    """The events of a range, each with its number and its time as the API sees it."""
    times = [(number, seen(time)) for number, time in enumerate(TIMES)]
    return [(number, time) for number, time in times if first <= time < last or (inclusive and time == last)]


@dataclass(frozen=True)
class Range:
    """A request, and the events that it asks for."""

    asked: Asked
    origin: str

    def between(
        self,
        after: str,
        before: str,
        *,
        inclusive: bool = True,
        seen: Callable[[datetime], datetime] = lambda time: time,
    ) -> list[tuple[int, datetime]]:
        return numbered(self._instant(after), self._instant(before), inclusive=inclusive, seen=seen)

    def _instant(self, name: str) -> datetime:
        text = self.asked.parameters[name]
        if not text.isdecimal():
            return datetime.fromisoformat(text)
        number = int(text)
        return datetime.fromtimestamp(number / 1000 if number > 10**11 else number, UTC)

    def number(self, name: str, default: int = 0) -> int:
        return int(self.asked.parameters.get(name, default))

    def link(self, **changed: object) -> str:
        return f"{self.origin}{self.asked.path}?{urlencode(self.asked.parameters | changed)}"


def answered(document: object, headers: Mapping[str, str] | None = None, status: int = 200) -> Answer:
    return Answer(status, {"Content-Type": "application/json"} | dict(headers or {}), json.dumps(document).encode())


def paged(rows: Sequence[Any], first: int, size: int) -> tuple[Sequence[Any], bool]:
    return rows[first : first + size], first + size < len(rows)


def header(name: str, value: str) -> Callable[[Asked], bool]:
    """Whether a request shows who asks, by a header."""
    return lambda asked: asked.headers.get(name) == value


@dataclass(frozen=True)
class StandIn:
    """One API: what replaces it in the file, what it answers, and what is in a window.

    `origins` are replaced by the server's. `admits` is false for requests that must get `refusal`, and `reason` is its
    text. `token_path` issues OAuth2 tokens. `rows` gives the keys and times of a window's records.
    """

    origins: tuple[str, ...]
    answer: Callable[[Range], Answer]
    rows: Callable[[Window], Sequence[Row]]
    variables: tuple[str, ...] = ()
    admits: Callable[[Asked], bool] = lambda _asked: True
    refusal: Answer = field(default_factory=lambda: answered({"message": "who are you?"}, status=401))
    reason: str = "answered 401"
    token_path: str = ""


def events(
    identify: Callable[[int], Any], seen: Callable[[datetime], datetime] = lambda time: time
) -> Callable[[Window], Sequence[Row]]:
    """The rows of a window whose records are the events."""
    return lambda window: [(identify(number), time) for number, time in numbered(window.start, window.end, seen=seen)]


class LibraryServer(VendorServer):
    """Answers as one of the stand-ins does. With `cuts`, every answer of the API ends in the middle."""

    def __init__(self, stand_in: StandIn) -> None:
        super().__init__(clock=lambda: 0.0)
        self.stand_in = stand_in
        self.cuts = False
        self._uses: Counter[str] = Counter()
        self._tokens = 0

    def answering(self, asked: Asked) -> tuple[Answer, int | None]:
        answer, cut_after = super().answering(asked)
        if self.cuts and asked.path != self.stand_in.token_path:
            assert isinstance(answer.body, bytes)
            return answer, len(answer.body) // 2
        return answer, cut_after

    def answer(self, asked: Asked) -> Answer:
        if asked.path == self.stand_in.token_path:
            return self._token(asked)
        if not (self._is_fresh(asked) if self.stand_in.token_path else self.stand_in.admits(asked)):
            return self.stand_in.refusal
        return self.stand_in.answer(Range(asked, self.origin))

    def _token(self, asked: Asked) -> Answer:
        form = dict(parse_qsl(asked.body.decode()))
        basic = b64decode(asked.headers.get("authorization", "").removeprefix("Basic ")).decode()
        shown = basic.split(":") if basic else [form["client_id"], form["client_secret"]]
        others = {form.get(name, SECRET) for name in ("refresh_token", "account_id")}
        if [*shown, *others] != [SECRET, SECRET, SECRET]:
            return answered({"error": "invalid_client"}, status=401)
        assert form["grant_type"] in {"client_credentials", "refresh_token", "account_credentials"}
        self._tokens += 1
        token = f"{SECRET}-token-{self._tokens}"
        self._uses[f"Bearer {token}"] = TOKEN_USES
        return answered({"access_token": token, "token_type": "Bearer", "expires_in": 3599})

    def _is_fresh(self, asked: Asked) -> bool:
        shown = asked.headers.get("authorization", "")
        self._uses[shown] -= 1
        return self._uses[shown] >= 0
