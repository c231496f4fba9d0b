"""The paths at which archived records are read, and their scopes."""

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
# Below this, readers of threatstack-to-s3 find what they read there.
ORIGINAL = "/api/v1/s3"
ALERTS = "/alert"
