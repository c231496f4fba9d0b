"""Records in two steps: a list gives ids, and further requests give the records of these ids.

Ids and records must match one to one: a list that is whole is of no value if the records of some of its ids are not.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import Self

from pydantic import Field, model_validator

from flows_platform.columns.paths import RecordPath, single
from flows_platform.columns.raw_records import Records, Unreadable
from flows_platform.declared import refused
from flows_platform.domain.errors import SourceRefused, StreamIncomplete
from flows_platform.fetch.declared_request import DeclaredRequest, Id, id_of
from flows_platform.fetch.http.refusals import NothingAnswer

IN_MEMORY = 1 << 20  # bytes of ids that are kept in memory; more go to a temporary file
BATCH = 100


class Details(DeclaredRequest):
    """The requests for the records of a list's ids."""

    batch: int | None = Field(None, ge=1, description="Most ids of a request that names {ids}; by default 100.")
    records: str | None = Field(
        None,
        description="JSON: path of the records in these answers; an object there is one record. By default as in the "
        "list.",
    )
    id: RecordPath | None = Field(
        None, description="Path of the id in an object of the list; without it, the list has the ids themselves."
    )
    record_id: RecordPath | None = Field(
        None, description="Path of the id in a record; by default one of the key columns has it."
    )
    nothing: list[NothingAnswer] | None = Field(
        None,
        description="As `api.nothing`, for these requests; `missing` also allows ids without a record, and holds if "
        "`api.nothing` has it.",
    )

    @model_validator(mode="after")
    def _names_ids(self) -> Self:
        named = self.names & {"id", "ids"}
        if len(named) != 1:
            raise refused("one of {id} and {ids} is needed in `url` or `body`: one id, or several")
        if "id" in named and self.batch not in {None, 1}:
            raise refused("{id} is one id; write {ids} to ask for several at once", ("batch",))
        return self

    @property
    def size(self) -> int:
        """The most ids of a request."""
        return 1 if "id" in self.names else self.batch or BATCH

    def named(self, ids: list[Id]) -> dict[str, Id | list[Id]]:
        """What the request's texts name."""
        return {"ids": ids} if "ids" in self.names else {"id": ids[0]}

    def ids_in(self, records: Records) -> list[Id]:
        """The ids of a slice of the list.

        Raises:
            SourceRefused: one of its elements has none.
        """
        return [self._id_of(record) for record in records]

    def _id_of(self, record: object) -> Id:
        if self.id is None:
            value = json.loads(record.raw) if isinstance(record, Unreadable) else record
        else:
            value = None if isinstance(record, Unreadable) else single(self.id.find(record))
        found = id_of(value)
        # guard: an id of a list is an id
        if found is None:
            shown = record.raw.decode(errors="replace") if isinstance(record, Unreadable) else str(record)
            raise SourceRefused(
                f"the list has {shown[:80]!r} for an id, which is neither a text nor a whole number.",
                remedy="Check `records`; where the list has objects, declare the path of their ids as `details.id`.",
            )
        return found


class IdList:
    """The ids of a list, of any number."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(max_size=IN_MEMORY, mode="w+", encoding="utf-8")  # noqa: SIM115 - see __exit__
        self.count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, ids: Iterable[Id]) -> None:
        """Add ids, in their order."""
        for found in ids:
            self._file.write(json.dumps(found) + "\n")
            self.count += 1

    def batches(self, size: int) -> Iterator[list[Id]]:
        """The ids, at most `size` at once. An id that the list repeats is in another batch."""
        self._file.seek(0)
        batch: dict[str, Id] = {}
        for line in self._file:
            found: Id = json.loads(line)
            if str(found) in batch or len(batch) == size:
                yield list(batch.values())
                batch = {}
            batch[str(found)] = found
        if batch:
            yield list(batch.values())


class AskedIds:
    """The ids of one request; `left` are those that no record has come for yet."""

    def __init__(self, ids: list[Id], values_of: Callable[[Mapping[str, object]], list[object]]) -> None:
        """`values_of` gives the values of a record that may be its id."""
        self._asked = {str(found) for found in ids}
        self._values_of = values_of
        self.left = dict.fromkeys(map(str, ids))

    def meet(self, records: Records) -> None:
        """Note records that came.

        Raises:
            StreamIncomplete: two records have the same id.
            SourceRefused: a record has an id that was not asked for.
        """
        for record in records:
            values = [] if isinstance(record, Unreadable) else list(map(str, self._values_of(record)))
            found = next((value for value in values if value in self._asked), " or ".join(values))
            # guard: a detailed record was asked for
            if found not in self._asked:
                raise SourceRefused(
                    f"a record came with the id {found[:80]!r}, which was not asked for.",
                    remedy="Check `details`: its `url` and `body`, and the path of the id in a record (`record_id`).",
                )
            # guard: an id has one record
            if found not in self.left:
                raise StreamIncomplete(f"two records of one answer have the id {found[:80]!r}.")
            del self.left[found]
