"""The journal: what another process sees of slots and runs."""

import os
import time
from collections.abc import Iterator

import pytest

from aias.serving.survival.journal import CHUNK_BYTES, TEXT_BYTES, Journal, Layout, Pages
from aias.serving.survival.keeper import can_keep
from aias.serving.survival.verdicts import SlotRecord

pytestmark = pytest.mark.skipif(not can_keep(), reason="this machine cannot keep connections")


@pytest.fixture
def pages() -> Iterator[Pages]:
    yield Pages.make(Layout(threads=2, slots=4))


@pytest.fixture
def seen(pages: Pages) -> Iterator[Pages]:
    """The same, as another process has them."""
    yield Pages(os.dup(pages.descriptor), pages.layout)


def test_slots_in_use_are_seen_with_their_descriptors(pages: Pages, seen: Pages) -> None:
    journal = Journal(pages)
    first, second = journal.take(), journal.take()
    first.open(0, start=0, written=0)
    second.open(41, start=0, written=0)
    assert sorted(seen.descriptors()) == sorted([(first.index, 0), (second.index, 41)])

    journal.give_back(first)
    assert seen.descriptors() == [(second.index, 41)]
    assert journal.take() is first


def test_no_slot_is_given_to_two_and_none_when_all_are_taken(pages: Pages) -> None:
    journal = Journal(pages)
    taken = [journal.take() for _ in range(4)]

    assert len({slot.index for slot in taken}) == 4
    assert journal.take() is None


def test_runs_are_seen_with_their_versions_and_those_who_wait_for_them(pages: Pages, seen: Pages) -> None:
    journal, before = Journal(pages), time.monotonic_ns()
    slot, other = journal.take(), journal.take()
    journal.runs.begin_on_loop("churn@7", slot)
    place = journal.runs.begin("reviews@12", [other, None])

    found = seen.running()
    assert {name for name, _ in found.values()} == {"churn@7", "reviews@12"}
    assert all(before <= since <= time.monotonic_ns() for _, since in found.values())
    assert (SlotRecord.of(seen, slot.index).place, SlotRecord.of(seen, other.index).place) == (0, place)

    journal.runs.end_on_loop(slot)
    journal.runs.end(place)
    assert seen.running() == {}
    assert (SlotRecord.of(seen, slot.index).place, SlotRecord.of(seen, other.index).place) == (None, None)


def test_who_was_answered_before_the_run_had_ended_waits_for_it_no_more(pages: Pages, seen: Pages) -> None:
    journal = Journal(pages)
    slot = journal.take()
    place = journal.runs.begin("slow@1", [slot])
    slot.answered()
    assert SlotRecord.of(seen, slot.index).place is None
    journal.runs.begin_on_loop("fast@1", slot)
    journal.runs.end(place)

    assert SlotRecord.of(seen, slot.index).place == 0


def test_a_large_text_gives_its_memory_back(pages: Pages) -> None:
    journal = Journal(pages)
    slot = journal.take()
    slot.text[:] = b"x" * TEXT_BYTES
    before = os.fstat(pages.descriptor).st_blocks
    journal.shrink(slot)

    assert os.fstat(pages.descriptor).st_blocks <= before - (TEXT_BYTES - 2 * CHUNK_BYTES) // 512
    assert bytes(slot.text[:2]) == b"xx"
