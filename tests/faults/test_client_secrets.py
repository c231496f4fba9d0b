"""A canary in every secret of a fetch, a server that echoes it wherever it can: it is in no artefact of ours."""

import json
import logging
import traceback
from pathlib import Path

import pytest
import stamina

from flows_platform.declared import Secret
from flows_platform.domain.errors import ConfigurationError, PlatformError, StreamIncomplete
from flows_platform.domain.schema import Column, ColumnType, TableSchema
from flows_platform.fetch.api import WindowedApi
from flows_platform.fetch.auth import Auth, Basic, Bearer, HeaderKey, QueryKey
from flows_platform.fetch.count import count_records
from flows_platform.fetch.fetch_plan import FetchPlan
from flows_platform.fetch.http.client import HttpClient, HttpLimits
from flows_platform.fetch.window_stream import WindowStream
from flows_platform.pipeline.fetch_window import fetch_window
from flows_platform.sources.lanl_flows.schema import FLOWS
from tests.fetch.flow_bodies import BOUNDS, json_body, row, seconds
from tests.fetch.scripted import Reset, answer, scripted_server

CANARY = "canary+/%=7f3a"
IN_URL = "canary%2Bx"
# The plain word is in every spelling but that of base64, with and without a user before it.
SPELLINGS = ["canary", "Y2FuYXJ5", "dXNlcjpjYW5hcnk"]
KEY = Secret(env="KEY")
SECRETS = {"KEY": CANARY, "USER": "user"}
BEARER = Bearer(token=KEY)
AUTHS: dict[str, Auth] = {
    "bearer": BEARER,
    "basic": Basic(user=Secret(env="USER"), password=KEY),
    "header": HeaderKey(name="X-Key", value=KEY),
    "query": QueryKey(name="k", value=KEY),
}
ECHO = json.dumps({"detail": f"no such token: {CANARY}, not even {CANARY}"}).encode()
ESCAPED = b'{"detail": "no %s"}' % CANARY.replace("/", "\\/").replace("+", "\\u002B").encode()
SCRIPTS: dict[str, bytes] = {
    "good": answer(json_body([row(1)])),
    "refused with an echo": answer(ECHO, status="403 Forbidden"),
    "refused with an escaped echo": answer(ESCAPED, status="403 Forbidden"),
    "refused with an echo in lower case": answer(ESCAPED, status="400 X", kind="text/plain"),
    "busy with an echo": answer(ECHO, status="503 Busy"),
    "redirected with the query": answer(b"", status="302 Found", Location=f"http://127.0.0.1:9/?token={CANARY}"),
    "another content type": answer(b"<html>" + ECHO, kind=f"text/html; {CANARY}"),
    "the secret as content type": answer(b"<html>", kind=CANARY),
    "another coding": answer(b"x", Content_Encoding=CANARY),
    "odd headers": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nno colon\r\n x\r\n\r\n[]",
    "a head that is none": CANARY.encode() + b"\r\n\r\n",
    "cut": answer(json_body([row(1)]))[:-9],
    "reset": Reset(answer(json_body([row(1)]))[:-9]),
    "no JSON": answer(ECHO[:-9]),
    "a bad record with an echo": answer(json_body([row(1), row(2, byte_count=CANARY, src_comp=CANARY)])),
    "conflict": answer(json_body([row(1), row(1, time=2)])),
}


@pytest.mark.faults
@pytest.mark.parametrize("script", list(SCRIPTS))
@pytest.mark.parametrize("auth", list(AUTHS))
def test_no_artefact_holds_a_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture, auth: str, script: str) -> None:
    caplog.set_level(logging.DEBUG)
    told: list[str] = []
    with scripted_server() as server, stamina.set_testing(True, attempts=2, cap=True):
        server.scripts = [SCRIPTS[script]]
        api = WindowedApi(
            url=f"{server.url}?api_key={IN_URL}",
            schema=FLOWS,
            auth=AUTHS[auth],
            parameters={"ticket": KEY},
            headers={"X-Second": KEY},
            secrets=SECRETS,
        )
        client = HttpClient()
        for maximum in (0, 5):
            try:
                told.append(
                    repr(fetch_window(client, api, BOUNDS, tmp_path / "w.parquet", max_rejected=maximum, tries=2))
                )
            except PlatformError as error:
                told += traceback.format_exception(error)
        try:
            list(
                WindowStream(FetchPlan(client, api, BOUNDS))
            )  # its rejects hold what was sent: the quarantine masks it
        except PlatformError as error:
            told += traceback.format_exception(error)
        try:
            count_records(client, api, BOUNDS, tries=1)
        except PlatformError as error:
            told += traceback.format_exception(error)
        client.close()
        assert any("canary" in request for request in server.requests)  # it was sent
    files = [path.read_bytes().decode("latin-1") for path in tmp_path.iterdir()]
    artefacts = "\n".join([*told, repr(api), caplog.text, *files, *map(str, tmp_path.iterdir())])
    assert [spelling for spelling in SPELLINGS if spelling in artefacts] == []


@pytest.mark.parametrize("secret", ["canary\r\nX: y", "canary\n", "canaryś"])
def test_a_secret_that_no_header_can_hold_is_told_by_its_place(tmp_path: Path, secret: str) -> None:
    api = WindowedApi(url="http://127.0.0.1:9/stream", schema=FLOWS, auth=BEARER, secrets={"KEY": secret})
    with pytest.raises(ConfigurationError, match="the secret for the header Authorization") as error:
        fetch_window(HttpClient(), api, BOUNDS, tmp_path / "w.parquet", tries=1)
    assert "canary" not in "".join(traceback.format_exception(error.value))


def test_a_server_that_is_not_there_learns_and_tells_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    api = WindowedApi(
        url="http://127.0.0.1:9/stream", schema=FLOWS, auth=BEARER, parameters={"t": KEY}, secrets=SECRETS
    )
    client = HttpClient(HttpLimits(connect=1.0))
    with pytest.raises(PlatformError) as error:
        fetch_window(client, api, seconds(None, 9), tmp_path / "w.parquet", tries=1)
    text = "".join(traceback.format_exception(error.value)) + caplog.text + api.shown(api.request(BOUNDS))
    assert "canary" not in text


def test_a_record_whose_key_is_a_secret_is_not_named_by_it(tmp_path: Path) -> None:
    columns = (Column("id", ColumnType.STRING, "Key."), Column("time", ColumnType.INT64, "Second."))
    schema = TableSchema("echoes", "Records that are named by a secret.", columns, "id", "time")
    records = [{"id": CANARY, "time": time} for time in (1, 2)]
    with scripted_server() as server:
        server.scripts = [answer(json.dumps({"records": records, "end": {"count": 2}}).encode())]
        api = WindowedApi(url=server.url, schema=schema, auth=BEARER, secrets=SECRETS, time=None)
        with pytest.raises(StreamIncomplete, match="id") as error:
            fetch_window(HttpClient(), api, None, tmp_path / "w.parquet", tries=1)
    assert "canary" not in "".join(traceback.format_exception(error.value))
