"""One of several gateways: started by the supervisor, told by its command line, and gone when the supervisor is."""

import os
import signal
import socket
import sys
import threading
from pathlib import Path

import msgspec

from aias.core.errors import AiasError
from aias.core.events import Event
from aias.serving.background import stop_with_parent, tell
from aias.serving.bounds import Bounds
from aias.serving.gateway import answer_on
from aias.serving.logs import log_accesses
from aias.serving.sums import Sums
from aias.serving.supervisor import Orders


def main(orders: Orders) -> None:
    # Until the loop is there to end well, end at once.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    threading.Thread(target=stop_with_parent, daemon=True).start()
    if orders.access_log:
        log_accesses(orders.access_log)
    listener = socket.socket(fileno=orders.descriptor)
    try:
        answer_on(
            listener,
            Path(orders.home),
            hosts=orders.hosts,
            unnamed=orders.unnamed,
            bounds=msgspec.convert(orders.bounds, Bounds, strict=False),
            announce=tell,
            when_ready=lambda: tell(Event("serve.worker-ready", f"worker {orders.index} answers")),
            places=orders.places,
            second=orders.second,
            sums=Sums(Path(orders.folder), orders.index),
            shadows=orders.index == 0,
        )
    except AiasError as fault:
        tell(Event(fault.code, fault.message, "warning"))
        sys.exit(fault.exit_status)


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=Orders))
