"""S3 where it refuses, is away, or answers late: what is said, and that no secret is in it."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from flows_platform.domain.errors import StorageError
from flows_platform.stores import bucket_store, s3_store
from flows_platform.stores.object_store import Outcome
from flows_platform.stores.opening import open_store
from tests.api_server.hooks.served import body, serving
from tests.conditions import eventually
from tests.fakes.s3_servers import BUCKET, KEY_ID, SECRET
from tests.fakes.serving import Answer, Asked, Fault
from tests.fakes.small_server import SmallServer
from tests.stores.conftest import Services

type SetVariables = Callable[[str], None]


def xml(status: int, body: str) -> Answer:
    return Answer(status, {"Content-Type": "application/xml"}, body.encode())


def refused(status: int, code: str) -> Answer:
    detail = f"<AWSAccessKeyId>{KEY_ID}</AWSAccessKeyId><SignatureProvided>0123</SignatureProvided>"
    return xml(status, f"<Error><Code>{code}</Code><Message>No.</Message>{detail}</Error>")


def listing(*names: str) -> Answer:
    found = "".join(
        f"<Contents><Key>{name}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified><ETag>0</ETag>"
        f"<Size>1</Size></Contents>"
        for name in names
    )
    return xml(
        200, f"<ListBucketResult><Name>{BUCKET}</Name><IsTruncated>false</IsTruncated>{found}</ListBucketResult>"
    )


class S3(SmallServer):
    """One object, which may be created; `faults` say otherwise. The first request is the listing of the opening."""

    def __init__(self, *names: str) -> None:
        super().__init__(self._respond_to)
        self.names = names
        self.held: bytes | None = None

    def _respond_to(self, asked: Asked) -> Answer:
        if "list-type" in asked.parameters:
            return listing(*self.names)
        if asked.method == "PUT":
            assert asked.headers["if-none-match"] == "*"
            if self.held is not None:
                return refused(412, "PreconditionFailed")
            self.held = asked.body
            return Answer(200, {"ETag": '"0"'})
        if self.held is None:
            return refused(404, "NoSuchKey")
        return Answer(200, {"ETag": '"0"', "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}, self.held)


def test_a_conflict_is_tried_again(s3_variables: SetVariables) -> None:
    with S3() as server:
        s3_variables(server.origin)
        store = open_store(f"s3://{BUCKET}")
        server.faults = {2: Fault(refused(409, "ConditionalRequestConflict"))}
        assert store.create("a", b"one") is Outcome.CREATED
        assert [asked.method for asked in server.requests] == ["GET", "PUT", "GET", "PUT"]
        assert store.create("a", b"two") is Outcome.DIFFERS


def test_a_conflict_that_remains_is_reported(s3_variables: SetVariables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket_store, "CONFLICT_SECONDS", 0.0)
    with S3() as server:
        s3_variables(server.origin)
        store = open_store(f"s3://{BUCKET}/x")
        server.faults = {number: Fault(refused(409, "OperationAborted")) for number in range(2, 40, 2)}
        with pytest.raises(StorageError, match=rf"s3://{BUCKET}/x has a conflict at x/a: it cannot be created"):
            store.create("a", b"one")


def test_an_answer_that_was_lost_is_not_a_second_object(s3_variables: SetVariables) -> None:
    with S3() as server:
        s3_variables(server.origin)
        store = open_store(f"s3://{BUCKET}")
        server.faults = {2: Fault(refused(500, "InternalError"))}
        server.held = b"one"  # as the first try left it
        assert store.create("a", b"one") is Outcome.SAME


@pytest.mark.parametrize(("status", "code"), [(403, "SignatureDoesNotMatch"), (403, "InvalidAccessKeyId"), (401, "No")])
def test_wrong_credentials_are_named_without_the_secret(s3_variables: SetVariables, status: int, code: str) -> None:
    with S3() as server:
        s3_variables(server.origin)
        server.faults = {1: Fault(refused(status, code))}
        with pytest.raises(StorageError) as caught:
            open_store(f"s3://{BUCKET}/x")
    assert str(caught.value).startswith(
        f"s3://{BUCKET}/x refuses the credentials ({code}). Correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )
    for hidden in (SECRET, KEY_ID, "0123"):
        assert hidden not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_a_missing_bucket_is_named(s3_variables: SetVariables, services: Services) -> None:
    s3_variables(services("moto"))
    with pytest.raises(StorageError, match=r"the bucket another-bucket does not exist\. Create it"):
        open_store("s3://another-bucket/x")


def test_a_bucket_that_went_away_is_not_an_empty_one(s3_variables: SetVariables) -> None:
    with S3() as server:
        s3_variables(server.origin)
        store = open_store(f"s3://{BUCKET}")
        server.faults = {number: Fault(refused(404, "NoSuchBucket")) for number in range(2, 9)}
        for act in (lambda: store.read("a"), lambda: store.create("a", b""), lambda: list(store.keys())):
            with pytest.raises(StorageError, match=f"the bucket {BUCKET} does not exist"):
                act()


def test_a_service_that_is_away_is_named(s3_variables: SetVariables) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        s3_variables(f"http://127.0.0.1:{closed.getsockname()[1]}")
        with pytest.raises(StorageError, match=rf"s3://{BUCKET} cannot be used now: .*\. Check the service, AWS_"):
            open_store(f"s3://{BUCKET}")


def test_a_service_that_hangs_is_given_up(s3_variables: SetVariables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_store, "REQUEST_SECONDS", 0.2)
    monkeypatch.setattr(s3_store, "RETRY_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        s3_variables(f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(StorageError, match="cannot be used now"):
            open_store(f"s3://{BUCKET}")


def test_a_server_that_fails_is_named_by_its_code(s3_variables: SetVariables) -> None:
    with S3() as server:
        s3_variables(server.origin)
        store = open_store(f"s3://{BUCKET}")
        server.faults = {number: Fault(refused(400, "InvalidRequest")) for number in range(2, 9)}
        with pytest.raises(StorageError, match="cannot be used now: InvalidRequest"):
            store.create("a", b"")


def test_a_listing_out_of_order_is_refused(s3_variables: SetVariables) -> None:
    with S3("x/b", "x/a") as server:
        s3_variables(server.origin)
        store = open_store(f"s3://{BUCKET}/x")
        keys = store.keys()
        assert next(keys) == "b"
        with pytest.raises(StorageError, match=f"s3://{BUCKET}/x lists 'a' after 'b': its order is not"):
            next(keys)


def test_a_range_is_listed_from_its_start(s3_variables: SetVariables) -> None:
    with S3() as server:
        s3_variables(server.origin)
        store = open_store(f"s3://{BUCKET}/x")
        for prefix, after in (("a/12/", ""), ("a/12", ""), ("a/12", "a/12/05/id"), ("", ""), ("a/0", "")):
            list(store.keys(prefix, after))
        asked = [(one.parameters["prefix"], one.parameters.get("start-after", "")) for one in server.requests[1:]]
    assert asked == [
        ("x/a/12/", ""), ("x/a/", "x/a/11~"), ("x/a/", "x/a/12/05/ic~"), ("x/", ""), ("x/a/", "w~"),
    ]  # fmt: skip


def test_a_folder_that_a_tool_made_is_not_an_object(s3_variables: SetVariables) -> None:
    with S3("x/", "x/a") as server:
        s3_variables(server.origin)
        assert list(open_store(f"s3://{BUCKET}/x").keys()) == ["a"]


def test_a_service_that_is_away_is_a_503_and_loses_nothing(s3_variables: SetVariables, tmp_path: Path) -> None:
    with S3() as server:
        s3_variables(server.origin)
        store = open_store(f"s3://{BUCKET}")
        with serving(tmp_path, store=store, drain_seconds=0.01) as hooks:
            asked = len(server.requests)
            server.faults = {asked + number: Fault(refused(403, "AccessDenied")) for number in (1, 2)}
            status, headers, found = hooks.send(body("5a3c"))
            assert (status, headers["retry-after"], found["type"]) == (503, "30", "/#archive-unavailable")
            assert KEY_ID not in str(found)
            assert eventually(lambda: server.held is not None)
