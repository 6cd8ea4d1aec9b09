"""What is decided about an endpoint holds at once, also while a large model of another one is being loaded."""

import threading
from pathlib import Path

from aias.core.names import Ref
from aias.registry.values import Endpoint
from live_server import PATIENCE, Rule, eventually
from rollout_home import Breaks, ask, home_at, outcomes, serving, share, start, version_of


def test_neither_a_rollback_nor_the_evidence_waits_until_another_endpoint_is_loaded(tmp_path: Path) -> None:
    with home_at(tmp_path / "home") as home:
        let, begun, load = threading.Event(), threading.Event(), home.load

        def held(endpoint: Endpoint) -> Rule:
            if endpoint.name == "big":
                begun.set()
                assert let.wait(PATIENCE)
            return load(endpoint)

        home.publish(3)
        home.rules[2], home.load = Breaks(), held  # type: ignore[method-assign]
        with serving(home) as server:
            start(home, server, share=1.0)
            home.registry.deploy("big", Ref("churn", 3))
            assert begun.wait(PATIENCE)
            try:
                Breaks.ready.set()
                seen = [version_of(ask(server)) for _ in range(5)]
                eventually(lambda: outcomes(home) == ["rolled back"])
                eventually(lambda: server.gateway.router.peek("churn") is not None)
                Breaks.ready.clear()
                home.rules[2] = Rule(share(2))
                start(home, server, share=1.0)
                back = server.call("POST", "/endpoints/churn/rollback", key="admin-key")
                seen.append(version_of(ask(server)))
            finally:
                Breaks.ready.clear()
                let.set()

        assert (seen, back.status) == ([1] * 6, 200)
