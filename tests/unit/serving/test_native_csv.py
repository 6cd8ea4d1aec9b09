from dataclasses import replace

import pytest

from live_server import BOUNDS, LiveServer, live_server


@pytest.mark.parametrize("wanted", ["application/json", None])
def test_csv_is_read_by_its_content_type(server: LiveServer, wanted: str | None) -> None:
    headers = {"Content-Type": "text/csv; charset=utf-8"} | ({"Accept": wanted} if wanted else {})

    response = server.call("POST", "/predict/churn", "age,plan\n50,pro\n20,\n", headers=headers)

    if wanted:
        assert [each["prediction"] for each in response.json] == ["yes", "no"]  # type: ignore[index,union-attr,call-overload]
    else:
        assert response.headers["content-type"] == "text/csv"
        assert response.body == b"prediction,probability_no,probability_yes\nyes,0.25,0.75\nno,0.75,0.25\n"


TO = {"X-Amzn-SageMaker-Target-Model": "churn"}


@pytest.mark.parametrize("path", ["/predict/churn", "/invocations"])
def test_empty_lines_of_csv_are_none(server: LiveServer, path: str) -> None:
    wanted = TO | {"Content-Type": "text/csv", "Accept": "application/json"}

    spaced = server.call("POST", path, "\n\nage,plan\n50,pro\n\n20,\n\n", headers=wanted)

    assert (spaced.status, spaced.json) == (
        200,
        server.call("POST", path, "age,plan\n50,pro\n20,", headers=wanted).json,
    )


@pytest.mark.parametrize("path", ["/predict/churn", "/invocations"])
def test_no_row_behind_empty_lines_is_left_out(path: str) -> None:
    with live_server(bounds=replace(BOUNDS, body_rows=3)) as server:
        wanted = {"Content-Type": "text/csv", "Accept": "text/csv"}
        spaced = server.call("POST", path, "age,plan\n" + "\n" * 20 + "1,a\n2,b\n\n3,c\n", headers=wanted)

        assert (spaced.status, spaced.body.count(b"no")) == (200, 3 + (path == "/predict/churn"))


def test_a_csv_of_nothing_but_its_header_is_no_empty_answer(server: LiveServer) -> None:
    response = server.call("POST", "/predict/churn", "age,plan\n", headers={"Content-Type": "text/csv"})

    assert response.status == 400
    assert response.json["error"]["message"] == "the CSV body has one line, and that is the header: no rows"  # type: ignore[index]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("", "header"),
        ("age,age\n1,2\n", "two columns `age`"),
        (",".join(map(str, [*range(9_999), 9_998])) + "\n", "two columns `9998`"),
        ("," * 1_000_000, "1,000,001 columns"),
        ('age,plan\n50,"pro\n', "does not end"),
        ('age,plan\n50,"pro"x\n', "goes on behind"),
        ("age,plan\n50\n", "row 0 has 1 values"),
        (b"age\n\xff\n", "UTF-8"),
    ],
)
def test_what_is_wrong_with_csv_is_said_in_our_words(server: LiveServer, body: str | bytes, why: str) -> None:
    response = server.call("POST", "/predict/churn", body, headers={"Content-Type": "text/csv"})

    assert response.status == 400
    assert why in response.json["error"]["message"]  # type: ignore[index]


@pytest.mark.parametrize(
    "body",
    ["age;plan\n50;pro\n20;\n", "age\tplan\n50\ta,b\n20\t\n", '\r\n"age";"plan"\r\n"50";"a,b"\r\n20;\r\n'],
)
def test_csv_of_semicolons_or_tabs_is_told_by_its_header(server: LiveServer, body: str) -> None:
    response = server.call("POST", "/predict/churn", body, headers={"Content-Type": "text/csv"})

    assert response.body.splitlines()[1:] == [b"yes,0.25,0.75", b"no,0.75,0.25"]


def test_semicolons_in_names_and_values_separate_nothing_where_commas_do(server: LiveServer) -> None:
    rows = server.call("POST", "/predict/churn", 'age,plan\n50,"a;b"\n', headers={"Content-Type": "text/csv"})
    name = server.call("POST", "/predict/churn", '"age;plan"\n50\n', headers={"Content-Type": "text/csv"})

    assert rows.status == 200
    assert name.json["error"]["field"] == "age;plan"  # type: ignore[index]


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [("utf-8", "utf-8-sig"), ("ISO-8859-1", "latin-1"), ("windows-1252", "cp1252"), ("utf-16", "utf-16")],
)
def test_csv_is_read_in_the_charset_that_it_says(server: LiveServer, charset: str, encoding: str) -> None:
    body = "age,plan\n50,Größe\n20,€\n".replace("€", "ß").encode(encoding)

    response = server.call("POST", "/predict/churn", body, headers={"Content-Type": f'text/csv; charset="{charset}"'})
    tabs = body.decode(encoding).replace(",", "\t").encode(encoding)
    tsv = {"Content-Type": f"text/tab-separated-values; charset={charset}"}

    assert response.body.splitlines()[1:] == [b"yes,0.25,0.75", b"no,0.75,0.25"]
    assert server.call("POST", "/predict/churn", tabs, headers=tsv).body == response.body


@pytest.mark.parametrize("charset", ["utf-7", "unicode_escape", "idna", "zip", "x" * 300])
def test_other_charsets_are_refused(server: LiveServer, charset: str) -> None:
    headers = {"Content-Type": f"text/csv; charset={charset}"}

    assert server.call("POST", "/predict/churn", "age\n1\n", headers=headers).status == 415
    wrong = server.call("POST", "/predict/churn", b"age\n\xff\n", headers={"Content-Type": "text/csv"})
    assert (wrong.status, wrong.json["error"]["code"]) == (400, "serving.bad-body")  # type: ignore[index,call-overload]
