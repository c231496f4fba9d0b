"""Compares a vendor's own list with the archive, and archives what was never delivered. Knows no HTTP.

A vendor gives up after a few tries, so deliveries alone do not make an archive complete.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import batched
from typing import Any

from flows_platform.columns.paths import RecordPath
from flows_platform.columns.time_forms import DATE_TEXT, PER_SECOND, TimeForm, Written
from flows_platform.declared import refused
from flows_platform.webhooks.declaration import Webhook
from flows_platform.webhooks.receiver import Receiver
from flows_platform.webhooks.records import BadDelivery, record_in

BATCH = 500  # records of a delivery
SHOWN = 10  # ids and reasons that a result has
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Listed:
    """A record as the vendor lists it.

    Args:
        id: Its id.
        created_at: When it was created.
        fields: Its other fields.
    """

    id: str
    created_at: datetime
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a comparison came to.

    Args:
        listed: Records in the vendor's list.
        missing: Those that were not in the archive. All but the refused ones are now.
        refused: Those that cannot be archived.
        ids: The first ids of the missing ones.
        reasons: The first reasons why records are refused.
    """

    listed: int = 0
    missing: int = 0
    refused: int = 0
    ids: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()

    def plus(self, other: "Reconciled") -> "Reconciled":
        """Both together."""
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
        PydanticCustomError: it has no `id`, or a path that selects from a list.
    """
    if webhook.id is None:
        raise refused("records are compared by their ids: `webhook.id` is needed", ("reconcile",))
    for path in (webhook.id, webhook.created_at.path):
        if any(step.chooses for step in path.steps):
            raise refused(f"{path.text} selects from a list, and a listed record has none", ("reconcile",))


def reconcile(receiver: Receiver, listed: Iterable[Listed], url: str, now: datetime) -> Reconciled:
    """Archive the records of a vendor's list that the archive does not have. It may be called again at any time.

    Args:
        receiver: The source.
        listed: The vendor's list.
        url: Where the list is from, for the evidence.
        now: The time of the comparison.

    Raises:
        StorageError: journal or archive cannot be used now.
    """
    found = Reconciled()
    for batch in batched(listed, BATCH, strict=False):
        found = found.plus(_reconciled(receiver, batch, url, now))
    return found


def _reconciled(receiver: Receiver, batch: Sequence[Listed], url: str, now: datetime) -> Reconciled:
    webhook = receiver.declaration.webhook
    unknown = receiver.unknown([one.id for one in batch])
    records: list[bytes] = []
    ids: list[str] = []
    reasons: list[str] = []
    for one in batch:
        if one.id not in unknown:
            continue
        body = _written(webhook, one)
        try:
            record = record_in(webhook, body, one.id, now)
        except BadDelivery as error:
            reasons.append(f"{one.id[:80]}: {error}")
            continue
        # Also where the journal does not know of it.
        # guard: a record in the archive is not missing
        if not receiver.has(record):
            records.append(body)
            ids.append(one.id)
    for together in _deliveries(webhook, records):
        receiver.keep_listed(together, url, now)
    return Reconciled(len(batch), len(ids) + len(reasons), len(reasons), tuple(ids), tuple(reasons))


def _deliveries(webhook: Webhook, records: Sequence[bytes]) -> Iterable[bytes]:
    """The bodies in which the vendor would deliver the records."""
    if webhook.records is None:
        return records
    if not records:
        return []
    names = [json.dumps(name).encode() for name in webhook.records.names]
    opening = b"".join(b"{" + name + b": " for name in names)
    return [opening + b"[" + b", ".join(records) + b"]" + b"}" * len(names)]


def _written(webhook: Webhook, listed: Listed) -> bytes:
    """The record with its id and its time where the webhook has them."""
    record = dict(listed.fields)
    if webhook.id:
        put(record, webhook.id, listed.id)
    put(record, webhook.created_at.path, _time(webhook.created_at.written, listed.created_at))
    return json.dumps(record, ensure_ascii=False).encode()


def put(record: dict[str, Any], path: RecordPath, value: object) -> None:
    """Set the value at a path of names; objects on the way are made where they are missing."""
    *above, last = path.names
    for name in above:
        inner = record.get(name)
        record[name] = record = dict(inner) if isinstance(inner, Mapping) else {}
    record[last] = value


def _time(form: Written, instant: datetime) -> object:
    """An instant as a sender with that form writes it."""
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
