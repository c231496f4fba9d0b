"""The paths at which archived records are read, and their scopes."""

from collections.abc import Iterable

from api_server.http.tokens import Scope
from flows_platform.webhooks.declaration import HOOKS

LIST = HOOKS
ONE = f"{HOOKS}/{{name}}"
CHANGES = f"{ONE}/changes"
RECORDS = f"{ONE}/records"
RECORD = f"{RECORDS}/{{id}}"
DETAIL = f"{RECORD}/detail"
SCOPES = {
    LIST: Scope.STATUS_READ,
    ONE: Scope.STATUS_READ,
    CHANGES: Scope.ALERTS_READ,
    RECORDS: Scope.ALERTS_READ,
    RECORD: Scope.ALERTS_READ,
    DETAIL: Scope.ALERTS_REPLAY,
}
# What clients of threatstack-to-s3 read is below this path.
THREATSTACK = "/api/v1/s3"
ALERTS = "/alert"


def is_threatstack(path: str) -> bool:
    """Whether clients of threatstack-to-s3 may use the path."""
    return f"{THREATSTACK}/" in path


def threatstack_bases(received_at: Iterable[str]) -> list[str]:
    """The paths of threatstack-to-s3, without `/alert`, among those at which a source is received."""
    return [path.removesuffix(ALERTS) for path in received_at if path.endswith(f"{THREATSTACK}{ALERTS}")]


def threatstack_scopes(base: str) -> dict[str, Scope]:
    """The paths below a base, which are those of all alerts, of one alert and of the state, with their scopes."""
    alerts = f"{base}{ALERTS}"
    return {alerts: Scope.ALERTS_READ, f"{alerts}/{{id}}": Scope.ALERTS_READ, f"{base}/status": Scope.STATUS_READ}
