"""Is it alive, is it ready, what has it done: for load balancers and Prometheus."""

from collections.abc import Callable

from aias.serving.http.messages import TEXT, Reply, Request
from aias.serving.http.routes import PUBLIC, Route
from aias.serving.observability.metrics import Metrics


def probes(*, ready: Callable[[], bool], metrics: Callable[[], Callable[[], Metrics]]) -> tuple[Route, ...]:
    """The routes of a server whatever it serves. What `metrics` gives is called in a thread."""

    def tell_methods(_request: Request) -> Reply:
        """Which methods the server knows (RFC 9110, 9.3.7); proxies ask it to see whether anybody is there"""
        return Reply(b"", headers=((b"allow", b"GET, HEAD, POST"),))

    def tell_ready(_request: Request) -> Reply:
        return Reply(b'{"ready":true}') if ready() else Reply(b'{"ready":false}', status=503)

    def tell_metrics(request: Request) -> Reply:
        # Of 500 versions it takes most of a second to write.
        counted, owner = metrics(), request.owner
        return Reply(b"", media_type=TEXT, later=lambda: counted().seen_by(owner).text())

    return (
        Route("OPTIONS", "*", PUBLIC, tell_methods),
        Route("GET", "/health/live", PUBLIC, lambda _request: Reply(b'{"live":true}')),
        Route("GET", "/health/ready", PUBLIC, tell_ready),
        Route("GET", "/metrics", "read", tell_metrics),
    )
