"""What is masked, in which spellings, and what remains readable."""

import base64
import json
import traceback
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows_platform.domain.errors import SourceRefused
from flows_platform.domain.redaction import MASK, SHORTEST, Redactor, bare_url, public_url

SECRETS = st.text(st.characters(exclude_categories=["Cs"]), min_size=SHORTEST).filter(lambda text: MASK not in text)


@given(SECRETS, st.text(st.characters(exclude_categories=["Cs"])))
def test_a_secret_is_masked_in_every_spelling(secret: str, around: str) -> None:
    for spelling in (secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]):
        assert spelling not in Redactor((secret,))(f"{around} {spelling} {around}").replace(MASK, "")
    coded = base64.b64encode(secret.encode()).decode()
    assert coded not in Redactor((secret,))(f"Basic {coded}")


ODD = "k+3f/9c=2d&71 a\u00e9"


@pytest.mark.parametrize(
    "spelling",
    [
        "k%2b3f%2f9c%3d2d%2671%20a%c3%a9",
        "k%2B3f/9c%3D2d%2671+a%C3%A9",
        "k+3f\\/9c=2d&71 a\\u00e9",
        "k\\u002b3f\\u002F9c=2d\\u002671 a\\u00E9",
        "k&#43;3f/9c=2d&amp;71 a&#xE9;",
        "k%252B3f%252F9c%253D2d%252671%2520a%25C3%25A9",
        base64.urlsafe_b64encode(ODD.encode()).decode().rstrip("="),
    ],
)
def test_a_secret_is_masked_however_its_signs_are_escaped(spelling: str) -> None:
    assert Redactor((ODD, "canary"))(f"<{spelling}> and canary") == "<***> and ***"


def test_texts_without_secrets_stay() -> None:
    redact = Redactor(("canary", "abc"))
    assert redact("window 2014-01-01 abc") == "window 2014-01-01 abc"
    assert redact("canary.") == "***."
    assert "canary" not in repr(redact)


def test_urls_lose_credentials_fragments_and_secret_values() -> None:
    url = "https://u:canary@host:8/a?scanned_after=1&api_key=canary&Token=canary&mine=canary&x=%20#canary"
    assert public_url(url, {"mine"}) == "https://host:8/a?scanned_after=1&api_key=***&Token=***&mine=***&x=+"
    assert bare_url(url) == "https://host:8/a"


def test_an_error_leaves_without_secrets_and_without_causes_that_hold_them() -> None:
    def fail() -> None:
        raise SourceRefused("the server says: canary is wrong.", remedy="Not canary.") from ValueError("token canary")

    with pytest.raises(SourceRefused) as refused, Redactor(("canary",)).errors():
        fail()
    assert str(refused.value) == "the server says: *** is wrong. Not ***."
    assert "canary" not in "".join(traceback.format_exception_only(refused.value)) + repr(refused.value.args)
    assert refused.value.__cause__ is refused.value.__context__ is None


def test_an_error_without_secrets_keeps_its_cause() -> None:
    cause = ValueError("why")

    def fail() -> None:
        raise SourceRefused("no.") from cause

    with pytest.raises(SourceRefused) as refused, Redactor(("canary",)).errors():
        fail()
    assert refused.value.__cause__ is cause
