"""A plain client's way to ask the Qualys server: what every call carries."""

from base64 import b64encode

import urllib3

HEADERS = {"Authorization": f"Basic {b64encode(b'acme_ab12:passwd').decode()}", "X-Requested-With": "tests"}
EVERY = {"status": "New,Active,Fixed,Re-Opened"}


def ask(client: urllib3.PoolManager, url: str, **fields: object) -> urllib3.BaseHTTPResponse:
    parameters = {"action": "list"} | {name: str(value) for name, value in fields.items()}
    return client.request("GET", url, fields=parameters, headers=HEADERS)
