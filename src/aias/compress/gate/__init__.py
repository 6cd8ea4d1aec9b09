"""Whether one model is worse than another on the same rows, and by how much; NumPy and SciPy only.

losses of rows ─▶ evidence ─▶ loss_of: its limits
                      ├─────▶ Power: what so many rows can tell
                      └─────▶ Claim ─▶ judge ─▶ verdicts, by rows that were Sealed
"""

from aias.compress.gate.changes import calibration_gap, flips
from aias.compress.gate.evidence import Evidence, Loss, loss_of
from aias.compress.gate.medians import median_loss
from aias.compress.gate.power import Power
from aias.compress.gate.proportions import Proportions
from aias.compress.gate.resampled import resampled_loss
from aias.compress.gate.studentised import auc_loss, explained_loss, mean_loss, root_loss
from aias.compress.gate.verdict import Claim, Sealed, Verdict, judge

__all__ = [
    "Claim", "Evidence", "Loss", "Power", "Proportions", "Sealed", "Verdict", "auc_loss", "calibration_gap",
    "explained_loss", "flips", "judge", "loss_of", "mean_loss", "median_loss", "resampled_loss", "root_loss",
]  # fmt: skip
