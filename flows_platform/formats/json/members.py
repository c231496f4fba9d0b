"""Records that are the members of an object: `{"id1": {…}, "id2": {…}}`."""

import numpy as np
import numpy.typing as npt

from flows_platform.columns.raw_records import Records, Unreadable, json_text
from flows_platform.domain.errors import SourceRefused

MOST = 1 << 22  # members of one object; 8 bytes of each name are kept, to see that it does not come twice


class Members:
    """Makes records of members: the name becomes the field `field`."""

    def __init__(self, field: str) -> None:
        self._field = field
        self._seen = _Seen()

    def records(self, members: list[tuple[str, object]]) -> Records:
        """The records of some more members.

        Raises:
            SourceRefused: a name is repeated, a record has the field already, or there are more than 4,194,304 members.
        """
        names = [name for name, _ in members]
        repeated = self._seen.add(names)
        # guard: a member comes once
        if repeated is not None:
            raise SourceRefused(f"the member {repeated!r} is repeated among the records.")
        # guard: the names of members are few
        if self._seen.count > MOST:
            raise SourceRefused(
                f"the object of the records has more than {MOST:,} members.", remedy="Ask for shorter windows."
            )
        return [self._record(name, value) for name, value in members]

    def _record(self, name: str, value: object) -> dict[str, object] | Unreadable:
        if not isinstance(value, dict):
            return Unreadable("not a JSON object", json_text({name: value}).encode())
        # guard: a member's name replaces no field
        if self._field in value:
            raise SourceRefused(
                f"the record {name!r} already has a field {self._field!r}.", remedy="Choose another `record_key`."
            )
        return {self._field: name, **value}


class _Seen:
    """The hashes of names, in sorted runs whose lengths at least double: a name is looked up in each."""

    def __init__(self) -> None:
        self._runs: list[npt.NDArray[np.int64]] = []
        self.count = 0

    def add(self, names: list[str]) -> str | None:
        """Add names; returns one that was there already."""
        hashes = np.array([hash(name) for name in names], np.int64)
        order = np.argsort(hashes)
        fresh = hashes[order]
        again = np.zeros(len(fresh), np.bool_)
        again[1:] = fresh[1:] == fresh[:-1]
        for run in self._runs:
            again |= run[np.minimum(np.searchsorted(run, fresh), len(run) - 1)] == fresh
        if again.any():
            return names[int(order[np.argmax(again)])]
        self.count += len(fresh)
        while self._runs and len(self._runs[-1]) <= len(fresh):
            fresh = np.sort(np.concatenate([self._runs.pop(), fresh]))
        if len(fresh):
            self._runs.append(fresh)
        return None
