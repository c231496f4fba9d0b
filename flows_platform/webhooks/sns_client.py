"""Reads a URL of Amazon SNS, through the proxies of the environment."""

import requests

from flows_platform.webhooks.delivery import ProofUnavailable

TIMES = (3, 10)  # seconds to connect, and to wait for bytes
LARGEST = 64 << 10


def fetch_from_sns(url: str) -> bytes:
    """The body at a URL; redirects are not followed.

    Raises:
        ProofUnavailable: there is no answer, or another one than at most 64 KB with the status 200.
    """
    try:
        with requests.get(url, timeout=TIMES, allow_redirects=False, stream=True) as response:
            body = next(response.iter_content(LARGEST + 1), b"")
            # guard: an answer of SNS is short and final
            if response.status_code != requests.codes.ok or len(body) > LARGEST:
                raise ProofUnavailable(f"SNS answered {response.status_code} with {len(body)} bytes or more")
            return body
    except requests.RequestException as error:
        raise ProofUnavailable(f"SNS cannot be reached: {type(error).__name__}") from error
