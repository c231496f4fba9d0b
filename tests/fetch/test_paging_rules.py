"""Where the next page is, by every rule, and what is refused: another origin, a cut without a link, a bad total."""

from dataclasses import replace
from decimal import Decimal
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.util import parse_url

from flows_platform.columns.paths import RecordPath
from flows_platform.domain.errors import SourceRefused
from flows_platform.fetch.flags import Flag
from flows_platform.fetch.http.request import Request
from flows_platform.fetch.paging import (
    ContinueFrom,
    Cursor,
    End,
    Ends,
    Into,
    LinkHeader,
    NamedHeader,
    NextLink,
    Offset,
    Page,
    PageNumber,
    Paging,
    SinglePage,
)
from flows_platform.fetch.totals import total_count

ADDRESS = "https://api.example.com:443/v2/items"
LINK = NextLink(link=RecordPath.parse("next.href"))
CUT = NextLink(link=RecordPath.parse("WARNING.URL"), truncated=RecordPath.parse("WARNING.CODE"), code="1980")
OFFSET = Offset(start="start", size_parameter="limit", size=10)


def page(envelope: dict[str, object] | None = None, *, records: int = 10, seen: int = 10, **fields: object) -> Page:
    return Page(
        Request(ADDRESS, (("since", "a b"), ("empty", ""), ("start", str(fields.get("start", 0))))),
        {"Link": str(fields.get("link", ""))},
        envelope or {},
        records,
        seen,
        Request(ADDRESS, (("verb", "List"),)),
        fields.get("last"),
        fields.get("total"),  # type: ignore[arg-type]
    )


def after(rule: Paging, given_page: Page) -> str | None:
    """The next page's URL."""
    found = rule.next(given_page)
    return None if isinstance(found, End) else found.target


def asked(rule: Paging, given_page: Page) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(str(after(rule, given_page))).query, keep_blank_values=True))


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
    assert after(LINK, page({"next": {"href": link}})) == following
    assert after(LinkHeader(), page(link=f'<{link.strip()}>; rel="next"')) == following


