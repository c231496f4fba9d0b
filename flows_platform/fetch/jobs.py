"""An export that a source writes while we wait: a request starts a job, and its status says when that is done."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from flows_platform.columns.paths import RecordPath, Step, quoted, single
from flows_platform.declared import Declared, refused
from flows_platform.domain.errors import SourceRefused, SourceUnavailable, StreamIncomplete
from flows_platform.fetch.body import as_text
from flows_platform.fetch.declared_request import DeclaredRequest, Id, id_of

State = Annotated[str, BeforeValidator(lambda given: as_text(given) if isinstance(given, int) else given)]
# Members of a done job's status that count or list what is not in its result.
_LOST = re.compile(r"fail|cancel|missing|incomplete|error", re.IGNORECASE)
_COUNTED = re.compile(
    r"chunk|part|record|row|shard|file|count|num|total|^(?:failed|failures?|cancell?ed|missing|errors)$", re.IGNORECASE
)

States = Annotated[list[State], BeforeValidator(lambda given: given if isinstance(given, list) else [given])]


class JobStart(DeclaredRequest):
    """The request that starts a job. Its texts may name the bounds of the range."""

    id: RecordPath = Field(description="Path of the job's id in the answer.")

    def job_in(self, answer: Mapping[str, object]) -> Id:
        """The id of the job that was started.

        Raises:
            SourceRefused: the answer has none.
        """
        found = single(self.id.find(answer))
        job = id_of(found)
        # guard: a job has an id
        if job is None:
            raise SourceRefused(
                f"the answer to `job.start` has {str(found)[:80]!r} for the id at {self.id.text}.",
                remedy="Check the path `id` of `job.start`.",
            )
        return job


class JobStatus(DeclaredRequest):
    """The request for a job's status. Its texts name {job}."""

    state: RecordPath = Field(description="Path of the state in the answer.")
    done: States = Field(min_length=1, description="The state of a job that is done, or a list of such states.")
    failed: States = Field([], description="States of a job that failed. In any other state it goes on.")
    every: float = Field(10.0, gt=0, description="Seconds between two requests; Retry-After may ask for more.")

    @model_validator(mode="after")
    def _is_decided(self) -> Self:
        _require_names(self, "job")
        if both := set(self.done) & set(self.failed):
            raise refused(f"{min(both)!r} is also a state of `done`", ("failed",))
        return self

    def state_in(self, answer: Mapping[str, object]) -> str:
        """The state that the answer says.

        Raises:
            SourceRefused: it says none.
        """
        found = single(self.state.find(answer))
        # guard: a status has a state
        if not isinstance(found, str | int):
            raise SourceRefused(
                f"the status of the job has {str(found)[:80]!r} for the state at {self.state.text}.",
                remedy="Check the path `state` of `job.status`.",
            )
        return as_text(found)

    def require_whole(self, answer: Mapping[str, object], known: Collection[RecordPath]) -> None:
        """Refuse a done job whose status says that some of its result failed: a count, or a list of it.

        Raises:
            SourceUnavailable: it does, at a path that is not `known`; another job may succeed.
        """
        allowed = tuple(f"{path.text}." for path in known)
        # guard: a done job has lost nothing
        if lost := next((found for found in _losses(answer, ()) if not f"{found}.".startswith(allowed)), None):
            raise SourceUnavailable(
                f"the job is done, and its status says at {lost} that some of its result failed.",
                remedy=f"Where this does not mean that records are missing, declare `ignore_envelope: [{lost}]`.",
            )

    def is_done(self, state: str, job: Id) -> bool:
        """Whether the state is one of a job that is done.

        Raises:
            SourceUnavailable: it is one of a job that failed; another job may succeed.
        """
        # guard: a job that failed gives no records
        if state in self.failed:
            raise SourceUnavailable(f"the job {job} of the source ended as {state}.")
        return state in self.done


