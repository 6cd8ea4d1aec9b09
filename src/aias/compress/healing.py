"""Networks that lost a part are trained on from what they were, so that the rest takes over."""

from typing import Any, Final

from aias.training.selection.members import Member

HEALING: Final = 0.5
"""Of the epochs that the network took, and of its learning rate."""


def healed(member: Member) -> dict[str, Any]:
    """The settings by which it goes on."""
    asked, refit = member.configuration.settings, member.refit.configuration.settings
    return {
        **asked, "epochs": max(2, round(HEALING * refit["epochs"])), "learning_rate": HEALING * refit["learning_rate"],
        "schedule": "cosine", "start": {"asked": dict(asked), "refit": dict(refit)},
    }  # fmt: skip
