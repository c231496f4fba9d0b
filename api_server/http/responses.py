"""Answers that several features give: one that no cache keeps, headers without a body, and a 304."""

from collections.abc import Mapping
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

NO_STORE = {"Cache-Control": "no-store"}


def headers_alone(headers: Mapping[str, str], status: int = HTTPStatus.OK, media_type: str | None = None) -> Response:
    """An answer to HEAD whose body was not made: it does not say how long the body would be."""
    response = Response(status_code=status, headers=headers, media_type=media_type)
    del response.headers["content-length"]
    return response


def matching_tag(request: Request, etag: str) -> str | None:
    """The tag in If-None-Match that names an answer, quoted; None if the client has another answer or none.

    Args:
        request: The request.
        etag: The answer's, without quotes. A tag of one of its content codings, `ETAG-gzip`, names it too.
    """
    given = ",".join(request.headers.getlist("if-none-match"))
    tags = [tag.strip().removeprefix("W/").strip('"') for tag in given.split(",")]
    found = next((tag for tag in tags if tag.partition("-")[0] == etag), etag if "*" in tags else None)
    return found and f'"{found}"'
