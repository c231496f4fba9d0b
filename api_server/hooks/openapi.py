"""What OpenAPI says of webhooks."""

from collections.abc import Sequence

from api_server.hooks.problems import EXPLANATIONS
from api_server.http.feature import Description
from api_server.http.openapi_parts import (
    NUMBER,
    Node,
    failures,
    json_content,
    object_schema,
    problem,
)
from flows_platform.webhooks.declaration import WebhookDeclaration

RECEIPT = "Receipt"


def description(declarations: Sequence[WebhookDeclaration]) -> Description:
    """The description of webhooks with these declarations."""
    receipt = object_schema({"success": {"const": True}, "archived": NUMBER, "repeated": NUMBER})
    return Description(
        title="Webhooks",
        text="Deliveries of vendors: proven, stored for good, then acknowledged.",
        paths={},
        scopes={},
        schemas={RECEIPT: receipt},
        problems=EXPLANATIONS,
        hooks={path: _item(one, number) for one in declarations for number, path in enumerate(one.paths)},
    )


def _item(declaration: WebhookDeclaration, number: int) -> Node:
    status = declaration.webhook.answer
    done: Node = {"description": "All of it is in the archive."}
    if status != 204:  # noqa: PLR2004
        done["content"] = json_content(RECEIPT)
    return {
        "post": {
            "operationId": f"receive_{declaration.name}{f'_{number}' if number else ''}",
            "summary": f"A delivery for {declaration.name}.",
            "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
            "responses": {
                str(status): done,
                "400": problem("The body cannot be kept."),
                "401": problem("The sender is not proven."),
                "403": problem("The address may not send."),
                "408": problem("The body was not complete in time."),
                "413": problem("The body is too long."),
                "415": problem("The body's coding is not read."),
                **failures(),
            },
        }
    }
