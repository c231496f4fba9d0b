"""What a window's URL may bring with it, and what it must leave to the window."""

import pytest

from flows_platform.domain.errors import ConfigurationError
from flows_platform.fetch.api import WindowedApi
from flows_platform.sources.lanl_flows.schema import FLOWS

from .flow_bodies import BOUNDS


def test_a_url_with_credentials_is_refused_and_not_told() -> None:
    with pytest.raises(ConfigurationError, match="holds credentials") as refused:
        WindowedApi(url="https://user:canary@host.example/flows", schema=FLOWS).request_url(BOUNDS)
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("name", ["scanned_after", "scanned_before", "format"])
def test_the_parameters_of_the_window_are_not_set_twice(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"already sets '{name}'"):
        WindowedApi(url=f"https://host.example/flows?{name}=", schema=FLOWS).request_url(BOUNDS)
