"""A port for a server that is started later, by another process."""

import random
import socket
from pathlib import Path

FIRST = 10_000


def free_port() -> int:
    """One that the system gives to nobody who asks for any: neither a listener nor a caller may take it meanwhile."""
    given_from = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.SystemRandom().randrange(FIRST, given_from)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
