"""Stand-ins of repositories and files: whole days, dumps and lists."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from flows_platform.domain.windows import Window
from tests.fakes.serving import Answer
from tests.library.serving import Range, Row, StandIn, numbered, paged

OAI = "http://www.openarchives.org/OAI/2.0/"


def arxiv(request: Range) -> Answer:
    asked = dict(request.asked.parameters)
    assert asked.pop("verb") == "ListRecords"
    if token := asked.get("resumptionToken", ""):
        first, last, skipped = token.split("|")
        if len(asked) > 1:
            return _oai('<error code="badArgument">resumptionToken is exclusive</error>')
    else:
        first, last, skipped = asked["from"], asked["until"], "0"
        assert asked["metadataPrefix"] == "arXiv"
    end = datetime.fromisoformat(last).replace(tzinfo=UTC) + timedelta(days=1)
    rows = numbered(datetime.fromisoformat(first).replace(tzinfo=UTC), end)
    if not rows:
        return _oai('<error code="noRecordsMatch">no matching records</error>')
    some, more = paged(rows, int(skipped), 20)
    records = "".join(
        f"<record><header><identifier>oai:arXiv.org:{number}</identifier><datestamp>{time:%Y-%m-%d}</datestamp>"
        f"<setSpec>cs</setSpec></header><metadata><arXiv xmlns='http://arxiv.org/OAI/arXiv/'><id>{number}</id>"
        f"<title>On {number}</title></arXiv></metadata></record>"
        for number, time in some
    )
    onward = f"{first}|{last}|{int(skipped) + 20}" if more else ""
    return _oai(f'<ListRecords>{records}<resumptionToken cursor="{skipped}">{onward}</resumptionToken></ListRecords>')


def _oai(text: str) -> Answer:
    body = f'<OAI-PMH xmlns="{OAI}"><responseDate>2024-03-05T00:00:00Z</responseDate>{text}</OAI-PMH>'
    return Answer(200, {"Content-Type": "text/xml; charset=utf-8"}, body.encode())


def arxiv_rows(window: Window) -> Sequence[Row]:
    found = numbered(window.start, window.end)
    return [
        (f"oai:arXiv.org:{number}", time.replace(hour=0, minute=0, second=0, microsecond=0)) for number, time in found
    ]


FILES = {"arxiv_records": StandIn(("https://oaipmh.arxiv.org",), arxiv, arxiv_rows)}