@pytest.mark.parametrize(
    "link",
    [
        "http://api.example.com/v2/items?page=2",
        "https://api.example.com:8443/v2",
        "https://evil.example.com/v2",
        "//evil.example.com/v2",
        "https://api.example.com@evil.example.com/",
        "https://evil.example.com\\@api.example.com/",
        "https://evil.example.com\\@api.example.com:443/v2",
        "https://user:password@api.example.com/",
        "https://[::1/v2",
        "https://api.example.com:80a/",
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
        with pytest.raises(SourceRefused, match=r"another origin|invalid port|which is not a URL|holds credentials"):
            after(rule, given_page)


@pytest.mark.parametrize("link", ["\\\\evil.example.com", "https:\\\\evil.example.com", "/\\evil.example.com"])
def test_a_backslash_is_a_character_of_the_path_and_begins_no_host(link: str) -> None:
    following = str(after(LINK, page({"next": {"href": link}})))
    assert urlsplit(following).hostname == parse_url(following).host == "api.example.com"


@pytest.mark.parametrize(
    "envelope", [{}, {"next": None}, {"next": {"href": None}}, {"next": {"href": ""}}, {"next": []}]
)
def test_without_a_link_the_page_is_the_last(envelope: dict[str, object]) -> None:
    assert after(LINK, page(envelope)) is None


@pytest.mark.parametrize("link", [7, True, {"url": "x"}, ["/a", "/b"]])
def test_a_link_that_is_no_single_url_is_refused(link: object) -> None:
    with pytest.raises(SourceRefused, match="not one URL"):
        after(LINK, page({"next": {"href": link}}))


def test_a_cut_answer_must_say_how_to_go_on() -> None:
    assert after(CUT, page({"WARNING": {"CODE": "1980", "URL": "?id_min=5"}})) == f"{ADDRESS}?id_min=5"
    assert after(CUT, page({"WARNING": {"CODE": "1905", "URL": "?id_min=5"}})) is None
    assert after(CUT, page()) is None
    several: dict[str, object] = {"WARNING": [{"CODE": "1"}, {"CODE": 1980, "URL": "?id_min=6"}]}
    assert str(after(CUT, page(several))).endswith("?id_min=6")
    for warning in ({"CODE": "1980"}, {"CODE": "1980", "URL": ""}):
        with pytest.raises(
            SourceRefused, match=r"WARNING\.CODE says that there is more, but .* no link at WARNING\.URL"
        ):
            after(CUT, page({"WARNING": warning}))
    any_mark = NextLink(link=RecordPath.parse("next"), truncated=RecordPath.parse("truncated"))
    with pytest.raises(SourceRefused, match="truncated says that there is more"):
        after(any_mark, page({"truncated": "yes"}))


TRUE: list[object] = [True, "true", "True", "TRUE", 1, Decimal("1.0"), "1", "yes", {"a": 1}]
FALSE: list[object] = [False, None, "false", "False", 0, Decimal("0.0"), "0", "", {}]
FLAGGED: list[Paging] = [
    NextLink(link=RecordPath.parse("next"), more=RecordPath.parse("meta.more")),
    Cursor(cursor=RecordPath.parse("next"), into=Into(query="c"), more=RecordPath.parse("meta.more")),
    LinkHeader(more=RecordPath.parse("meta.more")),
    PageNumber(parameter="start", more=RecordPath.parse("meta.more")),
    Offset(start="start", more=RecordPath.parse("meta.more")),
    ContinueFrom(parameter="after", column="id", more=RecordPath.parse("meta.more")),
]


@pytest.mark.parametrize("rule", FLAGGED, ids=lambda rule: type(rule).__name__)
def test_a_flag_that_is_there_decides_whatever_way_on_there_is(rule: Paging) -> None:
    onward = {"link": '</x>; rel="next"', "last": 7}
    for value in TRUE:
        assert after(rule, page({"meta": {"more": value}, "next": "/x"}, **onward)), value  # type: ignore[arg-type]
    for value in FALSE:
        found = rule.next(page({"meta": {"more": value}, "next": "/x"}, **onward))  # type: ignore[arg-type]
        assert found == End("meta.more says that there is no more", stated=True), value
    assert after(rule, page({"meta": {}, "next": "/x"}, **onward))  # type: ignore[arg-type]  # the way on decides


@pytest.mark.parametrize("rule", FLAGGED[:3], ids=lambda rule: type(rule).__name__)
def test_more_without_a_way_on_is_an_error(rule: Paging) -> None:
    with pytest.raises(SourceRefused, match=r"meta\.more says that there is more, but the answer does not say how"):
        rule.next(page({"meta": {"more": "true"}, "next": None}))


@pytest.mark.parametrize(
    ("code", "more", "no_more"),
    [
        ("true", [True, "true", 1], [False, "false", 0, None, ""]),
        ("false", [False, "false", 0, "False"], [True, "true", 1]),
        ("1980", ["1980", 1980], ["1981", 198, True]),
        ("null", [], [True, 1]),
    ],
)
def test_a_code_is_compared_as_json_writes_it(code: str, more: list[object], no_more: list[object]) -> None:
    flag = Flag(RecordPath.parse("a"), code)
    assert [flag.value({"a": value}) for value in more] == [True] * len(more)
    assert [flag.value({"a": value}) for value in no_more] == [False] * len(no_more)
    assert flag.value({}) is None


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
    assert str(after(LinkHeader(), page(link=header))).endswith("/items?p=2")


@pytest.mark.parametrize(
    "header",
    ["", '<?p=2>; rel="prev"', '<?p=2>; rel="nextish"', "<?p=2>; rel=next-archive", '<?p=2>; title="rel=next"'],
)
def test_other_links_are_no_next_page(header: str) -> None:
    assert after(LinkHeader(), page(link=header)) is None


def test_an_offset_goes_on_to_the_total_whatever_a_page_holds() -> None:
    assert OFFSET.parameters == {"limit": "10", "start": "0"}
    assert asked(OFFSET, page(records=4, seen=14, total=25)) == {"since": "a b", "empty": "", "start": "14"}
    assert OFFSET.next(page(records=5, seen=25, total=25)) == End("total reached: 25", stated=True)
    assert OFFSET.next(page(records=0, seen=0, total=0)) == End("total reached: 0", stated=True)
    with pytest.raises(SourceRefused, match="empty page at record 20, although there are 25"):
        OFFSET.next(page(records=0, seen=20, total=25))
    one_based = Offset(start="start", size_parameter="limit", size=10, first=1)
    assert one_based.parameters["start"] == "1"
    assert asked(one_based, page(records=4, seen=14))["start"] == "15"


@pytest.mark.parametrize("value", ["many", True, 2.5, [1, 2], "9" * 5000, "-1", "٣", None])
def test_a_total_is_a_number(value: object) -> None:
    with pytest.raises(SourceRefused, match="not a number"):
        total_count(value)


SIZED: list[Paging] = [
    OFFSET,
    PageNumber(parameter="start", first=0, size_parameter="limit", size=10),
    ContinueFrom(parameter="after", column="id", size_parameter="limit", size=10),
]


@pytest.mark.parametrize("rule", SIZED, ids=lambda rule: type(rule).__name__)
def test_without_a_total_an_empty_page_is_the_last_and_a_short_one_only_where_the_author_says_so(rule: Paging) -> None:
    assert [bool(after(rule, page(records=records, seen=30, last=7))) for records in (10, 9, 1, 0)] == [1, 1, 1, 0]
    short = rule.model_copy(update={"ends": Ends.SHORT})
    assert [bool(after(short, page(records=records, seen=30, last=7))) for records in (11, 10, 9, 0)] == [1, 1, 0, 0]
    assert short.next(page(records=9, seen=9)) == End("a page of 9 records, fewer than the 10 asked for")


def test_pages_are_numbered() -> None:
    rule = PageNumber(parameter="start", first=0, size_parameter="limit", size=10)
    assert rule.parameters == {"limit": "10", "start": "0"}
    assert PageNumber(parameter="p").parameters == {"p": "1"}
    assert asked(rule, page(records=3))["start"] == "1"
    assert asked(rule, page(records=3, start=9, total=4, seen=3))["start"] == "10"


def test_a_page_continues_from_its_last_record() -> None:
    rule = ContinueFrom(parameter="id_min", column="id", size_parameter="limit", size=10)
    assert str(after(rule, page(last=41))).endswith("id_min=42")
    assert str(after(rule, page(records=9, last=41))).endswith("id_min=42")
    for last in (None, "41"):
        with pytest.raises(SourceRefused, match="the next page cannot start there"):
            after(rule, page(last=last))
    text = ContinueFrom(parameter="after", column="id", size_parameter="limit", size=10, step=0)
    assert str(after(text, page(last="é"))).endswith("after=%C3%A9")
    with pytest.raises(SourceRefused, match="the next page cannot start there"):
        after(text, page(last=None))


@pytest.mark.parametrize(
    ("value", "sent"), [("a/b=", "a/b="), (7, "7"), (0, "0"), ([1, "b"], "1,b"), (Decimal("1.50"), "1.50")]
)
def test_a_cursor_goes_into_the_query(value: object, sent: str) -> None:
    rule = Cursor(cursor=RecordPath.parse("meta.next"), into=Into(query="cursor"))
    assert asked(rule, page({"meta": {"next": value}})) == {"since": "a b", "empty": "", "start": "0", "cursor": sent}
    alone = rule.model_copy(update={"alone": True})
    assert asked(alone, page({"meta": {"next": value}})) == {"verb": "List", "cursor": sent}


@pytest.mark.parametrize("meta", [{}, {"next": None}, {"next": ""}, {"next": []}, {"next": False}])
def test_without_a_cursor_the_page_is_the_last(meta: dict[str, object]) -> None:
    assert Cursor(cursor=RecordPath.parse("meta.next"), into=Into(query="c")).next(page({"meta": meta})) == End(
        "no cursor at meta.next"
    )


@pytest.mark.parametrize("value", [True, {"id": 1}, [["a"]]])
def test_a_cursor_that_is_no_text_or_number_is_refused(value: object) -> None:
    with pytest.raises(SourceRefused, match="neither a text nor a number"):
        Cursor(cursor=RecordPath.parse("next"), into=Into(query="c")).next(page({"next": value}))


def test_a_cursor_may_come_in_a_header() -> None:
    rule = Cursor(cursor=NamedHeader(header="Link"), into=Into(query="page"))
    assert asked(rule, page(link="t 2"))["page"] == "t 2"
    assert rule.next(page()) == End("no cursor in the header Link")


def test_an_empty_page_ends_links_only_where_the_author_says_so() -> None:
    ending = NextLink(link=RecordPath.parse("next"), ends="empty")
    assert after(NextLink(link=RecordPath.parse("next")), page({"next": "/x"}, records=0))
    assert ending.next(page({"next": "/x"}, records=0)) == End("an empty page")
    assert after(ending, page({"next": "/x"}, records=1))
    assert after(ending, page({"next": "/x"}, records=1, seen=9, total=9))  # links go on; the total is compared then


def test_a_single_page_has_no_next() -> None:
    assert after(SinglePage(), page({"next": {"href": "/more"}}, link='</more>; rel="next"')) is None


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)


@given(st.dictionaries(NAMES, st.text(max_size=8), max_size=4), st.dictionaries(NAMES, st.text(max_size=8), max_size=3))
def test_parameters_are_changed_and_the_others_kept(before: dict[str, str], changed: dict[str, str]) -> None:
    request = Request("http://x/y").with_parameters(before).with_parameters(changed)
    assert dict(parse_qsl(urlsplit(request.target).query, keep_blank_values=True)) == before | changed


@pytest.mark.parametrize(
    "parameters",
    [
        "; rel='next'",
        ";rel=next",
        ';; rel="next";',
        '; title="a, b; c"; rel="last next"',
        "; title*=UTF-8''%e2%82; REL = Next",
    ],
)
def test_a_link_header_is_read_however_its_parameters_are_quoted(parameters: str) -> None:
    link = f'<https://api.example.com/first>; rel="first", <https://api.example.com/v2?page=2>{parameters}'
    assert after(LinkHeader(), page(link=link)) == "https://api.example.com/v2?page=2"


def test_a_relation_inside_another_parameter_is_none() -> None:
    assert after(LinkHeader(), page(link='<https://api.example.com/v2>; title="x; rel=next"; rel="prev"')) is None


@pytest.mark.parametrize("link", ['<https://api.example.com/v2>; rel="next', 'https://api.example.com/v2; rel="next"'])
def test_a_link_header_that_names_next_and_cannot_be_read_ends_no_range(link: str) -> None:
    with pytest.raises(SourceRefused, match="names `next`"):
        LinkHeader().next(page(link=link))
    assert after(LinkHeader(), page(link="no list of links")) is None


@pytest.mark.parametrize(("yes", "no"), [("Y", "N"), ("yes", "no"), ("T", "F"), ("on", "Off"), (True, "null"), (3, 0)])
def test_a_flag_may_be_a_word(yes: object, no: object) -> None:
    rule = LINK.model_copy(update={"more": RecordPath.parse("more")})
    assert after(rule, page({"more": yes, "next": {"href": "?page=2"}})) is not None
    assert after(rule, page({"more": no, "next": {"href": "?page=2"}})) is None


def test_a_flag_that_the_last_page_leaves_out_ends_the_range_only_where_it_was_there() -> None:
    rule = LINK.model_copy(update={"more": RecordPath.parse("more")})
    last = page({"next": {"href": "?page=3"}})
    assert after(rule, last) == "https://api.example.com:443/v2/items?page=3"
    assert rule.next(replace(last, flagged=True)) == End("more, which earlier pages had, is left out", stated=True)
