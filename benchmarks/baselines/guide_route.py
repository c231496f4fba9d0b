"""The guide's connector: Flask, SQL by `str.format`, one connection for all threads. guide_route.py DATABASE PORT.

The guide asks Snowflake; here DuckDB holds the same orders, on the same machine.
"""

import sys
from datetime import datetime

import duckdb
from flask import Flask, Response, abort, jsonify, make_response, request

database, port = sys.argv[1], int(sys.argv[2])
app = Flask(__name__)
connection = duckdb.connect(database, read_only=True)
FORMAT = "%Y-%m-%d"
TOP10 = """
SELECT o_custkey AS "O_CUSTKEY", CAST(SUM(o_totalprice) AS VARCHAR) AS "SUM_TOTALPRICE" FROM orders
WHERE o_orderdate >= '{sdt}' AND o_orderdate <= '{edt}' GROUP BY o_custkey ORDER BY SUM(o_totalprice) DESC LIMIT 10
"""
ROWS = "SELECT o_orderkey, o_custkey, o_totalprice, o_orderdate FROM orders ORDER BY o_orderkey LIMIT {rows}"


@app.get("/connector/customers/top10")
def top10() -> Response:
    """The ten customers, as rows with names."""
    try:
        start = datetime.strptime(request.args.get("start_range") or "1995-01-01", FORMAT)  # noqa: DTZ007 - as there
        end = datetime.strptime(request.args.get("end_range") or "1995-03-31", FORMAT)  # noqa: DTZ007 - as there
    except ValueError:
        abort(400, "Invalid start and/or end dates.")
    found = connection.cursor().execute(TOP10.format(sdt=start, edt=end))
    names = [column[0] for column in found.description]
    return make_response(jsonify([dict(zip(names, row, strict=True)) for row in found.fetchall()]))


@app.get("/rows")
def rows() -> Response:
    """Many rows by pandas, as its other half gives them."""
    frame = connection.cursor().execute(ROWS.format(rows=request.args["rows"])).df()
    return Response(frame.to_json(orient="records", date_format="iso"), mimetype="application/json")


app.run("127.0.0.1", port, threaded=True)
