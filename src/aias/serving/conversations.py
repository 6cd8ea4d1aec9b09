"""Handlers that ask: driven to their reply, with the answers of their model put in where they ask."""

import contextlib
from collections.abc import Callable
from typing import Final

from aias.core.errors import AiasError
from aias.encoders.rows import Encoded
from aias.runtimes.contract import Answers
from aias.serving.bodies import pack
from aias.serving.messages import Ask, Conversation, Reply, Request

_PACK_BYTES_MIN: Final = 16 << 10
"""Below it, packing costs more than it saves on the line."""


def reply_of(found: Reply | Conversation, request: Request) -> Reply:
    """The reply of a handler, answered here and now by the request's own model."""
    if isinstance(found, Reply):
        return found
    try:
        ask = next(found)
        while True:
            try:
                answers = ask.answer(request.asked.runtime)
            except Exception as fault:  # noqa: BLE001  the handler says what it means for its callers
                ask = found.throw(fault)
            else:
                ask = found.send(answers)
    except StopIteration as end:
        reply: Reply = end.value
        return reply


class Talk:
    """A conversation in steps: each gives encoded rows that want an answer, or else the reply."""

    def __init__(self, conversation: Conversation, request: Request) -> None:
        joins = request.asked.joins
        assert joins is not None
        self._conversation, self._joins = conversation, joins

    def begin(self) -> Encoded | Reply:
        return self._go_on(lambda: next(self._conversation))

    def tell(self, answers: Answers | Exception) -> Encoded | Reply:
        """Give it its answers, or what went wrong."""
        if isinstance(answers, Exception):
            return self._go_on(lambda: self._conversation.throw(answers))
        return self._go_on(lambda: self._conversation.send(answers))

    def close(self) -> None:
        # A server that ends may ask for this while a thread is in the midst of it.
        with contextlib.suppress(ValueError):
            self._conversation.close()

    def _go_on(self, step: Callable[[], Ask]) -> Encoded | Reply:
        try:
            ask = step()
            try:
                return ask.encode(self._joins)
            except AiasError as fault:
                found = fault
            return self._encoded_again(found)
        except StopIteration as end:
            reply: Reply = end.value
            return reply

    def _encoded_again(self, fault: AiasError) -> Encoded:
        """The handler may turn a fault of its rows into one of its own, or ask for something else."""
        return self._conversation.throw(fault).encode(self._joins)


def packed_for(reply: Reply, request: Request) -> Reply:
    """The same reply, as small as its caller takes it."""
    if len(reply.body) >= _PACK_BYTES_MIN and _accepts_gzip(request.headers):
        reply.body = pack(reply.body)
        reply.headers += ((b"content-encoding", b"gzip"), (b"vary", b"accept-encoding"))
    return reply


def _accepts_gzip(headers: dict[bytes, bytes]) -> bool:
    return any(part.strip().lower() == b"gzip" for part in headers.get(b"accept-encoding", b"").split(b","))
