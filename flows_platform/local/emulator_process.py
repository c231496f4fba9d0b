"""The emulator's process: local-bigquery, confined to its folder, for clients with the key of this installation.

`python -m flows_platform.local.emulator_process --port P --project NAME --data-dir FOLDER --key-file FILE`
"""

import argparse
from pathlib import Path

import uvicorn
from local_bigquery.app import app
from local_bigquery.settings import settings

from flows_platform.access.guard import BearerGuard
from flows_platform.access.hosts import HostList
from flows_platform.access.key import installation_key
from flows_platform.local.emulator_lock import confine

HOST = "127.0.0.1"


def main() -> None:
    """Serve until a signal, on loopback and under its names only."""
    parser = argparse.ArgumentParser(prog="emulator")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--project", required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--key-file", type=Path, required=True)
    options = parser.parse_args()
    settings.default_project_id = options.project
    confine(options.data_dir)
    guarded = BearerGuard(app, HostList.of(), installation_key(options.key_file))
    uvicorn.run(guarded, host=HOST, port=options.port, ws="none", server_header=False)


if __name__ == "__main__":
    main()
