"""Names, references and digests."""

from typing import Any

import pytest

from aias.core.names import BadName, Ref, check_endpoint, check_name, digest_of, name_from


@pytest.mark.parametrize("name", ["a", "churn-2026", "0", "a.b_c-d", "x" * 63])
def test_a_name_is_returned_as_it_came(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "A", " a", "a ", "a/b", "../a", "a..b", ".a", "-a", "a\n", "é", "x" * 64, "a@1", "a%2fb", "a\0b", 5, None],
)
def test_what_would_be_unsafe_in_a_path_or_url_is_no_name(name: Any) -> None:
    with pytest.raises(BadName) as refused:
        check_name(name)

    assert refused.value.code == "names.bad-name"
    assert refused.value.hint


@pytest.mark.parametrize(
    ("text", "name"),
    [("My Reviews (1)", "my-reviews-1"), ("reviews", "reviews"), ("..", "model"), ("日本", "model"), ("a...b", "a.b")],
)
def test_a_title_becomes_a_name(text: str, name: str) -> None:
    assert name_from(text) == name


@pytest.mark.parametrize("text", ["a" * 500, "-" * 70 + "a", "x" * 62 + "-y", "a" * 62 + "..b"])
def test_whatever_the_title_the_name_is_a_good_one(text: str) -> None:
    assert check_name(name_from(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("reviews@3", Ref("reviews", 3)), ("reviews", Ref("reviews")), ("reviews@latest", Ref("reviews"))],
)
def test_a_reference_names_a_version_or_the_newest(text: str, expected: Ref) -> None:
    assert Ref.parse(text) == expected


@pytest.mark.parametrize("text", ["a@", "a@0", "a@01", "a@-1", "a@1.0", "a@x", "a@1@2", "@1", "a@" + "9" * 10, "a@١"])
def test_what_names_no_version_is_refused(text: str) -> None:
    with pytest.raises(BadName):
        Ref.parse(text)


def test_a_reference_is_written_as_it_is_read() -> None:
    assert [str(Ref.parse(text)) for text in ("reviews@12", "reviews")] == ["reviews@12", "reviews"]


def test_a_digest_is_over_the_bytes_and_not_over_how_they_were_cut() -> None:
    assert digest_of([b"ab", b"c"]) == digest_of([b"abc"])
    assert digest_of([b"abc"]) == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_an_endpoint_may_not_be_called_what_stands_in_a_path_for_something_else() -> None:
    assert check_endpoint("stats-1") == "stats-1"
    assert check_name("stats") == "stats"
    with pytest.raises(BadName, match="/v2/models/stats is something else") as refused:
        check_endpoint("stats")
    assert refused.value.hint == "deploy it under another name: `--as stats-1`"
    with pytest.raises(BadName, match="cannot be a name"):
        check_endpoint("../x")
