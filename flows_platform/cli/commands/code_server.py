"""Checks whether Dagster's code server has lost its definitions. `services` starts the server."""

import grpc

PING = "/api.DagsterApi/Ping"
PATIENCE = 5.0  # seconds to wait for the answer


def reaches_definitions(address: str) -> bool:
    """False if the code server at a gRPC address answers that its own child is gone.

    `dagster code-server start` keeps the definitions in a child, and does not restart it after a kill. A late answer,
    or none, says nothing about that child: the server is busy, or has itself ended.
    """
    with grpc.insecure_channel(address) as channel:
        try:
            channel.unary_unary(PING)(b"", timeout=PATIENCE)  # an empty message is a ping without a text
        except grpc.RpcError as error:
            return bool(error.code() is not grpc.StatusCode.UNKNOWN)
    return True
