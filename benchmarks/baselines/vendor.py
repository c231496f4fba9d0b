"""A vendor of alerts that gives their details, each after some seconds: vendor.py PORT SECONDS."""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

port, seconds = int(sys.argv[1]), float(sys.argv[2])


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """The detail of the alert whose id ends the path."""
        time.sleep(seconds)
        body = json.dumps({"id": self.path.rpartition("/")[2], "type": "host", "events": ["x" * 1000]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
