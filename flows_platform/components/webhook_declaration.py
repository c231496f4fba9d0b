"""The keys of a webhook's YAML with those of its table, and the table as one that is filled from our own API."""

from collections.abc import Iterator
from typing import Any, Self

from pydantic import Field, model_validator

from flows_platform.columns.paths import RecordPath
from flows_platform.components.source import ColumnDeclaration, Partitions, TableKeys, TableShape
from flows_platform.components.validation import TableDeclaration, environment_variables, faults
from flows_platform.components.webhook_list import Reconcile, listed_keys
from flows_platform.declared import Fault, all_refused, refused
from flows_platform.fetch.alert_detail import Detail
from flows_platform.webhooks.archived_records import DETAIL, OWN, WEBHOOK
from flows_platform.webhooks.declaration import HOOKS, WebhookDeclaration
from flows_platform.webhooks.reconcile import check_reconcilable

TOKEN = "FLOWS_API_TOKEN"  # noqa: S105 - the variable's name
OF_TABLES = ("time", "key", "partitions")
NOWHERE = "http://127.0.0.1"


class WebhookTableDeclaration(WebhookDeclaration, TableShape):
    """A table that is filled by a webhook, window by window; without columns its records are archived alone.

    A path of a column leads into the record's detail where details are fetched, and else into the webhook's record, as
    one that begins with `webhook.` always does. `record_id` is the record's id, `detail_state` says whether its detail
    is present, pending, absent or given_up, `detail_at` when it came into the archive.
    """

    detail: Detail | None = Field(None, description="The request for a record's detail, where the vendor has one.")
    reconcile: Reconcile | None = Field(
        None, description="The vendor's list of records, which is compared with the archive every day."
    )
    partitions: Partitions | None = Field(None, description="The windows; needed where there are columns.")

    @model_validator(mode="before")
    @classmethod
    def _shows_no_secret(cls, given: object) -> object:
        for at, name in environment_variables(given):
            raise refused(f"the variable {name} would be shown; write {{env: {name}}} where a secret is needed", at)
        return given

    @model_validator(mode="after")
    def _is_a_table(self) -> Self:
        if found := list(self._faults()):
            raise all_refused(found)
        return self

    def _faults(self) -> Iterator[Fault]:
        given = [name for name in OF_TABLES if getattr(self, name) is not None]
        if not self.columns:
            if given:
                yield Fault((), f"columns: `{given[0]}` is that of a table, and there are no columns")
        elif self.partitions is None:
            yield Fault((), "partitions: the windows of the table are missing, such as {cron: 0 */3 * * *, start: …}")
        else:
            yield from faults(TableKeys.model_validate(self._table(NOWHERE)))
        if self.reconcile and not self.columns:
            yield Fault(("reconcile",), "only a table is compared with the vendor's list: declare `columns`")
        elif self.reconcile:
            check_reconcilable(self.webhook)
            for at, why in faults(TableKeys.model_validate(listed_keys(self, self.reconcile))):
                yield Fault(("reconcile", *at[1:]) if at[:1] == ("api",) else ("reconcile",), why)

    def table(self, base: str) -> TableDeclaration:
        """The declared table, filled from the API server at the address `base`."""
        return TableDeclaration.model_validate(self._table(base))

    def _table(self, base: str) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in TableShape.model_fields if name in self.model_fields_set}
        records = f"{HOOKS}/{self.name}/records"
        return own | {
            "partitions": self.partitions,
            "columns": [self._column(column) for column in self.columns],
            "ignore": [*map(self._in_line, self.ignore), *OWN],
            "api": {
                "url": f"{base}{records}",
                "format": "ndjson",
                "auth": {"kind": "bearer", "token": {"env": TOKEN, "required": False}},
                "time": {"after": "start", "before": "end", "before_inclusive": False},
                "verification": "count",
                "flows_protocol": True,
                "newest": {"path": f"{HOOKS}/{self.name}", "time": "time", "records": "records"},
            },
        }

    def _column(self, column: ColumnDeclaration) -> ColumnDeclaration:
        """The column with paths into a line of our own API."""
        if column.origin or column.name == self.extra:
            return column
        if column.join:
            return column.model_copy(update={"join": [*map(self._in_line, column.join)]})
        written = column.path or RecordPath.parse(column.name)
        paths = [written] if isinstance(written, RecordPath) else written
        return column.model_copy(update={"path": [*map(self._in_line, paths)]})

    def _in_line(self, path: RecordPath) -> RecordPath:
        """The path in a line: one that does not name its member leads into the detail, if there are details."""
        if path.names[:1] == (WEBHOOK,) or path.names in {(name,) for name in OWN}:
            return path
        if self.detail is None:
            return RecordPath.parse(f"{WEBHOOK}.{path.text}")
        inside = f"{self.detail.record.text}." if self.detail.record else ""
        return RecordPath.parse(f"{DETAIL}.{inside}{path.text}")
