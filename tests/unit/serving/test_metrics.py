from serving_house import Rule, Shelf, house, samples


def test_what_the_server_did_can_be_scraped() -> None:
    shelf = Shelf()
    shelf.deploy("churn", 1, Rule())
    shelf.deploy("bad", 1, None, model="other")
    with house(shelf) as server:
        for _ in range(3):
            server.call("POST", "/predict/churn", [{"age": 1}, {"age": 2}])
        server.call("POST", "/predict/churn", [{"age": "x"}])
        server.call("POST", "/predict/churn", [], key=None)
        found = samples(server)

    ok = (("endpoint", "churn"), ("status", "200"), ("version", "churn@1"))
    assert found["aias_requests_total", ok] == 3
    assert found["aias_rows_total", (("endpoint", "churn"),)] == 6
    assert found["aias_refusals_total", (("reason", "data.bad-value"),)] == 1
    assert found["aias_refusals_total", (("reason", "serving.no-key"),)] == 1
    assert found["aias_load_failures_total", (("endpoint", "bad"),)] == 1
    assert found["aias_loaded", (("endpoint", "churn"), ("version", "churn@1"))] == 1
    assert found["aias_open_connections", ()] >= 1
    for phase in ("decode", "run", "encode"):
        labels = (("endpoint", "churn"), ("phase", phase))
        assert found["aias_seconds_count", labels] == 3
        assert found["aias_seconds_bucket", (labels[0], ("le", "+Inf"), labels[1])] == 3
        assert found["aias_seconds_sum", labels] > 0


def test_names_that_callers_make_up_are_no_labels() -> None:
    with house() as server:
        for at in range(20):
            server.call("POST", f"/predict/made-up-{at}", [])
        text = server.call("GET", "/metrics").body.decode()

    assert "made-up" not in text
