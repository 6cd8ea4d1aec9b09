"""The reply to a request whose model runs in threads: decoded, run when it is its turn, encoded."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, cast

from aias.core.errors import AiasError
from aias.encoders.rows import Encoded
from aias.runtimes.contract import Answers
from aias.serving.batching.executor import Executor
from aias.serving.batching.slices import Slices
from aias.serving.bounds import Bounds
from aias.serving.http.bodies import Bodies, unpack
from aias.serving.http.conversations import ConversationDriver, reply_of
from aias.serving.http.lengths import rows_in
from aias.serving.http.messages import Conversation, Reply, Request, is_by_lines, is_table
from aias.serving.http.responses import packed_reply
from aias.serving.http.routes import Route
from aias.serving.http.streams import Stream
from aias.serving.versions.model import Model

READ_SECONDS: Final = 0.0005
"""Of reading in one turn of the loop: mostly one body. Who is new is refused after four turns."""

Gone = Callable[[], Awaitable[None]]
"""Ends when the caller has hung up."""


PACKED: Final = 16
"""Times its bytes a packed body may well have; what it really has shows once it is read."""


LIGHT_VALUES: Final = 8_192
"""Of an answer that is written on the event loop: a millisecond of them."""


LIGHT_ROWS: Final = 64
"""Of a small body that is read there: of `{},` it could have a thousand, which take longer than their bytes tell."""


def size_of(request: Request, *, packed: bool) -> int:
    """Bytes of a body, more or less."""
    return len(request.body) * (PACKED if packed else 1)


class Threads:
    def __init__(self, executor: Executor, bounds: Bounds, bodies: Bodies) -> None:
        self._executor, self._bounds, self._bodies = executor, bounds, bodies
        self._reading = Slices(seconds=READ_SECONDS, share=0.0)

    async def reply(self, route: Route, request: Request, gone: Gone, *, packed: bool) -> Reply:
        """Of a request whose body is there, `packed` or not."""

        def answer() -> Reply:
            self.unpack(request, packed=packed)
            return packed_reply(reply_of(route.answer(request), request), request)

        model, executor = request.model, self._executor
        if model is None:
            size, changes = size_of(request, packed=packed), route.scope == "admin"
            return await executor.step(answer, body_bytes=size, payer=request.payer, changes=changes)
        if request.coming is None or request.coming.flow is not model.flow:
            # Refused before it is understood, where so much is waiting that its answer would come too late.
            executor.announce(request, model.units_of(len(request.body)))
        if not route.asks or model.joins is None:
            return await self._whole(request, answer, gone)
        light = not packed and not is_table(request.headers, request.body) and self._is_light(request, model)
        return await self._converse(route, request, gone, light=light, packed=packed)

    def _is_light(self, request: Request, model: Model) -> bool:
        """Whether the loop reads it. What is large is not even looked through there."""
        body, bounds = request.body, self._bounds
        if len(body) <= bounds.light_body_bytes and rows_in(body, by_lines=is_by_lines(request.headers)) <= LIGHT_ROWS:
            return True
        if model.seconds_to_read_bytes(len(body)) > bounds.light_seconds:
            return False
        return model.seconds_to_read(body) <= bounds.light_seconds

    async def _whole(self, request: Request, answer: Callable[[], Reply], gone: Gone) -> Reply:
        """The reply of a handler that runs as a whole; one in pieces comes as soon as its first can be sent."""
        stream = Stream()
        running = asyncio.ensure_future(self._executor.whole(request, partial(stream.work, answer), gone))
        try:
            either: list[asyncio.Future[Any]] = [running, stream.head]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            running.cancel()
            stream.leave()
            raise
        if not stream.head.done():
            reply, queue = await running
            reply.queue = queue
            return reply
        reply = stream.head.result()
        reply.stream = stream
        # It ends with the last piece, too late, or with its caller: in each case nothing more is to be made.
        running.add_done_callback(stream.end)
        return reply

    async def _converse(self, route: Route, request: Request, gone: Gone, *, light: bool, packed: bool) -> Reply:
        """Decode, ask the model, encode; what is light of it here, the rest in threads."""

        size, of_read = size_of(request, packed=packed), "" if light else request.form
        step = partial(
            self._executor.step, body_bytes=size, payer=request.payer, first=True, of_read=of_read,
            arrow=not light and request.asks_arrow,
        )  # fmt: skip

        def begin() -> Encoded | Reply:
            self.unpack(request, packed=packed)
            return driver.begin()

        driver = ConversationDriver(cast("Conversation", route.answer(request)), request)
        queue, width = 0.0, max(1, request.asked.manifest.task.width, len(request.asked.manifest.task.classes))
        try:
            # Of a crowd that came in one turn only the first are read in it: others want to be heard, and refused.
            if not light:
                found = await self._executor.read(request, begin, gone, body_bytes=size)
            else:
                found = begin() if self._reading.begins() else await self._read_in_turn(request, begin)
            self._bodies.unpacked(request)
            while not isinstance(found, Reply):
                answers: Answers | Exception
                try:
                    answers, waited = await self._executor.answer(request, found, gone)
                    queue += waited
                except AiasError as fault:
                    answers = fault
                light = light and found.rows * width <= LIGHT_VALUES
                found = driver.tell(answers) if light else await step(partial(driver.tell, answers))
        finally:
            driver.close()
        found.queue = queue
        return packed_reply(found, request) if light else await step(partial(packed_reply, found, request))

    async def _read_in_turn(self, request: Request, begin: Callable[[], Encoded | Reply]) -> Encoded | Reply:
        found: asyncio.Future[Encoded | Reply] = asyncio.get_running_loop().create_future()

        def work() -> None:
            if found.done():
                return
            try:
                found.set_result(begin())
            except Exception as fault:  # noqa: BLE001  it goes to the caller whose request it was
                found.set_exception(fault)

        seconds = request.asked.seconds_to_read(request.body)
        self._reading.add(seconds, work, payer=request.payer, priority=request.priority)
        return await found

    def unpack(self, request: Request, *, packed: bool) -> None:
        if packed:
            request.body = unpack(request.body, bytes_max=self._bounds.body_bytes)
