"""What systemd is told, where it has started us as `Type=notify`: sd_notify(3)'s protocol, a datagram of lines."""

import os
import socket
from contextlib import suppress


def notify_ready() -> None:
    """This process serves. Also as the successor of the service's main process, which it is from now on."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    # A name that begins with `@` is in no file system.
    to = "\0" + address[1:] if address.startswith("@") else address
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as teller:
        teller.sendto(f"READY=1\nMAINPID={os.getpid()}\n".encode(), to)
