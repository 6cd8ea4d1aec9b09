"""Twenty versions are deployed while clients ask without a pause: no request fails, each is answered by one version."""

import http.client
import json
import threading

from live_server import PATIENCE, LiveServer, Rule, Shelf, eventually, live_server

VERSIONS, CLIENTS = 20, 4
ROWS = [{"age": 50}, {"age": 20}, {"age": 50}]


def share(version: int) -> float:
    """What version `version` says for `yes`; no two say the same."""
    return 0.5 + version / 64


class Client(threading.Thread):
    """Asks on one connection, over and over, and keeps what it was told."""

    def __init__(self, server: LiveServer, *, as_csv: bool) -> None:
        super().__init__()
        self.server, self.as_csv, self.enough = server, as_csv, threading.Event()
        self.seen: list[str] = []
        self.faults: list[str] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=PATIENCE)
        while not self.enough.is_set():
            try:
                self.ask(connection)
            except Exception as fault:
                self.faults.append(repr(fault))
                return
        connection.close()

    def ask(self, connection: http.client.HTTPConnection) -> None:
        body = "age\n50\n20\n50\n" if self.as_csv else json.dumps(ROWS)
        headers = {
            "Authorization": "Bearer all-key",
            "Content-Type": "text/csv" if self.as_csv else "application/json",
            "Accept": "application/json",
        }
        connection.request("POST", "/predict/churn", body, headers)
        response = connection.getresponse()
        answers = json.loads(response.read())
        version = response.headers["X-Aias-Version"]
        shares = {round(max(answer["probabilities"].values()), 6) for answer in answers}
        if response.status != 200 or shares != {share(int(version.partition("@")[2]))}:
            self.faults.append(f"{response.status} {version} {answers}")
        self.seen.append(version)


def test_twenty_deployments_under_load_fail_no_request() -> None:
    shelf = Shelf()
    shelf.deploy("churn", 1, Rule(share(1)))
    with live_server(shelf) as server:
        clients = [Client(server, as_csv=at % 2 == 0) for at in range(CLIENTS)]
        for client in clients:
            client.start()
        for version in range(2, VERSIONS + 2):
            shelf.deploy("churn", version, Rule(share(version)))
            newest = f"churn@{version}"
            eventually(lambda newest=newest: all(newest in client.seen[-50:] for client in clients))
        for client in clients:
            client.enough.set()
        for client in clients:
            client.join()

    assert [fault for client in clients for fault in client.faults] == []
    for client in clients:
        numbers = [int(version.partition("@")[2]) for version in client.seen]
        assert numbers == sorted(numbers)
        assert numbers[-1] == VERSIONS + 1
