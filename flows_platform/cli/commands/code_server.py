"""Whether Dagster's code server has lost its definitions. How it is started, `children` says."""

import grpc

PING = "/api.DagsterApi/Ping"
PATIENCE = 5.0  # seconds


def reaches_definitions(address: str) -> bool:
    """False where the code server at an address as gRPC writes it answers that its own child is gone.

    `dagster code-server start` keeps the definitions in a child, which it does not start again where it is killed. No
    answer, or a late one, says nothing of that child: the server is busy, or has ended itself.
    """
    with grpc.insecure_channel(address) as channel:
        try:
            channel.unary_unary(PING)(b"", timeout=PATIENCE)  # an empty message is a ping without a word
        except grpc.RpcError as error:
            return bool(error.code() is not grpc.StatusCode.UNKNOWN)
    return True
