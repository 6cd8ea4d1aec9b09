"""What a request costs the generator of `aias bench`, and so how many a second it can ask from one processor.

    python benchmarks/load_generator.py

Its own processor time, by requests, against a server that answers the same bytes to everybody: what else the machine
does meanwhile does not count. A generator is no bottleneck as long as it needs less of this than the server needs.
"""

import asyncio
import socket
import subprocess
import sys
import time
from pathlib import Path

COMMAND = "python benchmarks/load_generator.py"
ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: 1\r\ncontent-length: 48\r\n\r\n" + b"x" * 48
)
BODY = b'[{"a": 1.25, "b": 2.5, "c": 3.75, "d": 5.0}]'
SECONDS = 2.0
REQUESTS_PER_SECOND = 10_000


def main() -> None:
    from aias.client.load.generator import put_load
    from aias.client.load.result import Plan
    from aias.client.load.target import Address, Target

    with subprocess.Popen([sys.executable, str(Path(__file__).resolve()), "serve"], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        address = Address.parse(server.stdout.readline().decode().strip())
        target = Target.of(address, "/predict/m", [BODY], {"Authorization": "Bearer secret"})
        plans = {f"closed_{n}": Plan(SECONDS, connections=n, warm_up=0.2) for n in (1, 32, 128)}
        plans |= {f"open_{rate}_a_second": Plan(SECONDS, rate=rate, warm_up=0.2) for rate in (500, 2_000)}
        for name, plan in plans.items():
            began = time.perf_counter()
            result = put_load(target, plan)
            spent = result.busy * (time.perf_counter() - began)
            asked = result.sent * (1 + plan.warm_up / plan.seconds)
            rate = asked / spent
            told = (
                f"{1e6 / rate:.1f} us of processor time a request: {rate / REQUESTS_PER_SECOND:.2f} x 10,000 a second"
            )
            goal = f">= 1 x  {'ok' if rate >= REQUESTS_PER_SECOND else 'MISS'}" if plan.rate is None else ""
            print(f"load/{name:<22} {told:<70} {goal}")
        server.terminate()
    print(f"command: {COMMAND}")


class Same(asyncio.Protocol):
    """Answers every piece that comes; the generator sends whole requests."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, _data: bytes) -> None:
        self.transport.write(ANSWER)  # type: ignore[attr-defined]


async def serve() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=1_024)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    server = await asyncio.get_running_loop().create_server(Same, sock=listener)
    await server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        import uvloop

        uvloop.run(serve())
    else:
        main()
