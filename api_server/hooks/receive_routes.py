"""The endpoints that receive deliveries: they read the body, pass it to the receiver, and answer as declared."""

import logging
from collections.abc import Callable
from concurrent.futures import Executor
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api_server.hooks import problems
from api_server.http.admission import Admission
from api_server.http.bodies import BodyReader
from api_server.http.feature import Endpoint
from api_server.http.groups import Groups
from api_server.http.problems import Problem
from api_server.http.responses import NO_STORE
from flows_platform.domain.errors import StorageError
from flows_platform.webhooks.delivery import Delivery, ProofUnavailable, Unverified
from flows_platform.webhooks.parsing import BadDelivery
from flows_platform.webhooks.receiver import Receipt, Receiver

KEY = "key"
MOST_FIELDS = 32
LANES = 2  # groups of deliveries that are taken at once: while one waits for the disk, the next is read
FETCHING_LANES = 32  # where a proof may have to be fetched first
LARGEST = 1 << 20  # bytes of the bodies of a group

logger = logging.getLogger(__name__)


class ReceiveRoutes:
    """The endpoints of one source's webhook.

    Args:
        receiver: The source's receiver.
        bodies: Reads bodies.
        admission: Limits the number of deliveries that are processed at a time.
        threads: The threads that process deliveries.
        failed: Called after the archive could not be written.
    """

    def __init__(
        self,
        receiver: Receiver,
        bodies: BodyReader,
        admission: Admission,
        threads: Executor,
        failed: Callable[[], None],
    ) -> None:
        self._receiver, self._bodies, self._admission = receiver, bodies, admission
        self._failed = failed
        self._webhook = receiver.declaration.webhook
        lanes = FETCHING_LANES if self._webhook.unwrap else LANES
        self._groups = Groups(receiver.receive_all, threads, lanes, receiver.size, LARGEST)

    def endpoints(self) -> dict[str, Endpoint]:
        """The endpoints by their paths. A key in the URL is its last segment, or the parameter `key`."""
        found: dict[str, Endpoint] = {}
        for path in self._receiver.declaration.paths:
            found[path] = self._endpoint(path)
            if self._webhook.verify.in_url:
                found[f"{path}/{{{KEY}}}"] = self._endpoint(path)
        return found

    def _endpoint(self, path: str) -> Endpoint:
        async def receive(request: Request) -> Response:
            try:
                return self._answer(await self._receive(request))
            except Problem as problem:
                raise problems.at_path(problem, path) from None

        return receive

    async def _receive(self, request: Request) -> Receipt:
        sender = request.client.host if request.client else ""
        # guard: senders are asked for
        if not self._webhook.admits(sender):
            raise problems.unknown_sender()
        async with self._bodies.body(request, self._webhook.limit_bytes) as body:
            # Only after the body has arrived: a slow sender must not block others.
            slot = self._admission.take()
            try:
                return await self._taken(_delivery(request, body, sender))
            finally:
                slot.release()

    async def _taken(self, delivery: Delivery) -> Receipt:
        try:
            return await self._groups.result(delivery)
        except Unverified as error:
            raise problems.unverified(error) from None
        except ProofUnavailable as error:
            logger.error("%s: %s", self._receiver.declaration.name, error)
            raise problems.proof_unavailable() from None
        except BadDelivery as error:
            raise problems.invalid(error) from None
        except StorageError as error:
            logger.error("%s: %s", self._receiver.declaration.name, error)
            self._failed()
            raise problems.archive_unavailable("written") from None

    def _answer(self, receipt: Receipt) -> Response:
        if receipt.greeting is not None:
            return JSONResponse(receipt.greeting, headers=NO_STORE)
        if self._webhook.answer == 204:  # noqa: PLR2004
            return Response(status_code=204, headers=NO_STORE)
        body = {"success": True, "archived": receipt.archived, "repeated": receipt.repeated}
        return JSONResponse(body, self._webhook.answer, NO_STORE)


def _delivery(request: Request, body: bytes, sender: str) -> Delivery:
    headers: dict[str, tuple[str, ...]] = {}
    for name, value in request.headers.raw:
        key = name.decode("latin-1").lower()
        headers[key] = (*headers.get(key, ()), value.decode("latin-1"))
    return Delivery(body, headers, datetime.now(UTC), _url_keys(request), sender)


def _url_keys(request: Request) -> tuple[str, ...]:
    in_path = [text for name, text in request.path_params.items() if name == KEY]
    query = request.scope["query_string"].decode("latin-1")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:  # too many fields to look for the key among them
        pairs = []
    return (*in_path, *(value for name, value in pairs if name == KEY))
