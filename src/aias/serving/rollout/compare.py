"""The process of a shadow: asks the live version and the one on trial the same, and reports how they differ.

It runs when nobody else wants the processor. `python -m aias.serving.rollout.compare`, with its orders as JSON.
"""

import contextlib
import os
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

import msgspec
import numpy as np

from aias.core.catalog import member, members
from aias.core.errors import AiasError
from aias.core.events import nobody
from aias.core.names import Ref
from aias.registry.registry import Registry
from aias.registry.rollout.evidence import Evidence, Mirrored
from aias.runtimes.contract import Answers
from aias.serving.bounds import Bounds
from aias.serving.formats.arrow import ArrowProcess
from aias.serving.http.messages import Ask, Conversation, Request
from aias.serving.http.routes import RouteTable
from aias.serving.inference.repository import Repository
from aias.serving.processes.background import stop_with_parent
from aias.serving.protocols.contract import ServerContext
from aias.serving.rollout.shadow import Mirrored as Sent
from aias.serving.rollout.shadow import ShadowOrders
from aias.serving.versions.loading import load
from aias.serving.versions.model import Model, warm

REPORT_SECONDS: Final = 0.5
MESSAGE_BYTES_MAX: Final = 1 << 20

ALIKE: Final = 1e-3
"""Numbers are alike within a thousandth of their size, vectors within as much of one direction."""

_NOTHING: Final = 1e-12
"""What rounding may leave where sums come to zero."""


class Comparer:
    """Both versions, and the protocols that read requests."""

    def __init__(self, live: Model, trial: Model) -> None:
        self._live, self._trial = live, trial
        self._live_first = True
        nobody = cast("Any", None)
        repository = Repository(nobody, None)
        context = ServerContext(Bounds(), lambda: True, ArrowProcess(), repository, nobody, nobody, list, nobody)
        protocols = [member("serving.protocols", name)(context) for name in members("serving.protocols")]
        self._table = RouteTable(route for protocol in protocols for route in protocol.routes())

    def compare(self, sent: Sent) -> Mirrored:
        """One request, asked of both."""
        found = Mirrored()
        route = self._table.find(sent.path)
        handler = route.route("POST") if route else None
        if handler is None or not handler.asks:
            return found
        request = Request("POST", sent.path, "shadow", sent.headers, sent.places, sent.body, self._live)
        if handler.names is not None and handler.names_in_body:
            # It leaves what it has read to the handler.
            handler.names(request)
        found.requests = 1
        for answers, others, seconds, other_seconds in self._asked(cast("Conversation", handler.answer(request))):
            found.live_failed += isinstance(answers, Exception)
            found.failed += isinstance(others, Exception)
            if not isinstance(answers, Exception) and not isinstance(others, Exception):
                found.live_seconds, found.seconds = found.live_seconds + seconds, found.seconds + other_seconds
                differ(answers, others, found)
        self._live_first = not self._live_first
        return found

    def _asked(self, conversation: Conversation) -> Iterator[tuple[Any, Any, float, float]]:
        """What each says to all that a handler asks, and how long it took."""
        with contextlib.suppress(StopIteration), contextlib.closing(conversation):
            ask = next(conversation)
            while True:
                # In turns, so that neither always finds the caches warm.
                if self._live_first:
                    (answers, seconds), (others, more) = _timed(ask, self._live), _timed(ask, self._trial)
                else:
                    (others, more), (answers, seconds) = _timed(ask, self._trial), _timed(ask, self._live)
                yield answers, others, seconds, more
                if isinstance(answers, Exception):
                    return
                ask = conversation.send(answers)


def differ(answers: Answers, others: Answers, found: Mirrored) -> None:
    """Add how unlike two answers to the same rows are."""
    if answers.vectors is not None and others.vectors is not None:
        one, other = (
            np.asarray(each.values, np.float64) for each in (answers.vectors, others.vectors)
        )  # (rows, width)
        lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
        apart = 1 - (one * other).sum(axis=1) / np.maximum(lengths, 1e-12)
        alike = apart <= ALIKE
    elif answers.probabilities is not None and others.probabilities is not None:
        alike = np.array([a == b for a, b in zip(answers.predictions, others.predictions, strict=True)], bool)
        apart = np.abs(answers.probabilities - others.probabilities).max(axis=1, initial=0.0)
    else:
        one, other = (np.array(each.predictions, np.float64) for each in (answers, others))
        apart = np.abs(one - other)
        alike = apart <= np.maximum(ALIKE * np.maximum(np.abs(one), np.abs(other)), _NOTHING)
    apart = np.nan_to_num(apart, nan=0.0, posinf=0.0)
    found.rows += len(apart)
    found.alike += int(alike.sum())
    found.difference += float(apart.sum())
    found.difference_max = max(found.difference_max, float(apart.max(initial=0.0)))


def _timed(ask: Ask, model: Model) -> tuple[Answers | Exception, float]:
    started = time.perf_counter()
    try:
        answers: Answers | Exception = ask.answer(model.runtime)
    except Exception as fault:  # noqa: BLE001  it is counted
        answers = fault
    return answers, time.perf_counter() - started


def serve(orders: ShadowOrders) -> None:
    """Compare until the gateway is gone, or the trial has ended."""
    with Registry.open(Path(orders.home), make=False) as registry:
        try:
            comparer = Comparer(*(_loaded(registry, orders, ref) for ref in (orders.live, orders.version)))
        except AiasError as fault:
            registry.rollouts.withdraw(orders.trial, f"it could not be loaded: {fault.message}")
            return
        seen, report_at = Evidence(), time.monotonic() + REPORT_SECONDS
        for raw in _sent(socket.socket(fileno=orders.descriptor)):
            if raw:
                seen.mirrored.add(_compared(comparer, raw))
            if time.monotonic() >= report_at:
                report_at = time.monotonic() + REPORT_SECONDS
                if seen.mirrored.requests:
                    became = registry.rollouts.report(orders.trial, seen)
                    if became is None or became.ended_at is not None:
                        return
                    seen = Evidence()


def _sent(listener: socket.socket) -> Iterator[bytes]:
    """What every worker sends, one message after the other; nothing, when nothing came for a while."""
    with selectors.DefaultSelector() as waiting:
        waiting.register(listener, selectors.EVENT_READ)
        while True:
            ready = [cast("socket.socket", key.fileobj) for key, _ in waiting.select(REPORT_SECONDS)]
            if not ready:
                yield b""
            for each in ready:
                if each is listener:
                    waiting.register(listener.accept()[0], selectors.EVENT_READ)
                    continue
                raw = b""
                with contextlib.suppress(OSError):
                    raw = each.recv(MESSAGE_BYTES_MAX)
                if raw:
                    yield raw
                else:
                    waiting.unregister(each)
                    each.close()


def _compared(comparer: Comparer, raw: bytes) -> Mirrored:
    try:
        return comparer.compare(msgspec.msgpack.decode(raw, type=Sent))
    except Exception:  # noqa: BLE001  what was answered once and cannot be read again is only not compared
        return Mirrored(dropped=1)


def _loaded(registry: Registry, orders: ShadowOrders, text: str) -> Model:
    version = registry.version(Ref.parse(text))
    return warm(load(registry, version, Path(orders.home), nobody), version=text, number=version.number)


def _give_way() -> None:
    """Run only when nobody else wants the processor."""
    with contextlib.suppress(OSError):
        os.nice(19)
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def main(orders: ShadowOrders) -> None:
    _give_way()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=stop_with_parent, daemon=True).start()
    serve(orders)


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=ShadowOrders))
