"""The published suite of the Open Inference Protocol: our server passes it, and whoever is wrong does not."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from aias.testing.inference_v2.__main__ import checks, main
from serving_house import Doubler, House, Shelf, house
from serving_house import Rule as Churn
from tiny_inference import tiny


@pytest.fixture(scope="module")
def server() -> Iterator[House]:
    shelf = Shelf()
    shelf.deploy("churn", 7, Churn())
    shelf.deploy("price", 2, Doubler(), model="price")
    with house(shelf) as running:
        yield running


def report(url: str, *more: str) -> tuple[int, dict[str, str]]:
    """The status that the command ends with, and the result of each check."""
    out = io.StringIO()
    status = main([url, "--json", *more], out=out)
    return status, {each["check"]: each["result"] for each in json.loads(out.getvalue())["outcomes"]}


def test_our_server_does_all_that_the_suite_asks(server: House) -> None:
    status, results = report(server.address, "--header", "Authorization: Bearer all-key")

    assert status == 0
    assert not {"fail", "note"} & set(results.values()), results
    assert [name for name, result in results.items() if result == "skip"] == [
        "data may be nested or flat",
        "a body of nothing but the input is answered in bytes",
    ]


def test_a_model_of_one_input_is_asked_with_an_example(server: House, tmp_path: Path) -> None:
    example = {"inputs": [{"name": "note", "datatype": "BYTES", "shape": [1], "data": ["21"]}]}
    (tmp_path / "example.json").write_text(json.dumps(example))
    key, model = ("--header", "Authorization: Bearer all-key"), ("--model", "price")

    status, results = report(
        server.address, *key, *model, "--request", str(tmp_path / "example.json"), "--only", "binary"
    )

    assert results["a body of nothing but the input is answered in bytes"] == "ok"
    # The stand-in of this test takes texts that are numbers only, and falls over others.
    assert status == 1
    assert results["texts with nothing in them are read or refused"] == "fail"


def test_another_server_passes_that_is_right() -> None:
    with tiny() as url:
        status, results = report(url, "--model", "twice")

    assert status == 0
    assert "fail" not in results.values(), results
    assert results["data may be nested or flat"] == "ok"
    # It says 400, which is open in the specification.
    assert [name for name, result in results.items() if result == "note"] == ["another packing is refused"]


@pytest.mark.parametrize(
    ("mistake", "sentence"),
    [
        ("dead", "a live server says 200 and either nothing or live"),
        ("health in words", "a ready server says 200 and either nothing or ready"),
        ("never ready", "a ready model says 200 and either nothing or ready"),
        ("any version will do", "an unknown version is refused with an error"),
        ("another envelope", "a body that is no request is refused"),
        ("500 for bad input", "a body that is no request is refused"),
        ("the id is lost", "the id comes back"),
        ("outputs are not chosen", "only the outputs that are named come"),
        ("rows are mixed", "every row is answered by itself"),
        ("the request has the last word", "what an output says goes before what the request says"),
        ("sizes are off by one", "the answer comes in bytes when the request says so"),
        ("the length is not told", "the answer comes in bytes when the request says so"),
        ("NaN in JSON", "json stays json whatever the numbers are"),
        ("shapes are believed", "data that do not fit their shape are refused"),
        ("bytes are left lying", "bytes that nobody announced are refused"),
    ],
)
def test_a_server_that_is_wrong_in_one_way_is_found_out(mistake: str, sentence: str) -> None:
    with tiny(mistake) as url:
        status, results = report(url, "--model", "twice", "--only", sentence)

    assert (status, results) == (1, {sentence: "fail"})


def test_what_the_specification_leaves_open_is_noted_and_no_failure() -> None:
    sentence = "a packed request is answered"

    with tiny("packing ignored") as url:
        assert report(url, "--model", "twice", "--only", sentence) == (0, {sentence: "note"})


def test_an_extension_that_is_not_claimed_can_be_asked_for_all_the_same() -> None:
    sentence = "an answered request is counted"

    with tiny() as url:
        assert report(url, "--model", "twice", "--only", sentence) == (0, {sentence: "skip"})
        also = ("--also", "statistics")
        assert report(url, "--model", "twice", "--only", sentence, *also) == (1, {sentence: "fail"})


def test_a_server_that_cannot_be_asked_is_told_apart_from_one_that_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["http://127.0.0.1:9", "--timeout", "1"]) == 2
    assert "cannot be asked" in capsys.readouterr().err


def test_every_check_is_a_sentence_of_its_own() -> None:
    sentences = [check.sentence for check in checks()]

    assert len(set(sentences)) == len(sentences) > 60


def test_people_read_a_line_for_each_check_and_a_sum(server: House) -> None:
    out = io.StringIO()

    main([server.address, "--header", "Authorization: Bearer all-key", "--only", "health"], out=out)

    assert "ok    health: an unknown model is not ready\n" in out.getvalue()
    assert out.getvalue().endswith("\n6 ok\n")
