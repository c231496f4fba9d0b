"""The scripted server and a client for it, as the tests of fetching have them."""

from tests.fetch.conftest import client, no_waiting, server, target

__all__ = ["client", "no_waiting", "server", "target"]
