"""Where the next page is, by each rule, and what is refused: another origin, a cut without a link, no number."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.util import parse_url

from flows_platform.domain.errors import SourceRefused
from flows_platform.fetch.paging import ContinueFrom, LinkHeader, NextLink, Offset, Page, SinglePage, with_parameters
from flows_platform.wire.paths import RecordPath

URL = "https://api.example.com:443/v2/items?since=a%20b&empty=&start=0"
LINK = NextLink(RecordPath.parse("next.href"))
CUT = NextLink(RecordPath.parse("WARNING.URL"), RecordPath.parse("WARNING.CODE"), "1980")
OFFSET = Offset("start", "limit", 10, RecordPath.parse("total"))


def page(envelope: dict[str, object] | None = None, *, records: int = 10, seen: int = 10, **fields: object) -> Page:
    return Page(
        str(fields.get("url", URL)),
        {"Link": str(fields.get("link", ""))},
        envelope or {},
        records,
        seen,
        fields.get("last"),
    )


@pytest.mark.parametrize(
    ("link", "following"),
    [
        ("https://api.example.com/v2/items?page=2", "https://api.example.com/v2/items?page=2"),
        ("HTTPS://API.example.com/v2/items?page=2", "https://API.example.com/v2/items?page=2"),
        ("?page=2", "https://api.example.com:443/v2/items?page=2"),
        ("/v3/items?page=2", "https://api.example.com:443/v3/items?page=2"),
        ("items?page=2#top", "https://api.example.com:443/v2/items?page=2"),
        ("\n  /v3?id_min=7 \n", "https://api.example.com:443/v3?id_min=7"),
    ],
)
def test_a_link_is_followed_on_its_origin(link: str, following: str) -> None:
    assert LINK.next_page(page({"next": {"href": link}})) == following
    assert LinkHeader().next_page(page(link=f'<{link.strip()}>; rel="next"')) == following


@pytest.mark.parametrize(
    "link",
    [
        "http://api.example.com/v2/items?page=2",
        "https://api.example.com:8443/v2",
        "https://evil.example.com/v2",
        "//evil.example.com/v2",
        "https://api.example.com@evil.example.com/",
        "https://api.example.com.evil.com/",
        "ftp://api.example.com/",
        "file:///etc/passwd",
        "https://api.example.com:99999/",
    ],
)
def test_a_link_to_another_origin_is_refused(link: str) -> None:
    for rule, given_page in (
        (LINK, page({"next": {"href": link}})),
        (CUT, page({"WARNING": {"CODE": "1980", "URL": link}})),
        (LinkHeader(), page(link=f'<{link}>; rel="next"')),
    ):
        with pytest.raises(SourceRefused, match=r"another origin|invalid port"):
            rule.next_page(given_page)


@pytest.mark.parametrize("link", ["\\\\evil.example.com", "https:\\\\evil.example.com", "/\\evil.example.com"])
def test_a_backslash_is_a_character_of_the_path_and_begins_no_host(link: str) -> None:
    following = str(LINK.next_page(page({"next": {"href": link}})))
    assert urlsplit(following).hostname == parse_url(following).host == "api.example.com"


@pytest.mark.parametrize(
    "envelope", [{}, {"next": None}, {"next": {"href": None}}, {"next": {"href": ""}}, {"next": []}]
)
def test_without_a_link_the_page_is_the_last(envelope: dict[str, object]) -> None:
    assert LINK.next_page(page(envelope)) is None


@pytest.mark.parametrize("link", [7, True, {"url": "x"}, ["/a", "/b"]])
def test_a_link_that_is_no_single_url_is_refused(link: object) -> None:
    with pytest.raises(SourceRefused, match="not one URL"):
        LINK.next_page(page({"next": {"href": link}}))


def test_a_cut_answer_must_say_how_to_go_on() -> None:
    assert CUT.next_page(page({"WARNING": {"CODE": "1980", "URL": "?id_min=5"}})) == f"{URL.partition('?')[0]}?id_min=5"
    assert CUT.next_page(page({"WARNING": {"CODE": "1905", "URL": "?id_min=5"}})) is None
    assert CUT.next_page(page()) is None
    several: dict[str, object] = {"WARNING": [{"CODE": "1"}, {"CODE": 1980, "URL": "?id_min=6"}]}
    assert str(CUT.next_page(page(several))).endswith("?id_min=6")
    for warning in ({"CODE": "1980"}, {"CODE": "1980", "URL": ""}):
        with pytest.raises(SourceRefused, match=r"is cut \(1980\), but not how to go on"):
            CUT.next_page(page({"WARNING": warning}))
    any_mark = NextLink(RecordPath.parse("next"), RecordPath.parse("truncated"))
    with pytest.raises(SourceRefused, match="is cut"):
        any_mark.next_page(page({"truncated": "yes"}))


@pytest.mark.parametrize(
    "header",
    [
        '<?p=2>; rel="next"',
        "<?p=2>; rel=next",
        "<?p=2>;rel=next;title=x",
        '<?p=2>; title="a, b; <c>"; rel="next"',
        '<?p=1>; rel="prev", <?p=2>; rel="next", <?p=9>; rel="last"',
        '<?p=1,5>; rel="prev",<?p=2>; rel="next"',
        '<?p=2>; rel="last next"',
        '<?p=2>; REL="NEXT"',
        '<?p=2>; rel = "next"',
        '<?p=1>; rel="prev"; title="x <?p=7>; rel=next",  <?p=2>  ;  rel="next"',
    ],
)
def test_the_next_link_of_a_header_is_found_however_it_is_written(header: str) -> None:
    assert str(LinkHeader().next_page(page(link=header))).endswith("/items?p=2")


@pytest.mark.parametrize(
    "header",
    ["", '<?p=2>; rel="prev"', '<?p=2>; rel="nextish"', "<?p=2>; rel=next-archive", '<?p=2>; title="rel=next"'],
)
def test_other_links_are_no_next_page(header: str) -> None:
    assert LinkHeader().next_page(page(link=header)) is None


def test_an_offset_goes_on_to_the_total_whatever_a_page_holds() -> None:
    assert OFFSET.parameters == {"limit": "10", "start": "0"}
    following = OFFSET.next_page(page({"total": 25}, records=4, seen=14))
    assert dict(parse_qsl(urlsplit(str(following)).query, keep_blank_values=True)) == {
        "since": "a b",
        "empty": "",
        "start": "14",
    }
    assert OFFSET.next_page(page({"total": "25"}, records=5, seen=25)) is None
    assert OFFSET.next_page(page({"total": 0}, records=0, seen=0)) is None
    with pytest.raises(SourceRefused, match="empty page at record 20, although there are 25"):
        OFFSET.next_page(page({"total": 25}, records=0, seen=20))
    for total in ("many", True, 2.5, [1, 2], "9" * 5000, "-1", "٣"):
        with pytest.raises(SourceRefused, match="not a number"):
            OFFSET.next_page(page({"total": total}))


def test_without_a_total_a_short_page_is_the_last() -> None:
    plain = Offset("start", "limit", 10)
    assert str(plain.next_page(page(records=10, seen=30))).endswith("start=30")
    assert [plain.next_page(page(records=records, seen=30)) for records in (9, 0)] == [None, None]


def test_a_page_continues_from_its_last_record() -> None:
    rule = ContinueFrom("id_min", "id", "limit", 10)
    assert str(rule.next_page(page(last=41))).endswith("id_min=42")
    assert rule.next_page(page(records=9, last=41)) is None
    for last in (None, "41", True):
        if last is not True:
            with pytest.raises(SourceRefused, match="the next page cannot start there"):
                rule.next_page(page(last=last))
    assert str(ContinueFrom("after", "id", "limit", 10, step=0).next_page(page(last="é"))).endswith("after=%C3%A9")


def test_a_single_page_has_no_next() -> None:
    assert SinglePage().next_page(page({"next": {"href": "/more"}}, link='</more>; rel="next"')) is None


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)


@given(st.dictionaries(NAMES, st.text(max_size=8), max_size=4), st.dictionaries(NAMES, st.text(max_size=8), max_size=3))
def test_parameters_are_changed_and_the_others_kept(before: dict[str, str], changed: dict[str, str]) -> None:
    url = with_parameters(with_parameters("http://x/y?", before), changed)
    assert dict(parse_qsl(urlsplit(url).query, keep_blank_values=True)) == before | changed
