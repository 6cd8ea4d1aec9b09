"""Handlers that ask: driven to their reply, with the answers of their model put in where they ask."""

import contextlib
from collections.abc import Callable
from typing import Final, cast

from aias.core.errors import AiasError
from aias.encoders.rows import Encoded
from aias.runtimes.contract import Answers
from aias.serving.http.messages import Ask, Conversation, Reply, Request


def begun(found: Reply | Conversation) -> Ask | Reply:
    """What a handler asks first; its reply, where it asks nothing."""
    if isinstance(found, Reply):
        return found
    try:
        return next(found)
    except StopIteration as end:
        reply: Reply = end.value
        return reply


def reply_of(found: Reply | Conversation, request: Request) -> Reply:
    """The reply of a handler, answered here and now by the request's own model."""
    ask = begun(found)
    return ask if isinstance(ask, Reply) else answered(cast("Conversation", found), ask, request)


def answered(conversation: Conversation, ask: Ask, request: Request) -> Reply:
    """The reply of one that has come to ask, likewise."""
    try:
        while True:
            if request.charge is not None:
                request.charge.rows(ask.count)
            try:
                answers = ask.answer(request.asked.runtime)
            except Exception as fault:  # noqa: BLE001  the handler says what it means for its callers
                ask = conversation.throw(fault)
            else:
                ask = conversation.send(answers)
    except StopIteration as end:
        reply: Reply = end.value
        return reply


def told(conversation: Conversation, answers: Answers | Exception, request: Request) -> Reply:
    """The reply of one that has asked, given its answers or what went wrong."""
    try:
        ask = conversation.throw(answers) if isinstance(answers, Exception) else conversation.send(answers)
    except StopIteration as end:
        reply: Reply = end.value
        return reply
    return answered(conversation, ask, request)


GONE_AT_ONCE: Final = 64
"""Rows that are let go of in one go: with 30 fields each they take 60 us."""


def _let_go(ask: Ask) -> None:
    """Of rows that are encoded, a few at a time, and of columns one by one: thousands at once keep other threads out
    for milliseconds. They would be held until all is answered."""
    rows, columns = ask.rows, ask.columns
    if isinstance(rows, list):
        while len(rows) > GONE_AT_ONCE:
            del rows[-GONE_AT_ONCE:]
    if isinstance(columns, dict):
        while columns:
            columns.popitem()


class ConversationDriver:
    """A conversation in steps: each gives encoded rows that want an answer, or else the reply."""

    def __init__(self, conversation: Conversation, request: Request) -> None:
        joins = request.asked.joins
        assert joins is not None
        self._conversation, self._joins, self._charge = conversation, joins, request.charge

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
            if self._charge is not None:
                self._charge.rows(ask.count)
            try:
                encoded = ask.encode(self._joins)
            except AiasError as fault:
                found = fault
            else:
                _let_go(ask)
                return encoded
            _let_go(ask)
            return self._encoded_again(found)
        except StopIteration as end:
            reply: Reply = end.value
            return reply

    def _encoded_again(self, fault: AiasError) -> Encoded:
        """The handler may turn a fault of its rows, which are gone, into one of its own, or ask for something else."""
        return self._conversation.throw(fault).encode(self._joins)
