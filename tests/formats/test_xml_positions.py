"""XML whose records are not at the declared path: an error says what is there; the answer never counts as empty."""

import pytest

from flows_platform.columns.paths import RecordPath
from flows_platform.domain.errors import PlatformError, SourceRefused
from flows_platform.formats.xml.positions import steps_of

from .test_xml_documents import WHOLE, layout, out, read

ATOM = "http://www.w3.org/2005/Atom"
MISSING = frozenset({"missing"})


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(
    ("inside", "said"),
    [
        (
            "<LIST><ASSET><ID>1</ID></ASSET><ASSET/></LIST>",
            r"no <HOST> in 'OUT/RESPONSE/LIST': it contains <ASSET> \(2\)",
        ),
        ("<LIST><host><ID>1</ID></host></LIST>", "no <HOST> in 'OUT/RESPONSE/LIST': it contains <host>"),
        ("<LISTS><HOSTS/></LISTS><DATETIME/>", "no <LIST> in 'OUT/RESPONSE': it contains <LISTS>, <DATETIME>"),
        ("", "no <LIST> in 'OUT/RESPONSE': it is empty"),
        (
            "<LIST xmlns='urn:a/b'><HOST/></LIST>",
            "namespace 'urn:a/b': declare `namespaces: drop`, or write {urn:a/b}L",
        ),
        ("<LIST><p:HOST xmlns:p='urn:p'/></LIST>", "namespace 'urn:p'"),
    ],
)
def test_a_step_that_is_not_met_is_an_error(inside: str, said: str, *, whole: bool) -> None:
    with pytest.raises(SourceRefused, match=said) as caught:
        read(out(inside), layout(whole=whole))
    assert str(caught.value).count("\n") == 0


@pytest.mark.parametrize("record", ["ASSET", "LIST/ASSET"])
def test_also_where_the_document_is_larger_than_a_record_may_be(record: str) -> None:
    body = out("<LIST>" + "<HOST><ID>1</ID></HOST>" * 100_000 + "</LIST>")
    with pytest.raises(SourceRefused, match=r"no <(ASSET|LIST)> in 'OUT.*<(HOST|RESPONSE)>"):
        read(body, layout(record, record_bytes=1 << 16), 100)


@pytest.mark.parametrize("whole", [True, False])
def test_records_under_another_name_in_a_flat_document_are_no_records(whole: bool) -> None:  # noqa: FBT001
    body = b"<OUT>" + b"<ROW><id>1</id></ROW>" * 3 + b"</OUT>"
    with pytest.raises(SourceRefused, match=r"no <record> in 'OUT': it contains <ROW> \(3\)"):
        read(body, layout("record", whole=whole))


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("inside", ["<LIST/>", "<LIST> </LIST>", "<LIST><!-- none --></LIST>", "<LIST n='0'/><LIST/>"])
def test_an_empty_list_means_no_records(inside: str, *, whole: bool) -> None:
    assert read(out(inside), layout(whole=whole))[0] == []


def test_a_missing_list_means_no_records_only_if_declared() -> None:
    body = out("<DATETIME>now</DATETIME>")
    assert read(body, layout(nothing=MISSING))[0] == []
    assert read(out("<TOTAL>0</TOTAL>"), layout(total=RecordPath.parse("RESPONSE.TOTAL")))[0] == []
    for total in ("7", ""):
        with pytest.raises(SourceRefused, match=r"declare `nothing: \[missing\]`"):
            read(out(f"<TOTAL>{total}</TOTAL>"), layout(total=RecordPath.parse("RESPONSE.TOTAL")))


@pytest.mark.parametrize(
    "inside",
    ["<LIST><ASSET/></LIST>", "<LIST><ASSET><ID/></ASSET><ASSET><ID/></ASSET><N/></LIST>", "<x:LIST xmlns:x='urn:x'/>"],
)
def test_records_under_another_name_are_not_missing(inside: str) -> None:
    with pytest.raises(SourceRefused):
        read(out(inside), layout(nothing=MISSING))


FEED = f"<feed xmlns='{ATOM}' xmlns:m='urn:m'><title>all</title>%s</feed>"
ENTRY = "<entry m:k='v'><id>urn:%d</id><m:n x='1'>7</m:n></entry>"


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("size", [1, 7, WHOLE])
def test_names_without_their_namespace(size: int, *, whole: bool) -> None:
    body = (FEED % "".join(ENTRY % number for number in range(3))).encode()
    records, envelope = read(body, layout("entry", root="feed", plain_names=True, whole=whole, enveloped=whole), size)
    n = {"n": {"@x": "1", "#text": "7"}} if whole else {"n": "7", "n.@x": "1"}
    assert records == [{"@k": "v", "id": f"urn:{number}", **n} for number in range(3)]
    assert envelope == ({"title": "all"} if whole else {})


@pytest.mark.parametrize("whole", [True, False])
def test_names_with_their_namespace(whole: bool) -> None:  # noqa: FBT001 - a parameter of the test
    body = (FEED % (ENTRY % 1)).encode()
    named = layout(f"{{{ATOM}}}entry", root=f"{{{ATOM}}}feed", whole=whole)
    (record,) = read(body, named)[0]
    assert (record["@{urn:m}k"], record[f"{{{ATOM}}}id"]) == ("v", "urn:1")  # type: ignore[index]
    assert RecordPath.parse(f"{{{ATOM}}}id").find(record) == ["urn:1"]


def test_the_root_is_known_before_the_document_is_read() -> None:
    body = (FEED % (ENTRY % 1 * 100_000)).encode()
    with pytest.raises(SourceRefused, match=f"namespace '{ATOM}'"):
        read(body, layout("entry", root="feed"), 4096)


def test_the_slashes_of_a_namespace_belong_to_the_name() -> None:
    assert steps_of(f"a/{{{ATOM}}}b/c") == ["a", f"{{{ATOM}}}b", "c"]


@pytest.mark.parametrize("inside", ["x%s", "<![CDATA[%s]]>", "<!--%s-->"])
def test_a_text_may_be_as_long_as_a_record(inside: str) -> None:
    text = "x" * 11_000_000
    body = out(f"<LIST><HOST><T>{inside % text}</T></HOST></LIST>")
    (record,) = read(body, layout(record_bytes=1 << 24), 1 << 18)[0]
    assert len(record["T"]) in {0, len(text), len(text) + 1}  # type: ignore[index]
    with pytest.raises(SourceRefused, match="without the end of a record"):
        read(body, layout(record_bytes=1 << 20), 1 << 18)


@pytest.mark.parametrize("levels", [300, 1500, 3000])
@pytest.mark.parametrize("whole", [True, False])
def test_nesting_is_bounded_by_ourselves(levels: int, *, whole: bool) -> None:
    body = out("<LIST><HOST>" + "<a>" * levels + "</a>" * levels + "</HOST></LIST>")
    if whole or levels > 2048:  # libxml2's own limit
        with pytest.raises(PlatformError, match=r"deep|Excessive"):
            read(body, layout(whole=whole))
    else:
        assert len(read(body, layout(whole=whole))[0]) == 1


def test_a_name_must_not_hold_data() -> None:
    with pytest.raises(SourceRefused, match="longer than 2,048 characters"):
        read(out(f"<LIST><HOST><{'n' * 60_000}/></HOST></LIST>"), layout())
