"""The records of a delivery keep their own bytes; a delivery that cannot be kept is refused by name and position."""

import gzip
import json
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows_platform.webhooks.delivery import Delivery
from flows_platform.webhooks.parsing import (
    BadDelivery,
    Record,
    TooLarge,
    UnknownCoding,
    parse,
    record_in,
    records,
    size_of,
)

from .declared import declared
from .deliveries import NOW, delivery

USUAL = declared().webhook
MS = 1_700_000_000_123
CREATED = datetime(2023, 11, 14, 22, 13, 20, 123_000, tzinfo=UTC)
ALERT = f'{{"id": "5a3c2f", "created_at": {MS}}}'


def found(body: str | bytes, **keys: Any) -> list[Record]:
    return found_in(delivery(body.encode() if isinstance(body, str) else body), **keys)


def found_in(sent: Delivery, **keys: Any) -> list[Record]:
    webhook = declared(**keys).webhook if keys else USUAL
    return records(webhook, parse(webhook, sent), NOW)


def zipped(body: bytes) -> Delivery:
    return delivery(gzip.compress(body), {"Content-Encoding": "gzip"})


def refusal(body: str | bytes, **keys: Any) -> str:
    with pytest.raises(BadDelivery) as caught:
        found(body, **keys)
    return str(caught.value)


def test_records_keep_their_own_bytes() -> None:
    first = f'{{ "created_at":{MS},"id" :"5a3c2f", "é":1.0, "t":"\\u00e9 ]}}" }}'
    second = f'{{"id":12345,"created_at":"{MS}","list":[1 , 2]}}'
    body = f' {{"x":[{{"alerts":[]}}],\n "alerts" : [ {first} ,\t{second}] , "z":{{}} }} '
    one, two = found(body)
    assert (one.id, one.created_at, one.body) == ("5a3c2f", CREATED, first.encode())
    assert (two.id, two.created_at, two.body) == ("12345", CREATED, second.encode())
    assert two.sha256 == sha256(second.encode()).hexdigest()


def test_a_body_may_be_one_record() -> None:
    (one,) = found(f"\n{ALERT} ", records=None)
    assert one.body == ALERT.encode()
    (one,) = found(ALERT, records=None, delivery={"path": "created_at"}, id=None)
    assert one.id == str(MS)


@pytest.mark.parametrize(
    "body", [f'{{"a": [VALUES], "alerts": [{ALERT}]}}', f'{{"alerts": [{{"a": [VALUES], {ALERT[1:]}]}}']
)
def test_the_values_of_a_body_are_held_once(body: str) -> None:
    sent = delivery(body.replace("VALUES", ",".join(["[]"] * 50_000)).encode())
    tracemalloc.start()
    try:
        parsed = parse(USUAL, sent)
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        assert len(records(USUAL, parsed, NOW)) == 1
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    values = 50_000 * 56  # bytes of an empty list
    assert before > values
    assert peak < before + values / 4
    assert after < before - values


def test_a_repeated_name_is_found_among_many() -> None:
    names = ",".join(f'"{number}":0' for number in range(60_000))
    assert refusal(f'{{{names},"59999":0}}') == "The key '59999' occurs twice in an object."


def test_the_size_of_a_body_is_that_of_its_contents() -> None:
    sizes = [size_of(USUAL, delivery(b"x" * 5000)), size_of(USUAL, zipped(b" " * 5000)), size_of(USUAL, zipped(b""))]
    assert sizes == [5000, 5000, len(zipped(b"").body)]
    assert size_of(USUAL, zipped(b" " * (USUAL.limit_bytes + 1))) == USUAL.limit_bytes


def test_arrays_inside_objects() -> None:
    (one,) = found(f'{{"data":{{"a":[],"alerts":[{ALERT}]}}}}', records="data.alerts")
    assert one.body == ALERT.encode()


@given(
    alerts=st.lists(
        st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=4),
        min_size=1,
        max_size=4,
    ),
    indent=st.none() | st.integers(0, 3),
    escaped=st.booleans(),
)
def test_slices_are_the_values(alerts: list[dict[str, Any]], indent: int | None, escaped: bool) -> None:  # noqa: FBT001
    whole = [alert | {"id": f"id-{number}", "created_at": MS} for number, alert in enumerate(alerts)]
    body = json.dumps({"n": alerts, "alerts": whole}, indent=indent, ensure_ascii=escaped).encode()
    assert [json.loads(record.body) for record in found(body)] == whole
    assert all(record.body in body for record in found(body))


