"""Google Cloud Storage's JSON API, as far as a store of objects uses it: conditional uploads, downloads, listings."""

import base64
import json
import struct
import time
from datetime import UTC, datetime
from urllib.parse import unquote

import google_crc32c

from tests.fakes.serving import Answer, Asked, VendorServer

PAGE = 2  # names in an answer
OBJECTS, DOWNLOADS, UPLOADS = "/storage/v1/b/", "/download/storage/v1/b/", "/upload/storage/v1/b/"


class GcsServer(VendorServer):
    """One bucket. A client reaches it by `STORAGE_EMULATOR_HOST`.

    `failing` are the answers to the next requests for objects. The library also asks for the bucket, when it likes.
    """

    def __init__(self, bucket: str) -> None:
        super().__init__(time.time)
        self.bucket = bucket
        self.objects: dict[str, bytes] = {}
        self.created: dict[str, str] = {}
        self.failing: list[Answer] = []
        self._sessions: dict[str, tuple[str, bytes, bool]] = {}

    def answer(self, asked: Asked) -> Answer:
        if asked.path == f"{OBJECTS}{self.bucket}":
            return document({"kind": "storage#bucket", "name": self.bucket})
        if self.failing:
            return self.failing.pop(0)
        for prefix, act in ((DOWNLOADS, self._download), (UPLOADS, self._upload), (OBJECTS, self._list)):
            if asked.path.startswith(prefix):
                bucket, _, rest = asked.path.removeprefix(prefix).partition("/o")
                if bucket != self.bucket:
                    return failure(404, "The specified bucket does not exist.")
                return act(asked, unquote(rest.lstrip("/")))
        return failure(404, f"No such method: {asked.path}")

    def _download(self, _: Asked, name: str) -> Answer:
        body = self.objects.get(name)
        if body is None:
            return failure(404, f"No such object: {self.bucket}/{name}")
        return Answer(
            200, {"X-Goog-Hash": f"crc32c={checksum(body)}", "Content-Type": "application/octet-stream"}, body
        )

    def _list(self, asked: Asked, name: str) -> Answer:
        if name:
            return self._described(name)
        prefix, start = asked.parameters.get("prefix", ""), asked.parameters.get("startOffset", "")
        start = max(start, asked.parameters.get("pageToken", ""))
        names = sorted(name for name in self.objects if name.startswith(prefix) and name >= start)
        page: dict[str, object] = {"kind": "storage#objects", "items": [{"name": name} for name in names[:PAGE]]}
        if len(names) > PAGE:
            page["nextPageToken"] = names[PAGE]
        return document(page)

    def _described(self, name: str) -> Answer:
        """What is known of an object besides its bytes."""
        if name not in self.objects:
            return failure(404, f"No such object: {self.bucket}/{name}")
        body = self.objects[name]
        known = {"name": name, "size": str(len(body)), "timeCreated": self.created[name], "crc32c": checksum(body)}
        return document(known | {"bucket": self.bucket, "generation": "1"})

    def _upload(self, asked: Asked, _: str) -> Answer:
        if asked.method == "PUT":
            return self._continue(asked)
        if asked.parameters["uploadType"] == "multipart":
            boundary = asked.headers["content-type"].partition("boundary=")[2].strip('"').encode()
            described, media = asked.body.split(b"--" + boundary)[1:3]
            name = json.loads(described.partition(b"\r\n\r\n")[2])["name"]
            once = asked.parameters.get("ifGenerationMatch") == "0"
            return self._create(name, media.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n"), once=once)
        name = json.loads(asked.body)["name"]
        session = str(len(self._sessions))
        self._sessions[session] = (name, b"", asked.parameters.get("ifGenerationMatch") == "0")
        where = f"{self.origin}{UPLOADS}{self.bucket}/o?uploadType=resumable&upload_id={session}"
        return Answer(200, {"Location": where})

    def _continue(self, asked: Asked) -> Answer:
        name, held, once = self._sessions[asked.parameters["upload_id"]]
        held += asked.body
        self._sessions[asked.parameters["upload_id"]] = (name, held, once)
        if not asked.headers["content-range"].endswith(f"/{len(held)}"):
            return Answer(308, {"Range": f"bytes=0-{len(held) - 1}"})
        return self._create(name, held, once=once)

    def _create(self, name: str, body: bytes, *, once: bool) -> Answer:
        if once and name in self.objects:
            return failure(412, "At least one of the pre-conditions you specified did not hold.")
        self.objects[name] = body
        self.created[name] = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
        made = {"name": name, "bucket": self.bucket, "generation": "1", "size": str(len(body))}
        return document(made | {"crc32c": checksum(body)})


def checksum(body: bytes) -> str:
    """CRC32C as the API writes it."""
    return base64.b64encode(struct.pack(">I", google_crc32c.value(body))).decode()


def document(value: object, status: int = 200) -> Answer:
    return Answer(status, {"Content-Type": "application/json; charset=UTF-8"}, json.dumps(value).encode())


def failure(status: int, message: str) -> Answer:
    return document({"error": {"code": status, "message": message, "errors": [{"message": message}]}}, status)
