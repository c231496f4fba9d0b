"""What we ask of Dagster's code server, on a server that answers as it does."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc

from flows_platform.cli.commands.code_server import PING, reaches_definitions
from flows_platform.local.ports import free_port


@contextmanager
def serving(answer: Callable[[bytes, grpc.ServicerContext], bytes]) -> Iterator[str]:
    """The address of a server that answers a ping so."""
    _, service, method = PING.split("/")
    server = grpc.server(ThreadPoolExecutor(1))
    handlers = {method: grpc.unary_unary_rpc_method_handler(answer)}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, handlers)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


def child_is_gone(_: bytes, context: grpc.ServicerContext) -> bytes:
    context.abort(grpc.StatusCode.UNKNOWN, "Exception calling application")  # raises
    return b""


def late(_: bytes, context: grpc.ServicerContext) -> bytes:
    context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "busy")  # raises
    return b""


def test_only_an_answer_that_the_child_is_gone_says_so() -> None:
    with serving(lambda *_: b"") as address:
        assert reaches_definitions(address)
    with serving(child_is_gone) as address:
        assert not reaches_definitions(address)
    with serving(late) as address:
        assert reaches_definitions(address)
    assert reaches_definitions(f"127.0.0.1:{free_port()}")
