"""Compares a vendor's own list of records with the archive, and archives those that were never delivered. No HTTP.

Vendors give up after a few tries, so deliveries alone do not make an archive complete.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import batched
from typing import Any

from flows_platform.columns.paths import RecordPath
from flows_platform.columns.raw_records import json_text
from flows_platform.columns.time_forms import DATE_TEXT, PER_SECOND, TimeForm, Written
from flows_platform.declared import refused
from flows_platform.webhooks.declaration import Webhook
from flows_platform.webhooks.parsing import BadDelivery, Record, is_id, record_in
from flows_platform.webhooks.receiver import Receiver

BATCH = 500  # records that are compared at a time
BETWEEN = b", "  # separates the records of a body
SHOWN = 10  # ids and reasons in a result
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Listed:
    """A record in the vendor's list.

    Args:
        id: The record's id.
        created_at: When it was created.
        fields: Its other fields.
        refused: Why these cannot be read; empty if they can.
    """

    id: str
    created_at: datetime
    fields: Mapping[str, Any]
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The result of a comparison.

    Args:
        listed: Number of records in the vendor's list.
        missing: Number of these that the archive did not have. All but the refused ones are now archived.
        refused: Number of these that cannot be archived.
        ids: The ids of the first records that were missing.
        reasons: Why the first of the refused records are refused.
    """

    listed: int = 0
    missing: int = 0
    refused: int = 0
    ids: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()

    def plus(self, other: "Reconciled") -> "Reconciled":
        """The sum of two results."""
        return Reconciled(
            self.listed + other.listed,
            self.missing + other.missing,
            self.refused + other.refused,
            (*self.ids, *other.ids)[:SHOWN],
            (*self.reasons, *other.reasons)[:SHOWN],
        )


def check_reconcilable(webhook: Webhook) -> None:
    """Refuse a webhook whose records cannot be written as the vendor would deliver them.

    Raises:
        PydanticCustomError: it has no `id`, or one of its paths selects from a list.
    """
    if webhook.id is None:
        raise refused("records are compared by their ids: `webhook.id` is needed", ("reconcile",))
    for path in (webhook.id, webhook.created_at.path):
        if any(step.chooses for step in path.steps):
            raise refused(f"{path.text} selects from a list, and a listed record has none", ("reconcile",))


def reconcile(receiver: Receiver, listed: Iterable[Listed], url: str, now: datetime) -> Reconciled:
    """Archive the records of a vendor's list that the archive does not have. May be called again at any time.

    Args:
        receiver: The receiver of the source.
        listed: The vendor's list.
        url: The URL of the list, for the evidence.
        now: The time of the comparison.

    Raises:
        StorageError: journal or archive cannot be used now.
    """
    found = Reconciled()
    for batch in batched(listed, BATCH, strict=False):
        found = found.plus(_reconciled(receiver, batch, url, now))
    return found


def _reconciled(receiver: Receiver, batch: Sequence[Listed], url: str, now: datetime) -> Reconciled:
    unknown = receiver.unknown([one.id for one in batch if is_id(one.id)])
    reasons: list[str] = []
    ids: list[str] = []

    def missing() -> Iterator[bytes]:
        for one in batch:
            if is_id(one.id) and one.id not in unknown:
                continue
            unknown.discard(one.id)  # so that it counts once if the list repeats it
            # guard: a record that cannot be kept is refused alone
            try:
                body, record = _as_delivered(receiver.declaration.webhook, one, now)
            except BadDelivery as error:
                reasons.append(f"{ascii(one.id[:80])[1:-1]}: {error}")
                continue
            # The archive is asked too, since the journal may not know the record.
            # guard: a record in the archive is not missing
            if not receiver.has(record):
                ids.append(one.id)
                yield body

    for together in _deliveries(receiver.declaration.webhook, missing()):
        receiver.keep_listed(together, url, now)
    count = len(ids) + len(reasons)
    return Reconciled(len(batch), count, len(reasons), tuple(ids[:SHOWN]), tuple(reasons[:SHOWN]))


def _as_delivered(webhook: Webhook, listed: Listed, now: datetime) -> tuple[bytes, Record]:
    """A listed record as the vendor would have delivered it: its bytes, and the record in them.

    Raises:
        BadDelivery: no delivery can contain it.
    """
    if listed.refused:
        raise BadDelivery(listed.refused)
    try:
        body = _written(webhook, listed)
    except (ValueError, RecursionError, TypeError) as error:
        raise BadDelivery(f"the object cannot be written as JSON: {error}.") from error
    record = record_in(webhook, body, listed.id, now)
    size = len(body) + _around(webhook)
    # guard: a listed record fits a delivery
    if size > webhook.limit_bytes:
        raise BadDelivery(f"a delivery of the object has {size:,} bytes; at most {webhook.limit_bytes:,} are allowed.")
    return body, record


def _deliveries(webhook: Webhook, records: Iterable[bytes]) -> Iterator[bytes]:
    """The bodies in which the vendor would have delivered the records, each within the limit of its size."""
    if webhook.records is None:
        yield from records
        return
    together: list[bytes] = []
    size = _around(webhook)
    for record in records:
        # guard: records together fit a delivery
        if together and size + len(BETWEEN) + len(record) > webhook.limit_bytes:
            yield _body(webhook.records, together)
            together, size = [], _around(webhook)
        size += len(record) + (len(BETWEEN) if together else 0)
        together.append(record)
    if together:
        yield _body(webhook.records, together)


def _around(webhook: Webhook) -> int:
    """Bytes of a delivery that are not of its records."""
    return len(_body(webhook.records, [])) if webhook.records else 0


def _body(path: RecordPath, records: Sequence[bytes]) -> bytes:
    opening = b"".join(b"{" + json.dumps(name).encode() + b": " for name in path.names)
    return opening + b"[" + BETWEEN.join(records) + b"]" + b"}" * len(path.names)


def _written(webhook: Webhook, listed: Listed) -> bytes:
    """The record with its id and time at the paths where the webhook has them."""
    record = dict(listed.fields)
    if webhook.id:
        put(record, webhook.id.names, listed.id)
    created = webhook.created_at
    put(record, created.path.names, _time(created.written, listed.created_at))
    return json_text(record).encode()  # numbers keep their digits


def put(record: dict[str, Any], names: Sequence[str], value: object) -> None:
    """Set the value that the names lead to; objects on the way are made where they are missing."""
    *above, last = names
    for name in above:
        inner = record.get(name)
        record[name] = record = dict(inner) if isinstance(inner, Mapping) else {}
    record[last] = value


def _time(form: Written, instant: datetime) -> object:
    """An instant as a sender writes it in this form."""
    instant = instant.astimezone(UTC)
    if isinstance(form, TimeForm) and form in PER_SECOND:
        microseconds = (instant - _EPOCH) // (_EPOCH.resolution)
        whole, rest = divmod(microseconds * PER_SECOND[form], 1_000_000)
        return whole if not rest or form is not TimeForm.SECONDS else microseconds / 1_000_000
    if form is TimeForm.ISO:
        return instant.isoformat()
    if form is TimeForm.ISO_UTC:
        return instant.replace(tzinfo=None).isoformat()
    return instant.strftime(DATE_TEXT if form is TimeForm.DATE else form)
