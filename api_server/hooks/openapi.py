"""The webhooks in the OpenAPI description: the paths that receive them, and those that read their archive."""

from collections.abc import Sequence

from api_server.hooks import paths
from api_server.hooks.parameters import ALERTS, ALERTS_END, ALERTS_START, CHANGED_AFTER, END, RANGE, START
from api_server.hooks.problems import EXPLANATIONS
from api_server.http.feature import Description
from api_server.http.openapi_parts import (
    ANY_OBJECT,
    NUMBER,
    TEXT,
    Node,
    array_of,
    content,
    failures,
    header,
    json_content,
    nullable,
    object_schema,
    path_parameter,
    problem,
    query_parameter,
    read_path,
    reference,
)
from api_server.http.tokens import Scope
from flows_platform.formats.protocol.names import RECORD_COUNT_HEADER, WireFormat
from flows_platform.webhooks.declaration import WebhookDeclaration

RECEIPT, HOOK, LIST, CHANGES = "Receipt", "Webhook", "Webhooks", "Changes"


def description(declarations: Sequence[WebhookDeclaration]) -> Description:
    """The description of webhooks with these declarations."""
    bases = [base for one in declarations for base in paths.threatstack_bases(one.paths)]
    receipt = object_schema({"success": {"const": True}, "archived": NUMBER, "repeated": NUMBER})
    return Description(
        title="Webhooks",
        text="Vendors' deliveries: verified, stored permanently, then acknowledged.",
        paths=_reading_paths([one.name for one in declarations]) | _threatstack_paths(bases),
        scopes=paths.SCOPES | {path: scope for base in bases for path, scope in paths.threatstack_scopes(base).items()},
        schemas={
            RECEIPT: receipt,
            HOOK: _hook(),
            LIST: object_schema({"hooks": array_of(reference(HOOK))}),
            CHANGES: _changes(),
        },
        problems=EXPLANATIONS,
        protected=(("archived records", Scope.ALERTS_READ),),
        hooks={path: _item(one, number) for one in declarations for number, path in enumerate(one.paths)},
    )


def _item(declaration: WebhookDeclaration, number: int) -> Node:
    status = declaration.webhook.answer
    done: Node = {"description": "The whole delivery is in the archive."}
    if status != 204:  # noqa: PLR2004
        done["content"] = json_content(RECEIPT)
    return {
        "post": {
            "operationId": f"receive_{declaration.name}{f'_{number}' if number else ''}",
            "summary": f"Receive a delivery for {declaration.name}.",
            "requestBody": {"required": True, "content": content("application/json", ANY_OBJECT)},
            "responses": {
                str(status): done,
                "400": problem("The body is not acceptable."),
                "401": problem("The delivery does not prove who sent it."),
                "403": problem("This address may not send deliveries."),
                "408": problem("The body was not complete in time."),
                "413": problem("The body is too large."),
                "415": problem("The body's Content-Encoding is not supported."),
                **failures(),
            },
        }
    }


def _hook() -> Node:
    newest = {**nullable(TEXT), "description": "Creation time of the newest record."}
    return object_schema(
        {
            "name": TEXT,
            "paths": array_of(TEXT),
            "time": {
                **TEXT,
                "description": "The time of the answer: the archive has everything that was received before.",
            },
            "records": NUMBER,
            "bytes": {**NUMBER, "description": "Those of all records, without those of their details."},
            "differing": NUMBER,
            "open": NUMBER,
            "newest": newest,
            "pending": NUMBER,
            "oldest_pending_seconds": nullable({"type": "number"}),
            "dead": NUMBER,
            "stopped": {**TEXT, "description": "Why no details are fetched at present; empty if they are."},
        }
    )


def _changes() -> Node:
    minute = {**TEXT, "description": "The minute in which the changed records were created."}
    seconds = {"type": "number", "description": "When its last change happened, in seconds since 1970."}
    change = object_schema({"minute": minute, "number": NUMBER, "seconds": seconds})
    return object_schema(
        {
            "journal": TEXT,
            "number": NUMBER,
            "more": {"type": "boolean"},
            "changes": array_of(change),
        }
    )


def _reading_paths(names: Sequence[str]) -> Node:
    name = path_parameter("name", {**TEXT, "enum": list(names)})
    one = path_parameter("id", TEXT, "The record's id.")
    lines = content(WireFormat.NDJSON.content_type, TEXT)
    counted = {RECORD_COUNT_HEADER: header("The number of records.", NUMBER, required=True)}
    ranged = [{**query_parameter(found), "required": found in {START, END}} for found in RANGE]
    record = content("application/json", ANY_OBJECT)
    return {
        paths.LIST: _read("hooks", "All webhooks.", [], json_content(LIST)),
        paths.ONE: _read("hook", "The figures of a webhook.", [name], json_content(HOOK)),
        paths.CHANGES: _read(
            "changes",
            "The minutes whose records changed after a given number.",
            [name, query_parameter(CHANGED_AFTER)],
            json_content(CHANGES),
        ),
        paths.RECORDS: _read("records", "The records of a range, with their details.", [name, *ranged], lines, counted),
        paths.RECORD: _read("record", "A record with its detail.", [name, one], record),
        paths.DETAIL: {
            "post": {
                "operationId": "fetch_detail",
                "summary": "Fetch the detail of a record again.",
                "parameters": [name, one],
                "responses": {
                    "202": {"description": "The detail is due now.", "content": record},
                    "400": problem("A parameter is given."),
                    "404": problem("There is no such webhook or record."),
                    "409": problem("The detail is there, or the webhook has no details."),
                    **failures(),
                },
            }
        },
    }


def _threatstack_paths(bases: Sequence[str]) -> Node:
    found: Node = {}
    one = path_parameter("id", TEXT, "The alert's id.")
    ranged = [{**query_parameter(asked), "required": asked in {ALERTS_START, ALERTS_END}} for asked in ALERTS]
    body = content("application/json", ANY_OBJECT)
    for number, base in enumerate(bases):
        alerts, alert, status = paths.threatstack_scopes(base)
        ending = f"_{number}" if number else ""
        pending = {
            "202": {"description": "The record as it was delivered: its detail is still pending.", "content": body}
        }
        found[alerts] = _read(f"alerts{ending}", "Alerts of a range; both bounds are exclusive.", ranged, body)
        found[alert] = _read(f"alert{ending}", "An alert.", [one], body)
        for operation in found[alert].values():
            operation["responses"] |= pending
        found[status] = _read(f"alerts_status{ending}", "The state of the archive and of the vendor.", [], body)
    return found


def _read(operation: str, summary: str, parameters: Sequence[Node], body: Node, headers: Node | None = None) -> Node:
    done: Node = {"description": summary, "content": body, **({"headers": headers} if headers else {})}
    missing = {"404": problem("There is no such webhook or record.")} if parameters else {}
    responses = {"200": done, "400": problem("A parameter is refused."), **missing, **failures()}
    return read_path(operation, summary, parameters, responses)
