"""What no server can pass: requests a second of some that say the same bytes to everybody, whatever was asked.

    python benchmarks/ceiling.py [--seconds 3] [--turns 3]

One in Python, one in C, where there is a compiler, and the same that never goes to sleep: epoll loops with a read and a
write for each request, which is not parsed; by the load generator of `serving.py`, on its cores. So this is what the
kernel and the generator take.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from serving.load import ask, request
from serving.model import CLASSES, NAMES
from serving.processes import answers_on, free_port, server

COMMAND: Final = "python benchmarks/ceiling.py"
CONNECTIONS: Final = (1, 32, 128)
BODY: Final = f'{{"probabilities":{{"{CLASSES[0]}":0.5,"{CLASSES[1]}":0.5}}}}'.encode()
ANSWER: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY)

PYTHON: Final = """
import select, socket, sys
answer, listener, poll, callers = sys.argv[2].encode(), socket.create_server(("127.0.0.1", int(sys.argv[1]))), select.epoll(), {}
poll.register(listener, select.EPOLLIN)
while True:
    for number, _ in poll.poll():
        if number == listener.fileno():
            caller = listener.accept()[0]
            caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            callers[caller.fileno()] = caller
            poll.register(caller, select.EPOLLIN)
            continue
        try:
            if callers[number].recv(65536):
                callers[number].send(answer)
                continue
        except OSError:
            pass
        callers.pop(number).close()
"""  # noqa: E501  it is run as it stands

C: Final = """
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int count, char **given) {
    static char asked[65536];
    int on = 1, sleeps = strcmp(given[0], "awake") ? -1 : 0;
    int listener = socket(AF_INET, SOCK_STREAM, 0), poll = epoll_create1(0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(given[1]))};
    struct epoll_event news[256], first = {.events = EPOLLIN, .data.fd = listener};
    size_t length = strlen(given[2]);
    signal(SIGPIPE, SIG_IGN);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 256)) return 1;
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &first);
    for (;;) {
        int ready = epoll_wait(poll, news, 256, sleeps);
        for (int each = 0; each < ready; each++) {
            int caller = news[each].data.fd;
            if (caller == listener) {
                struct epoll_event more = {.events = EPOLLIN, .data.fd = accept(listener, 0, 0)};
                setsockopt(more.data.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                epoll_ctl(poll, EPOLL_CTL_ADD, more.data.fd, &more);
            } else if (read(caller, asked, sizeof asked) <= 0 || write(caller, given[2], length) < 0) {
                close(caller);
            }
        }
    }
}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement")
    parser.add_argument("--turns", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as held:
        folder = Path(held)
        servers = _servers(folder)
        found: dict[tuple[str, int], list[dict[str, float]]] = {}
        for _ in range(asked.turns):
            for name, command in servers.items():
                for connections, each in _measured(command, folder, asked.seconds).items():
                    found.setdefault((name, connections), []).append(each)
    for (name, connections), turns in found.items():
        middle = {what: statistics.median(each[what] for each in turns) for what in turns[0]}
        print(
            f"ceiling/{name}_{connections:<4} {middle['per_s']:>8,.0f}/s, p50 {1e3 * middle['p50_ms']:.0f} us, "
            f"server {middle['cpu_us']:.1f} us a request, generator {middle['client_share']:.0%} busy"
        )
    print(f"command: {COMMAND}")


def _servers(folder: Path) -> dict[str, list[str]]:
    """The command of each, less its port and its answer."""
    servers = {"python": [sys.executable, "-c", PYTHON]}
    if (compiler := shutil.which("cc")) is not None:
        built = folder / "same"
        subprocess.run([compiler, "-O2", "-x", "c", "-o", built, "-"], input=C.encode(), check=True)
        servers["c"] = [str(built)]
        servers["c_awake"] = ["bash", "-c", 'exec -a awake "$0" "$@"', str(built)]
    return servers


def _measured(command: list[str], folder: Path, seconds: float) -> dict[int, dict[str, float]]:
    port, row = free_port(), [0.5] * len(NAMES)
    job = {"system": "floor_asgi", "port": port, "key": "", "rows": [row], "answers": [0.5], "seconds": seconds}
    with server([*command, str(port), ANSWER.decode()], folder=folder, log=folder / "log", environment={}) as token:
        assert answers_on(port, request(("127.0.0.1", port), "/", {}), seconds=10), (folder / "log").read_text()
        return {each: ask(job | {"token": token, "connections": each}) for each in CONNECTIONS}


if __name__ == "__main__":
    main()