@given(body=st.binary(max_size=40) | st.text('{}[]"alerts:,0e\\u-dD8 ', max_size=30).map(str.encode))
def test_no_body_breaks_the_reader(body: bytes) -> None:
    with pytest.raises(BadDelivery):
        records(USUAL, parse(USUAL, delivery(body)), NOW)


def alerts(text: str) -> str:
    return f'{{"alerts": [{text}]}}'


FAULTS = [
    ("", "not JSON at character 0"),
    ("[1]", "The body is not a JSON object."),
    ("null", "The body is not a JSON object."),
    (b"\xff{}", "not UTF-8 at byte 0"),
    ("\ufeff{}", "not JSON at character 0"),
    ('{"a": NaN}', "NaN is not JSON."),
    ('{"a": -Infinity}', "-Infinity is not JSON."),
    ('{"a": {"b": 1, "b": 2}}', "The key 'b' occurs twice in an object."),
    ('{"a": ' + "9" * 5000 + "}", "a number of more than 4,300 digits"),
    ('{"a": "' + "\\ud800" + '"}', "Half of a surrogate pair is at character 7."),
    ('{"a": "' + "\\udc00\\ud800" + '"}', "Half of a surrogate pair is at character 7."),
    ('{"a": "' + "\\ud83d\\ude00\\uD83D." + '"}', "Half of a surrogate pair is at character 19."),
    ('{"a": ' + "[" * 64 + "]" * 64 + "}", "nests deeper than 64 levels at character 69"),
    ('{"a": ' + "[" * 100_000, "nests deeper than 64 levels"),
    ('"' + "[" * 65 + '"', "The body is not a JSON object."),
    ('{"a": "' + "[" * 65 + '\\"' * 300_000, "not JSON at character 6"),  # as many ends that a search could start from
    ("{}", "alerts: an array of at least one record is needed."),
    ('{"alerts": {}}', "alerts: an array of at least one record is needed."),
    (alerts(""), "alerts: an array of at least one record is needed."),
    (alerts(",".join(["{}"] * 1001)), "alerts has 1,001 records; at most 1,000 are allowed."),
    (alerts(f"{ALERT}, 1"), "alerts[1] is not an object."),
    (alerts(f'{ALERT}, {{"created_at": {MS}}}'), "alerts[1].id is missing."),
    (alerts('{"id": "5a3c"}'), "alerts[0].created_at is missing."),
    (alerts('{"id": "5a3c", "created_at": ""}'), "alerts[0].created_at is missing."),
]
IDS = [
    '"../../x"',
    '"a/bc"',
    '".."',
    '"a..b"',
    '"abc"',
    '"-abc"',
    '".abc"',
    '"a b c"',
    '"äbcd"',
    '"a~bcd"',
    '"abcd\\n"',
]
IDS += ["true", "1.5", "[1]", "{}", "123", f'"{"a" * 201}"', '"a\\u0000bcd"']
TIMES = ["1.5", "1e12", "true", '"x"', '"\uff11700000000123"', "-1", "946684799999", '" 1700000000123"', "[1]"]
TIMES += [str(int(NOW.timestamp() * 1000) + 86_400_001), "9" * 19, "9" * 30]


@pytest.mark.parametrize(("body", "why"), FAULTS)
def test_a_fault_is_named(body: str | bytes, why: str) -> None:
    assert why in refusal(body)


@pytest.mark.parametrize("text", IDS)
def test_ids_that_could_leave_the_layout(text: str) -> None:
    assert refusal(alerts(f'{ALERT}, {{"id": {text}, "created_at": {MS}}}')).startswith("alerts[1].id is ")


@pytest.mark.parametrize("text", TIMES)
def test_times_that_are_none(text: str) -> None:
    assert refusal(alerts(f'{{"id": "5a3c", "created_at": {text}}}')).startswith("alerts[0].created_at")