class JobChunks(DeclaredRequest):
    """The requests for the chunks of a job's result. Their texts name `{part}`, and `{job}` where needed."""

    chunks: RecordPath = Field(alias="list", description="Path of the list of chunks in the status of a done job.")

    @model_validator(mode="after")
    def _names_a_chunk(self) -> Self:
        _require_names(self, "part")
        return self

    def chunks_in(self, status: Mapping[str, object]) -> list[Id]:
        """The chunks that the status lists.

        Raises:
            SourceRefused: it has no such list, or what it lists has no id.
            StreamIncomplete: it lists a chunk twice.
        """
        found = _listed(status, self.chunks)
        chunks = [id_of(value) for value in found]
        if None in chunks:
            raise SourceRefused(
                f"the list of chunks at {self.chunks.text} has {str(found[chunks.index(None)])[:80]!r}, which is "
                "neither a text nor a whole number.",
                remedy="Check the path `list` of `job.parts`.",
            )
        counts = Counter(map(str, chunks))
        # guard: a chunk is read once
        if twice := next((name for name, count in counts.items() if count > 1), None):
            raise StreamIncomplete(f"the status of the job lists the chunk {twice[:80]!r} twice.")
        return [chunk for chunk in chunks if chunk is not None]


class JobResult(DeclaredRequest):
    """The request for the result of a job in one answer. Its texts name {job}."""

    @model_validator(mode="after")
    def _names_the_job(self) -> Self:
        _require_names(self, "job")
        return self


class Job(Declared):
    """An export: a request starts a job, and its result is read once the job is done."""

    start: JobStart = Field(description="The request that starts the job.")
    status: JobStatus = Field(description="The request for its status.")
    parts: JobChunks | None = Field(None, description="The requests for the chunks of its result.")
    result: JobResult | None = Field(None, description="Instead of `parts`: the request for the whole result.")

    @model_validator(mode="after")
    def _has_a_result(self) -> Self:
        if (self.parts is None) == (self.result is None):
            raise refused("one of `parts` and `result` is needed")
        return self

    def filled(self, request: Callable[[DeclaredRequest], DeclaredRequest]) -> "Job":
        """The job whose requests are what `request` makes of them."""
        requests = {"start": self.start, **self.further}
        return self.model_copy(update={name: request(declared) for name, declared in requests.items()})

    @property
    def further(self) -> dict[str, DeclaredRequest]:
        """The requests after the first, by their keys."""
        requests = {"status": self.status, "parts": self.parts, "result": self.result}
        return {name: request for name, request in requests.items() if request}


def _losses(status: Mapping[str, object], above: tuple[str, ...]) -> Iterator[str]:
    """The paths of a status's members that count or list what failed."""
    for name, value in status.items():
        path = (*above, quoted(name))
        if isinstance(value, Mapping) and not _LOST.search(name):
            yield from _losses(value, path)
        elif _LOST.search(name) and _is_loss(name, value):
            yield ".".join(path)


def _is_loss(name: str, value: object) -> bool:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value > 0 and _COUNTED.search(name) is not None
    return isinstance(value, list) and bool(value)


def _require_names(request: DeclaredRequest, name: str) -> None:
    if name not in request.names:
        raise refused(f"{{{name}}} is not in `url` or `body`: every request would ask for the same", ("url",))


def _listed(status: Mapping[str, object], path: RecordPath) -> list[object]:
    """The elements of the list at the path; a list on the way may be empty.

    Raises:
        SourceRefused: there is no list.
    """
    holders: list[object] = [status]
    lists = False
    for step in path.steps:
        inner = [_member(holder, step, path) for holder in holders]
        lists = lists or any(isinstance(value, list) for value in inner)
        holders = [found for holder in holders for found in step.values(holder)]
    # guard: a list of chunks is a list
    if not lists:
        raise _no_list(path)
    return holders


def _member(holder: object, step: Step, path: RecordPath) -> object:
    if not isinstance(holder, Mapping) or holder.get(step.name) is None:
        raise _no_list(path)
    return holder[step.name]


def _no_list(path: RecordPath) -> SourceRefused:
    return SourceRefused(
        f"the status of the job has no list of chunks at {path.text}.",
        remedy="Check the path `list` of `job.parts`; a job without records has an empty list.",
    )
