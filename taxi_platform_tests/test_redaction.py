import base64
import html
import json
import textwrap
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxi_platform.redaction import redact

SECRETS = [
    "hunter2",
    "p@ss/word:1?&=#%",
    "two  words\tand more",
    "quo'te\"s\\and",
    "größer-als-ascii",
    "<tag>&amp;",
    "a" * 90,
    "line\nbreak-in-it",
]

SPELLINGS = {
    "plain": str,
    "as a URL has it": quote,
    "as a URL's password": lambda s: quote(s, safe=""),
    "as a form": quote_plus,
    "as a URL within a URL": lambda s: quote(quote(s, safe=""), safe=""),
    "bytes": lambda s: repr(s.encode())[2:-1],
    "lower-case percents": lambda s: quote(s, safe="").lower() if s.islower() else quote(s),
    "JSON": lambda s: json.dumps(s)[1:-1],
    "repr": lambda s: repr(s)[1:-1],
    "HTML": html.escape,
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "folded spaces": lambda s: " ".join(s.split()),
    "in lines of 20": lambda s: "\n".join(s[i : i + 20] for i in range(0, len(s), 20)),
    "folded as a header": lambda s: "\r\n ".join(textwrap.wrap(s, 30, break_on_hyphens=False)),
}


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_a_secret_is_redacted_in_every_spelling(secret: str, spelling: object) -> None:
    assert callable(spelling)
    text = f"could not connect to http://taxi:{spelling(secret)}@host/: refused"
    assert redact(text, ["other", secret]) == "could not connect to http://taxi:***@host/: refused"


@given(st.text(min_size=1), st.text(), st.text())
def test_no_secret_is_left_wherever_it_is(secret: str, before: str, after: str) -> None:
    if len(secret.strip()) < 4 or "*" in secret:
        return
    assert secret not in redact(f"{before}{secret}{after}", [secret])


def test_short_secrets_are_redacted_as_words_only() -> None:
    assert redact("password a is a bad idea, says Anna", ["a"]) == (
        "password *** is *** bad idea, says Anna"
    )


def test_of_two_secrets_the_longer_goes_first_and_empty_ones_do_nothing() -> None:
    assert redact("hunter2-and-more hunter2", ["", "hunter2", "hunter2-and-more"]) == "*** ***"
    assert redact("hunter2", [""]) == "hunter2"
