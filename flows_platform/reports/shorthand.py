"""The short forms of a report, and the statement, parameters and columns that they stand for. No I/O."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from flows_platform.declared import Declared, KeyFault, KeyPath, did_you_mean
from flows_platform.domain.schema import ColumnType, WarehouseTable

type Per = Literal["hour", "day", "month", "year"]
type WrittenOut = Mapping[str, Any]

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
# The longest range in days, by its shortest slice: some thousand rows for each value.
DAYS: Mapping[str, int] = {"hour": 92, "day": 3660, "month": 36_600, "year": 36_600}
SUMMED = {ColumnType.INT64: ColumnType.NUMERIC, ColumnType.NUMERIC: ColumnType.NUMERIC}
SPAN = {"inclusive": True, "description": "Start of the range."}
UNTIL = {"inclusive": False, "description": "End of the range; rows at this time do not belong to it."}


class Short(Declared):
    """The keys that both forms have."""

    of: Name = Field(description="Name of the table.")
    sum: Name | None = Field(None, description="The column that is summed; without it, rows are counted.")

    def written_out(self, table: WarehouseTable, key: str) -> WrittenOut:
        """The keys of a report that the form is short for.

        Args:
            table: The table that `of` names.
            key: The form's own key, for errors.

        Raises:
            KeyFault: a column does not exist, or its type does not fit.
        """
        raise NotImplementedError

    def _column(self, table: WarehouseTable, name: str, at: KeyPath) -> ColumnType:
        types = {column.name: column.type for column in table.columns}
        if name not in types:
            near = did_you_mean(name, types) or "."
            raise KeyFault(at, f"{name!r} is not a column of {table.name} ({', '.join(types)}){near}")
        return types[name]

    def _amount(self, table: WarehouseTable, key: str) -> tuple[str, dict[str, str]]:
        """The SQL expression of the sum or count, and its column."""
        if self.sum is None:
            return "COUNT(*)", {"name": "rows", "type": "int64", "description": "Number of rows."}
        found = SUMMED.get(self._column(table, self.sum, (key, "sum")))
        if found is None:
            raise KeyFault((key, "sum"), f"{self.sum!r} has no exact sum; an int64 or numeric column is needed.")
        described = {"name": self.sum, "type": found.value, "description": f"Sum of {self.sum}."}
        return f"SUM(CAST(`{self.sum}` AS NUMERIC))", described


class Top(Short):
    """The values of a column with the highest sums, or the most rows, in a range of time."""

    by: Name = Field(description="The column whose values are compared.")
    most: int = Field(1000, ge=1, le=100_000, description="Most rows that a request may ask for.")

    def written_out(self, table: WarehouseTable, key: str) -> WrittenOut:
        kind = self._column(table, self.by, (key, "by"))
        amount, shown = self._amount(table, key)
        time = table.instant.name
        return {
            "over": [self.of],
            "parameters": [
                *_range("{{ newest - 1d }}"),
                {
                    "name": "top",
                    "type": "int64",
                    "minimum": 1,
                    "maximum": self.most,
                    "default": min(10, self.most),
                    "description": "Most rows of the answer.",
                },
            ],
            "longest": {"parameters": ["start", "end"], "days": DAYS["hour"]},
            "sql": f"SELECT `{self.by}`, {amount} AS `{shown['name']}`\n"
            f"FROM `{self.of}` WHERE `{time}` >= @start AND `{time}` < @end\n"
            f"GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT @top",
            "columns": [{"name": self.by, "type": kind.value}, shown],
            "chart": {"kind": "bar", "x": self.by, "y": shown["name"]},
        }


class Series(Short):
    """A sum or a number of rows for every slice of time, over all rows or those with one value of a column."""

    entity: Name | None = Field(None, description="The column whose value a request gives; without it, all rows count.")
    per: tuple[Per, ...] = Field(
        ("day",), min_length=1, description="The slices that a request may choose: hour, day, month, year (UTC)."
    )
    fill: bool = Field(True, description="Whether slices without rows are shown, with the value 0.")

    def written_out(self, table: WarehouseTable, key: str) -> WrittenOut:
        amount, shown = self._amount(table, key)
        zero = "0" if self.sum is None else "CAST(0 AS NUMERIC)"
        time = table.instant.name
        where = f"`{time}` >= @start AND `{time}` < @end"
        parameters = _range("{{ newest - 1d }}" if self.per[0] == "hour" else "{{ newest - 30d }}")
        if self.entity:
            parameters.append(self._entity(table, key))
            where += f" AND `{self.entity}` = @{self.entity.lower()}"
        parameters.append(
            {
                "name": "per",
                "type": "choice",
                "of": list(self.per),
                "default": self.per[0],
                "description": "Length of the slices.",
            }
        )
        start = f"CASE @per {' '.join(self._whens(f'`{time}`'))} END"
        counted = f"SELECT {start} AS `slice`, {amount} AS `amount` FROM `{self.of}` WHERE {where} GROUP BY 1"
        value = f"IFNULL(c.`amount`, {zero}) AS `{shown['name']}`"
        filled = (
            f"WITH `counted` AS ({counted}),\n`slices` AS ({' UNION ALL '.join(self._slices())})\n"
            f"SELECT s.`slice`, {value}\n"
            f"FROM `slices` AS s LEFT JOIN `counted` AS c ON c.`slice` = s.`slice` ORDER BY s.`slice`"
        )
        plain = (
            f"WITH `counted` AS ({counted})\n"
            f"SELECT c.`slice`, c.`amount` AS `{shown['name']}` FROM `counted` AS c ORDER BY c.`slice`"
        )
        slice_ = {"name": "slice", "type": "timestamp", "description": "Start of the slice of time."}
        return {
            "over": [self.of],
            "parameters": parameters,
            "longest": {"parameters": ["start", "end"], "days": min(DAYS[per] for per in self.per)},
            "sql": filled if self.fill else plain,
            "columns": [slice_, shown],
            "chart": {"kind": "line", "x": "slice", "y": shown["name"]},
        }

    def _entity(self, table: WarehouseTable, key: str) -> dict[str, Any]:
        entity = self.entity or ""
        kind = self._column(table, entity, (key, "entity"))
        return {"name": entity.lower(), "type": kind.value, "description": f"The {entity} whose rows are counted."}

    def _whens(self, time: str) -> Iterator[str]:
        for per in self.per:
            yield f"WHEN '{per}' THEN TIMESTAMP_TRUNC({time}, {per.upper()})"

    def _slices(self) -> Iterator[str]:
        """A SELECT for every kind of slice; only the one that the request chose has rows."""
        for per in self.per:
            if per == "hour":
                first = "TIMESTAMP_TRUNC(@start, HOUR)"
                array = f"GENERATE_TIMESTAMP_ARRAY({first}, @end, INTERVAL 1 HOUR)"
                slot = "slot"
            else:
                first = f"DATE_TRUNC(DATE(@start), {per.upper()})"
                array = f"GENERATE_DATE_ARRAY({first}, DATE(@end), INTERVAL 1 {per.upper()})"
                slot = "TIMESTAMP(slot)"
            yield f"SELECT {slot} AS `slice` FROM UNNEST({array}) AS slot WHERE @per = '{per}' AND {slot} < @end"


def _range(start: str) -> list[dict[str, Any]]:
    times = [("start", start, SPAN), ("end", "{{ newest }}", UNTIL)]
    return [{"name": name, "type": "timestamp", "default": default, **more} for name, default, more in times]
