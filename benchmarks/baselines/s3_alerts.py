"""An archive of alerts as a small web service makes one: s3_alerts.py PORT BUCKET ENDPOINT VENDOR.

For every alert of a post, one after the other: its detail from the vendor, then the alert and the detail as two
objects, each by a client that is made for it. One request after the other, as one synchronous worker takes them.
"""

import json
import sys
from datetime import UTC, datetime

import boto3
import requests
from flask import Flask, Response, jsonify, request

port, bucket, endpoint, vendor = sys.argv[1:]
app = Flask(__name__)


@app.post("/api/v1/s3/alert")
def put_alerts() -> tuple[Response, int]:
    """Archive the alerts of a post."""
    alerts = (request.get_json(force=True) or {}).get("alerts")
    if not alerts or not all(alert.get("id") and alert.get("created_at") for alert in alerts):
        error = {"type": "S3ViewWebhookDataError", "message": ["alerts, id and created_at are needed"]}
        return jsonify({"success": False, "error": error}), 400
    for alert in alerts:
        detail = requests.get(f"{vendor}/alerts/{alert['id']}", headers={"Authorization": "key"}, timeout=600).json()
        created = datetime.fromtimestamp(alert["created_at"] / 1000, UTC)
        put(f"webhooks/{created:%Y/%m/%d/%H/%M}/{alert['id']}", alert)
        put(f"alerts/{alert['id'][:2]}/{alert['id'][2:4]}/{alert['id']}", detail)
    return jsonify({"success": True}), 200


def put(key: str, value: object) -> None:
    s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(value).encode())


app.run("127.0.0.1", int(port), threaded=False)
