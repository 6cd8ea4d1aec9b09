"""One of several gateways: started by the supervisor, told by its command line, and gone when the supervisor is."""

import logging
import os
import signal
import socket
import sys
import threading
from pathlib import Path

import msgspec

from aias.serving.processes.orders import Orders
from aias.serving.survival.journal import Journal, Kept, Layout, Pages
from aias.serving.survival.keeper import start_keeper


def keep(orders: Orders) -> tuple[Kept | None, int | None]:
    """What lets this worker's connections outlive it, and the process that does. Call it first of all: afterwards
    there would be more than one thread, and more memory to share."""
    if orders.journal < 0:
        return None, None
    pages = Pages(orders.journal, Layout(threads=orders.places, slots=orders.slots))
    channel = socket.socket(fileno=orders.channel)
    keeper = start_keeper(pages, channel, [_port(each) for each in orders.descriptors])
    return Kept(Journal(pages), channel, *map(frozenset, (*orders.isolated, orders.suspects))), keeper


def _port(descriptor: int) -> int:
    with socket.socket(fileno=os.dup(descriptor)) as listener:
        port: int = listener.getsockname()[1]
        return port


def main(orders: Orders) -> None:
    kept, keeper = keep(orders)
    # Until the loop is there to end well, end at once.
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, lambda *_: os._exit(0))
    # In a group of its own it may write to a terminal all the same.
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)

    from aias.core.errors import AiasError
    from aias.core.events import Event
    from aias.serving.bounds import Bounds
    from aias.serving.observability.logs import Faults, log_accesses
    from aias.serving.observability.summed_metrics import SummedMetrics
    from aias.serving.processes.background import stop_with_parent, tell
    from aias.serving.serve import answer_on

    ends = () if kept is None else (kept.journal.pages.end,)
    threading.Thread(target=stop_with_parent, args=ends, daemon=True).start()
    logging.getLogger("aias.serving").addHandler(Faults())
    if orders.access_log:
        log_accesses(orders.access_log)
    listeners = [socket.socket(fileno=each) for each in orders.descriptors]
    ready = Event("serve.worker-ready", f"worker {orders.index} answers", facts={"keeper": keeper})
    try:
        answer_on(
            listeners,
            Path(orders.home),
            hosts=orders.hosts,
            unnamed=orders.unnamed,
            bounds=msgspec.convert(orders.bounds, Bounds, strict=False),
            announce=tell,
            when_ready=lambda: tell(ready),
            places=orders.places,
            second=orders.second,
            sums=SummedMetrics(Path(orders.folder), orders.counts),
            kept=kept,
            folder=Path(orders.folder),
            first=orders.index == 0,
            pinned=orders.pinned,
        )
    except AiasError as fault:
        tell(Event(fault.code, fault.message, "warning"))
        sys.exit(fault.exit_status)


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=Orders))
