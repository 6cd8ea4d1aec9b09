"""Networks that lost a part are trained on from what they were, so that the rest takes over."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final

from aias.compress.techniques.contract import Ladder
from aias.training.selection.configuration import Configuration
from aias.training.selection.members import Member

HEALING: Final = 0.5
"""Of the epochs that the network took, and of its learning rate."""

SHARES: Final = (0.5, 0.25)
"""Of the width, that are kept."""

MILDER: Final = (0.375, 0.75)
"""Tried where fewer are fast and lose too much."""


def ladders(network: Member, setting: str, width: int, *, least: int, called: str) -> Iterator[Ladder]:
    """The network with shares of its width, none below the `least`, as its `setting`; `called` names one by how many
    of how many are kept."""
    more = [round(share * width) for share in MILDER]
    for share in SHARES:
        if (count := round(share * width)) >= least:
            milder = partial(_several, network, setting, width, [each for each in more if each > count], called)
            yield Ladder(_healed(network, setting, width, count, called), milder)


def _several(network: Member, setting: str, width: int, counts: list[int], called: str) -> list[Configuration]:
    return [_healed(network, setting, width, count, called) for count in counts]


def _healed(network: Member, setting: str, width: int, count: int, called: str) -> Configuration:
    name = f"{network.name}, {called.format(count, width)}"
    return replace(network.configuration, name=name, settings={**healed(network), setting: count})


def healed(member: Member) -> dict[str, Any]:
    """The settings by which it goes on."""
    asked, refit = member.configuration.settings, member.refit.configuration.settings
    return {
        **asked, "epochs": max(2, round(HEALING * refit["epochs"])), "learning_rate": HEALING * refit["learning_rate"],
        "schedule": "cosine", "start": {"asked": dict(asked), "refit": dict(refit)},
    }  # fmt: skip
