"""The tutorial's API: Flask, one record at a time from a cursor. flask_rows.py DATABASE PORT."""

import json
import sqlite3
import sys
from collections.abc import Iterator
from xml.sax.saxutils import escape

from flask import Flask, Response, request, stream_with_context

database, port = sys.argv[1], int(sys.argv[2])
app = Flask(__name__)


def rows() -> Iterator[dict[str, object]]:
    """The window's records."""
    bounds = request.args.get("scanned_after", -1, int), request.args["scanned_before"]
    connection = sqlite3.connect(database)
    connection.row_factory = sqlite3.Row
    for row in connection.execute("SELECT * FROM flows WHERE time > ? AND time <= ?", bounds):
        yield dict(row)


def ndjson() -> Iterator[str]:
    for row in rows():
        yield json.dumps(row) + "\n"


def document() -> Iterator[str]:
    before = '{"records":['
    for row in rows():
        yield before + json.dumps(row)
        before = ","
    yield "]}"


def xml() -> Iterator[str]:
    yield "<records>"
    for row in rows():
        fields = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in row.items())
        yield f"<record>{fields}</record>"
    yield "</records>"


@app.get("/flows")
def flows() -> Response:
    """The window in the format that is asked for."""
    bodies = {"ndjson": ndjson, "json": document, "xml": xml}
    return Response(stream_with_context(bodies[request.args["format"]]()))


app.run("127.0.0.1", port, threaded=True)
