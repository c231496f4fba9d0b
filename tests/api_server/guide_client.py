"""A client as Snowflake's guide to custom APIs describes one: it exchanges its token, then sends what it got."""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import requests

SECONDS = 60


def secret(named: str | None) -> str | None:
    """The token in the named file, or in the first of the folder whose name ends as such files do; not stripped."""
    files = [Path(named)] if named else sorted(Path().glob("*-token-secret.txt"))
    return files[0].read_text() if files and files[0].is_file() else None


def short_token(account: str, role: str, endpoint: str, token: str) -> str:
    """What the server gives for the token, whatever that is."""
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "scope": f"session:scope:{role.upper()} {urlsplit(endpoint).hostname}",
        "subject_token": token,
        "subject_token_type": "programmatic_access_token",
    }
    return requests.post(f"https://{account}/oauth/token", data=form, timeout=SECONDS).text


def called(token: str, url: str) -> Mapping[str, object]:
    """The JSON that the endpoint answers with."""
    headers = {"Authorization": f'Snowflake Token="{token}"'}
    found: Mapping[str, object] = requests.get(url, headers=headers, timeout=SECONDS).json()
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("--account_url", "--role", "--endpoint"):
        parser.add_argument(name, required=True)
    parser.add_argument("--pat")
    parser.add_argument("--patfile")
    given = parser.parse_args()
    token = given.pat or secret(given.patfile)
    if not token:
        sys.exit("No PAT found")
    found = called(short_token(given.account_url, given.role, given.endpoint, token), given.endpoint)
    sys.stdout.write(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