def test_times_in_other_forms() -> None:
    iso = '{"id": "5a3c", "created_at": "2024-03-01T12:00:00+01:00"}'
    (one,) = found(iso, records=None, created_at={"path": "created_at"})
    assert one.created_at == datetime(2024, 3, 1, 11, tzinfo=UTC)
    (one,) = found('{"id": "5a3c", "t": 1700000000.5}', records=None, created_at={"path": "t", "written": "seconds"})
    assert one.created_at == datetime(2023, 11, 14, 22, 13, 20, 500_000, tzinfo=UTC)
    assert "ISO 8601" in refusal(iso.replace("+01:00", ""), records=None, created_at={"path": "created_at"})


def test_brackets_in_texts_are_not_levels() -> None:
    (one,) = found(alerts(ALERT[:-1] + ', "t": "' + '[{\\"' * 70 + '"}'))
    assert one.id == "5a3c2f"


def test_gzip_is_read_up_to_the_limit() -> None:
    packed = gzip.compress(alerts(ALERT).encode())
    sent = delivery(packed, {"Content-Encoding": "gzip"})
    assert found_in(sent)[0].body == ALERT.encode()
    assert found_in(delivery(alerts(ALERT).encode(), {"Content-Encoding": "identity"}))
    with pytest.raises(TooLarge, match="more than 2048 bytes once"):
        found_in(replace(sent, body=gzip.compress(b" " * 1_000_000)), limit_bytes=2048)
    for body, why in [(packed[:-1], "one whole gzip"), (packed + b"x", "one whole gzip"), (b"{}", "is not gzip")]:
        with pytest.raises(BadDelivery, match=why):
            found_in(replace(sent, body=body))
    for coding in ("br", "gzip, gzip", "deflate"):
        with pytest.raises(UnknownCoding, match="allowed are identity and gzip"):
            found_in(delivery(packed, {"Content-Encoding": coding}))


def test_the_id_of_a_delivery() -> None:
    webhook = declared(delivery={"header": "X-Delivery"}).webhook
    body = alerts(ALERT).encode()
    assert parse(webhook, delivery(body, {"X-Delivery": "d-1"})).delivery_id == "d-1"
    with pytest.raises(BadDelivery, match="X-Delivery: the delivery's id is missing"):
        parse(webhook, delivery(body))
    with pytest.raises(BadDelivery, match="the delivery's id is missing, or has more than 200"):
        parse(webhook, delivery(body, {"X-Delivery": "d" * 201}))
    assert parse(declared().webhook, delivery(body)).delivery_id is None
    by_body = declared(delivery={"path": "batch.id"}).webhook
    assert parse(by_body, delivery(b'{"batch": {"id": 7}}')).delivery_id == "7"
    github = declared(verify={"kind": "github", "secret": {"env": "HOOK_KEY"}}, records=None, id=None).webhook
    sent = delivery(ALERT.encode(), {"X-GitHub-Delivery": "72d3162e-cc78"})
    assert records(github, parse(github, sent), NOW)[0].id == "72d3162e-cc78"
    with pytest.raises(BadDelivery, match="the delivery's id is missing"):
        records(github, parse(github, delivery(ALERT.encode())), NOW)


def test_a_record_of_the_archive_is_the_same_record() -> None:
    (one,) = found(alerts(ALERT))
    assert record_in(declared().webhook, one.body, one.id, NOW) == one
    with pytest.raises(BadDelivery):
        record_in(declared().webhook, b"{}", "5a3c2f", NOW)


def test_greetings_are_answered() -> None:
    slack = declared(verify={"kind": "slack", "secret": {"env": "HOOK_KEY"}}).webhook.verify
    assert slack.greeted(delivery(), {"type": "url_verification", "challenge": "x"}) == {"challenge": "x"}
    assert slack.greeted(delivery(), {"type": "event_callback"}) is None
    github = declared(verify={"kind": "github", "secret": {"env": "HOOK_KEY"}}).webhook.verify
    assert github.greeted(delivery(b"{}", {"X-GitHub-Event": "ping"}), {}) == {"success": True}
    assert github.greeted(delivery(), {}) is declared().webhook.verify.greeted(delivery(), {}) is None
