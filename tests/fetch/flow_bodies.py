"""Flows as the bodies of answers."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta

from flows_platform.domain.windows import Window
from flows_platform.sources.lanl_flows.schema import FLOWS


def seconds(after: int | None, before: int) -> Window:
    """The seconds `after < t <= before` of the data set."""
    first = 0 if after is None else after + 1
    return Window(FLOWS.epoch + timedelta(seconds=first), FLOWS.epoch + timedelta(seconds=before + 1))


BOUNDS = seconds(0, 99)


def row(number: int, **changes: object) -> dict[str, object]:
    values = [number, number, 0, "C1", "N1", "C2", "445", 6, 1, 46]
    return dict(zip(FLOWS.names, values, strict=True)) | changes


def json_body(rows: Sequence[Mapping[str, object]], count: int | None = None) -> bytes:
    return json.dumps({"records": rows, "end": {"count": len(rows) if count is None else count}}).encode()


def xml_body(rows: Sequence[Mapping[str, object]], end: str | None = None) -> bytes:
    records = "".join(
        "<record>" + "".join(f"<{name}>{value}</{name}>" for name, value in row.items()) + "</record>" for row in rows
    )
    end = f'<?end count="{len(rows)}"?>' if end is None else end
    return f"<?xml version='1.0' encoding='UTF-8'?><records>{records}{end}</records>".encode()
