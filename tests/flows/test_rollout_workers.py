"""Several workers and one canary: each follows, each stays with its callers, and what they see adds up."""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aias.access.keys import Keys
from aias.core.names import Ref
from aias.registry.registry import Registry
from aias.registry.rollout.trial import Guard
from aias.serving.processes.background import Background
from live_server import PATIENCE, eventually
from tiny_versions import MANIFEST, files

TIMES = {1: 2.0, 2: 3.0}


def ask(url: str, key: str, who: str) -> int:
    """The number of the version that answered, by its header and by its answer; on a connection of its own."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=PATIENCE)
    try:
        connection.request(
            "POST", "/predict/m", b'[{"n": 5}]', {"Authorization": f"Bearer {key}", "X-Aias-Sticky": who}
        )
        response = connection.getresponse()
        body = response.read()
        assert response.status == 200, body
        number = int(response.headers["X-Aias-Version"].partition("@")[2])
        assert json.loads(body)[0]["prediction"] == 5 * TIMES[number]
        return number
    finally:
        connection.close()


@contextmanager
def served(home: Path) -> Iterator[tuple[Registry, Background, str]]:
    """Two workers that answer with the first of two versions, and a key."""
    with Registry.open(home) as registry:
        for times in TIMES.values():
            registry.publish("m", files(times, golden_of=times), MANIFEST)
        registry.deploy("m", Ref("m", 1))
        _, key = Keys(registry.database).create("test", ["predict"])
        with Background(home, workers=2) as server:
            yield registry, server, key


def test_workers_follow_a_canary_alike_and_their_evidence_adds_up(tmp_path: Path) -> None:
    with served(tmp_path) as (registry, server, key):
        users = [f"user-{at}" for at in range(30)]
        assert {ask(server.url, key, who) for who in users} == {1}

        registry.rollouts.start("m", Ref("m", 2), share=0.5, guard=Guard(slower=100.0))
        first: list[int] = []

        def all_follow() -> bool:
            first[:] = [ask(server.url, key, who) for who in users]
            return first == [ask(server.url, key, who) for who in users] and 2 in first

        eventually(all_follow)
        assert 5 <= first.count(2) <= 25

        def seen() -> int:
            errors = registry.endpoint("m").trials[0].evidence.errors
            return errors.asked + errors.live_asked

        asked = seen()
        for who in users:
            assert ask(server.url, key, who) == first[users.index(who)]
        # Of each worker the last cell may still be open.
        eventually(lambda: seen() >= asked + 10)

        registry.rollouts.rollback("m")
        eventually(lambda: {ask(server.url, key, who) for who in users} == {1})


def test_a_shadow_is_shown_what_all_workers_are_asked(tmp_path: Path) -> None:
    with served(tmp_path) as (registry, server, key):
        registry.rollouts.start("m", Ref("m", 2), role="shadow", share=1.0)

        def counted() -> int:
            found = registry.endpoint("m").trials[0].evidence.mirrored
            return found.requests + found.dropped + found.too_large

        def none_is_missed() -> bool:
            """Of two workers, connections fall to either: none of thirty to one of them is most unlikely."""
            before = counted()
            for at in range(30):
                ask(server.url, key, f"user-{at}")
            with suppress(AssertionError):
                eventually(lambda: counted() >= before + 30, seconds=5.0)  # a round that missed some is made again
            return counted() == before + 30

        eventually(none_is_missed)
        eventually(lambda: registry.endpoint("m").trials[0].evidence.mirrored.requests > 0)
