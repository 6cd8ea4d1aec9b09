"""What becomes of a connection: the kernel's counts over loopback, and every state that a death can leave a slot in."""

import socket
from collections.abc import Iterator

import pytest

from aias.serving.survival.journal import TEXT_BYTES, Layout, Pages, Slot
from aias.serving.survival.keeper import can_keep
from aias.serving.survival.kernel import Counts, counts
from aias.serving.survival.verdicts import CONTINUE_BYTES, SlotRecord, Verdict, verdict_on
from live_server import eventually

pytestmark = pytest.mark.skipif(not can_keep(), reason="this machine cannot keep connections")

LOST = Verdict("lost")


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        served, _ = listener.accept()
        with served:
            yield client, served


@pytest.fixture
def pages() -> Iterator[Pages]:
    made = Pages.make(Layout(threads=1, slots=3))
    yield made


def test_the_kernel_counts_what_was_read_and_written_and_not_what_still_waits(pair) -> None:
    client, served = pair
    assert counts(served) == Counts(0, 0, True)
    client.sendall(b"0123456789")
    assert served.recv(4) == b"0123"
    served.sendall(b"x" * 1_000)

    assert counts(served) == Counts(4, 1_000, True)
    client.recv(1_000)
    eventually(lambda: counts(served) == Counts(4, 1_000, True))


def test_what_a_client_does_not_read_is_written_all_the_same(pair) -> None:
    _, served = pair
    served.setblocking(False)
    written = 0
    with pytest.raises(BlockingIOError):
        while True:
            written += served.send(b"x" * 100_000)

    assert counts(served).written == written


def test_the_end_of_what_a_client_says_is_no_byte(pair) -> None:
    client, served = pair
    client.sendall(b"last")
    client.shutdown(socket.SHUT_WR)
    assert served.recv(2) == b"la"
    eventually(lambda: counts(served) == Counts(2, 0, True))
    assert served.recv(2) == b"st"
    assert served.recv(1) == b""
    assert counts(served) == Counts(4, 0, True)


def test_a_connection_that_its_client_has_cut_is_not_open(pair) -> None:
    client, served = pair
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()

    eventually(lambda: not counts(served).is_open)


def opened(pages: Pages, *, read: int = 0, written: int = 0) -> Slot:
    slot = Slot(pages, 1)
    slot.open(7, start=read, written=written)
    return slot


def after(pages: Pages, consumed: int, written: int) -> Verdict:
    return verdict_on(SlotRecord.of(pages, 1), Counts(consumed, written, True))


def test_before_an_answer_goes_out_its_request_is_repeated(pages: Pages) -> None:
    opened(pages, read=100, written=50)

    assert after(pages, 100, 50) == Verdict("kept")
    assert after(pages, 130, 50) == Verdict("kept", 30)


def test_an_answer_that_never_left_the_process_is_made_again(pages: Pages) -> None:
    slot = opened(pages)
    slot.write(200)
    assert after(pages, 30, 0) == Verdict("kept", 30)
    slot.answered()
    assert after(pages, 30, 0) == Verdict("kept", 30)


def test_an_answer_that_is_out_is_not_made_again(pages: Pages) -> None:
    slot = opened(pages)
    slot.write(200)
    slot.answered()

    assert after(pages, 30, 200) == Verdict("kept", 30, skip=1)
    slot.rest(30)
    assert after(pages, 30, 200) == Verdict("kept")
    assert after(pages, 45, 200) == Verdict("kept", 15)


def test_an_answer_that_is_out_and_not_noted_is_not_made_again(pages: Pages) -> None:
    slot = opened(pages)
    slot.write(200)

    assert after(pages, 30, 200) == Verdict("kept", 30, skip=1)


def test_a_part_of_an_answer_is_cut(pages: Pages) -> None:
    opened(pages).write(200)

    assert after(pages, 30, 120) == LOST


def test_a_stream_that_goes_on_is_cut(pages: Pages) -> None:
    slot = opened(pages)
    slot.streams()
    assert after(pages, 30, 0) == Verdict("kept", 30)
    slot.write(200)
    # All of it is out, and nobody has said that it is all.
    assert after(pages, 30, 200) == LOST
    slot.write(10)
    slot.answered()
    assert after(pages, 30, 209) == LOST
    assert after(pages, 30, 210) == Verdict("kept", 30, skip=1)


def test_of_several_in_a_row_those_that_are_answered_are_passed_over(pages: Pages) -> None:
    slot = opened(pages)
    slot.write(200)
    slot.answered()
    slot.write(100)
    assert after(pages, 60, 200) == Verdict("kept", 60, skip=1)
    slot.answered()
    assert after(pages, 60, 300) == Verdict("kept", 60, skip=2)
    # The first did not get out, though the second was begun.
    assert after(pages, 60, 100) == LOST


def test_being_told_to_go_on_is_no_answer(pages: Pages) -> None:
    slot = opened(pages)
    slot.write(CONTINUE_BYTES)

    assert after(pages, 30, CONTINUE_BYTES) == Verdict("kept", 30)


def test_what_is_longer_than_a_text_or_closed_is_lost(pages: Pages) -> None:
    opened(pages)

    assert after(pages, TEXT_BYTES, 0) == Verdict("kept", TEXT_BYTES)
    assert after(pages, TEXT_BYTES + 1, 0) == LOST
    assert verdict_on(SlotRecord.of(pages, 1), Counts(10, 0, False)) == LOST


def test_an_inherited_connection_can_be_left_again(pages: Pages) -> None:
    slot = Slot(pages, 1)
    slot.open(7, start=100, written=500, answered=1, tries=1)

    assert after(pages, 160, 500) == Verdict("kept", 60, skip=1)
    assert SlotRecord.of(pages, 1).tries == 1
    slot.write(80)
    slot.answered()
    assert after(pages, 160, 580) == Verdict("kept", 60, skip=2)
    slot.rest(160)
    assert SlotRecord.of(pages, 1).tries == 0


def test_what_a_request_has_paid_is_left_to_it_and_to_no_other(pages: Pages) -> None:
    slot = opened(pages)
    slot.pays(5, ahead=0)
    assert SlotRecord.of(pages, 1).paid_by(0) == 5
    slot.write(80)
    assert SlotRecord.of(pages, 1).paid_by(after(pages, 30, 80).skip) == 0
    slot.answered()
    assert SlotRecord.of(pages, 1).paid_by(after(pages, 30, 80).skip) == 0
    slot.pays(7, ahead=0)
    assert SlotRecord.of(pages, 1).paid_by(after(pages, 60, 80).skip) == 7

    slot.open(7, start=0, written=80, paid=7)
    assert (slot.prepaid, SlotRecord.of(pages, 1).paid) == (7, 7)
    slot.answered()
    assert (slot.prepaid, SlotRecord.of(pages, 1).paid) == (0, 0)
