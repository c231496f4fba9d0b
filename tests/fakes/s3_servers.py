"""Services of objects on loopback: two servers of S3's protocol, as processes of their own."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

from flows_platform.local.child import ChildProcess
from flows_platform.local.ports import free_port
from flows_platform.local.supervisor import Supervisor

BUCKET = "alerts-of-tests"
KEY_ID, SECRET = "AKIATESTS", "a-secret-of-tests"


# One request after the other: moto looks whether an object is there and puts it in two steps, between which another
# request could come.
MOTO = """
import sys, moto.server
serve = moto.server.run_simple
moto.server.run_simple = lambda *given, **named: serve(*given, **named | {"threaded": False})
moto.server.main(sys.argv[1:])
"""


@contextmanager
def moto(folder: Path) -> Iterator[str]:
    """The endpoint of moto, with the bucket."""
    port = free_port()
    yield from _serving(folder, "moto", port, [sys.executable, "-c", MOTO, "-H", "127.0.0.1", "-p", str(port)])


@contextmanager
def seaweed(folder: Path) -> Iterator[str]:
    """The endpoint of SeaweedFS, with the bucket."""
    port, data = free_port(), folder / "data"
    data.mkdir()
    ports = {
        name: free_port()
        for name in ("master.port", "volume.port", "filer.port", "master.port.grpc", "volume.port.grpc")
    } | {"filer.port.grpc": free_port(), "s3.port.grpc": free_port(), "s3.port": port}
    options = [f"-{name}={number}" for name, number in ports.items()]
    # Without these it reports to its makers, and takes ports of its own choice.
    quiet = ["-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0", "-ip=127.0.0.1"]
    weed = str(Path(sys.executable).parent / "weed")
    argv = [weed, "server", f"-dir={data}", "-filer", "-s3", *quiet, "-ip.bind=127.0.0.1", "-volume.max=20", *options]
    yield from _serving(folder, "seaweed", port, argv)


def _serving(folder: Path, name: str, port: int, argv: list[str]) -> Iterator[str]:
    def ready() -> bool:
        return _status(port, "PUT", f"/{BUCKET}") in {200, 409}

    with Supervisor() as supervisor:
        supervisor.start(ChildProcess(name, argv, folder / f"{name}.log", ready))
        yield f"http://127.0.0.1:{port}"


def _status(port: int, method: str, path: str) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, headers={"Content-Length": "0"})
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()
