"""The setting of the source: what is a template, and that no text of it contains a secret."""

import copy
import pickle

import pytest

from taxi_platform.redaction import redact
from taxi_platform.sources.address import SourceAddress
from taxi_platform.sources.template import SourceTemplate
from taxi_platform_tests.months import GREEN

SECRET = "https://taxi:hunter2@host:8443/{year}/{color}_{month}.csv?sig=T0KEN%2Fabc&raw=1&m={month}"


def test_a_template_and_its_addresses_are_written_without_secrets() -> None:
    template = SourceTemplate(SECRET)
    address, zones = template.address(GREEN), template.zones_address()
    assert str(template) == "https://host:8443/{year}/{color}_{month}.csv"
    assert str(address) == "https://host:8443/2024/green_2024-01.csv"
    assert str(zones) == "https://host:8443/taxi_zone_lookup.csv"
    texts = [f"{thing} {thing!r} {thing:s}" for thing in (str(template), str(address))]
    texts += [f"{thing!s} {thing!r} {thing}" for thing in (template, address, zones)]
    for secret in ("hunter2", "T0KEN", "taxi:"):
        assert secret not in " ".join(texts)


def test_the_client_is_given_the_whole_address() -> None:
    address = SourceTemplate(SECRET).address(GREEN)
    assert address.with_secrets() == (
        "https://taxi:hunter2@host:8443/2024/green_2024-01.csv?sig=T0KEN%2Fabc&raw=1&m=2024-01"
    )
    assert pickle.loads(pickle.dumps(address)) == address == copy.copy(address)  # noqa: S301


def test_signatures_that_are_valid_for_a_folder_are_used_for_the_zones_too() -> None:
    template = SourceTemplate("https://t:pw@host/trips/{color}_{month}.csv?sig=abc")
    assert template.zones_address().with_secrets() == (
        "https://t:pw@host/trips/taxi_zone_lookup.csv?sig=abc"
    )


@pytest.mark.parametrize(
    ("template", "secrets"),
    [
        ("https://taxi:hunter2@host/{month}.csv", ["hunter2", "taxi:hunter2"]),
        ("https://taxi:p%40ss%2Fword@host/{month}.csv", ["p@ss/word", "p%40ss%2Fword"]),
        ("https://a-long-token-as-user@host/{month}.csv", ["a-long-token-as-user"]),
        ("https://ghp_token:x-oauth-basic@host/{month}.csv", ["ghp_token"]),
        ("https://host/{month}.csv?sig=T0KEN%2Fabc", ["T0KEN/abc", "T0KEN%2Fabc"]),
    ],
)
def test_whoever_repeats_a_secret_is_redacted(template: str, secrets: list[str]) -> None:
    known = SourceTemplate(template).secrets()
    for secret in secrets:
        assert secret not in redact(f"cannot fetch {secret}: no", known)
    assert redact("taxi-platform: 1 month of host failed", known) == (
        "taxi-platform: 1 month of host failed"
    )


@pytest.mark.parametrize("preset", ["tlc", "mirror", "synthetic"])
def test_presets_contain_no_secrets(preset: str) -> None:
    assert SourceTemplate(preset).secrets() == []
    assert str(SourceTemplate(preset)) == preset


REFUSED = {
    "nowhere": "'nowhere' is no source: .*synthetic",
    "ftp://host/{month}.csv": "ftp://",
    "https:///{month}.csv": "names no host",
    "https://host/file.csv": "no {month}",
    "https://host/{color}.csv": "no {month}",
    "https://host/{month}{.csv": "brace that stands alone",
    "https://host/{month}}.csv": "brace that stands alone",
    "https://host/{colour}_{month}.csv": "{colour} is no field",
    "https://host/{}_{month}.csv": "{} is no field",
    "https://host/{year}-{month}.csv": "{month} includes the year",
    "https://host/{month:02d}.csv": "{month:02d} is no field",
    "https://host/{month!r}.csv": "{month!r} is no field",
    "https://host/a\n{month}.csv": "control character",
    "https://taxi:hunter2/x@host/{month}.csv": "percent-encode",
    "https://taxi:hunter2@host:port/{month}.csv": "percent-encode",
    "https://taxi:hunter2{x}@host/{month}.csv": "%7B",
    "http://taxi:hunter2@[host/{month}.csv": "percent-encode",
}


@pytest.mark.parametrize("template", REFUSED)
def test_what_is_no_template_is_refused_by_name_and_repeats_no_secret(template: str) -> None:
    with pytest.raises(ValueError, match=REFUSED[template].replace("{", r"\{")) as refused:
        SourceTemplate(template)
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_addresses_are_told_apart_without_their_secrets() -> None:
    one, other = SourceAddress("https://h/f?a=1"), SourceAddress("https://h/f?a=2")
    assert str(one) == str(other)
    assert one.fingerprint() != other.fingerprint()
    assert (
        SourceAddress("https://u:p@h/f").fingerprint() == SourceAddress("https://h/f").fingerprint()
    )
