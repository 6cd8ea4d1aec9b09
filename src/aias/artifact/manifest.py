"""The manifest: all of an artifact that is not a tensor, as frozen values; its digest is the artifact's name."""

from dataclasses import dataclass, field
from typing import Final

import msgspec

from aias.core.errors import Damaged
from aias.core.names import digest_of
from aias.core.schema import Field, Schema
from aias.core.task import Measurement, Task

FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of the artifact; `path` is relative, with `/` between its parts."""

    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class EncoderEntry:
    """Which encoder turns which field into tensors, and where its table lies (`encoders/<n>.json`)."""

    field: str
    kind: str
    version: int
    path: str


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where the artifact came from. With the same inputs the verb can be run again."""

    verb: str
    dataset: str
    settings: dict[str, object]
    seed: int
    parents: tuple[str, ...] = ()
    libraries: dict[str, str] = field(default_factory=dict)
    started_at: str = ""
    sentence_encoder: str = ""
    """The SHA-256 of the weights of the sentence encoder in the graph."""


@dataclass(frozen=True, slots=True)
class Parity:
    """The proof that the graph answers as the pipeline did: over `rows` held-out and difficult rows."""

    rows: int
    label_differences: int
    score_difference_max: float
    batch_difference_max: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """One line of the leaderboard. `weight`: its share in the model; `row_us` and `size_bytes`: of itself, served.

    `settings`: what it came to; `asked`: those that it was begun with, `derived`: the columns made for it, and
    `features`: what it reads, where that is told.
    """

    learner: str
    settings: dict[str, object]
    validation: Measurement
    fit_seconds: float
    chosen: bool = False
    name: str = ""
    weight: float = 0.0
    row_us: float = 0.0
    size_bytes: int = 0
    asked: dict[str, object] = field(default_factory=dict)
    derived: tuple[str, ...] = ()
    features: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """`files` lists everything in the folder but `manifest.json` itself; `target` says how answers were written."""

    format: int
    name: str
    task: Task
    inputs: tuple[Field, ...]
    ignored: tuple[Field, ...]
    encoders: tuple[EncoderEntry, ...]
    lineage: Lineage
    measurements: tuple[Measurement, ...]
    parity: Parity
    leaderboard: tuple[Candidate, ...]
    rows: dict[str, int]
    files: tuple[FileEntry, ...] = ()
    target: Field | None = None
    form: str = ""
    """`quality`: all that was found; `serving`: fitted again on all rows and kept within the latency budget; `first`:
    one model, published early; `compressed`; `imported`: trained elsewhere; empty for a sentence encoder by itself."""
    not_refitted: tuple[str, ...] = ()
    """In the serving form, the models that there was no time to fit again: they answer as one fold left them."""
    judged: str = "test"
    """Where the measurements come from: rows set aside as a `test`, rows `out of fold`, or rows `given` beside it; or
    they are of its `agreement` with the version that it was made from, on rows without labels."""
    calibration: dict[str, object] | None = None
    """What was done to the probabilities, in the graph, so that they come true as often as they say."""
    label_weights: tuple[float, ...] = ()
    """The label is the class of the largest probability times weight; empty weighs all classes alike."""
    intervals: dict[str, object] | None = None
    """For a regression, how far the truth lies from the prediction, by bins of the prediction."""
    row_us: float = 0.0
    """Microseconds from a row as a dict to its answer, on the machine it was trained on."""
    notes: tuple[str, ...] = ()
    """What was noticed in the data and while training: warnings, copies, whether test rows look like the others."""

    def rows_with(self, *more: Field) -> Schema:
        """What other rows are read by: the inputs and `more`; what training left out is left out here too."""
        known = (*self.inputs, *more)
        names = {each.name for each in known}
        aside = (Field(each.name, "text", "ignored") for each in self.ignored if each.name not in names)
        return Schema((*known, *aside))

    def as_bytes(self) -> bytes:
        """Canonical JSON: sorted keys, no spaces; equal manifests are equal bytes."""
        return msgspec.json.encode(msgspec.to_builtins(self), order="sorted")

    @property
    def digest(self) -> str:
        return digest_of([self.as_bytes()])

    @property
    def size_bytes(self) -> int:
        return sum(entry.size_bytes for entry in self.files)

    @property
    def served_bytes(self) -> int:
        """Of what is loaded to answer; the card with its plots is not."""
        return sum(entry.size_bytes for entry in self.files if is_served(entry.path))

    @property
    def answers_digest(self) -> str:
        """Of what answers alone: the graph, the tables of the encoders, and how labels are weighed. Two versions of
        which it is equal answer the same, whenever they were trained; `digest` has times and measurements in it.
        """
        served = sorted(f"{entry.path} {entry.sha256}\n" for entry in self.files if is_served(entry.path))
        return digest_of([*(each.encode() for each in served), msgspec.json.encode(self.label_weights)])


def is_served(path: str) -> bool:
    """Whether a file is the graph or a table of an encoder."""
    return path == "model.onnx" or path.startswith("encoders/")


def read_manifest(raw: bytes) -> Manifest:
    """Parse and check `manifest.json`. Raises `Damaged`."""
    try:
        manifest = msgspec.json.decode(raw, type=Manifest, strict=True)
    except (msgspec.MsgspecError, ValueError, RecursionError) as fault:
        raise Damaged(f"manifest.json is not a manifest: {fault}") from None
    if manifest.format != FORMAT:
        raise Damaged(f"the artifact has format {manifest.format}; this Aias reads {FORMAT}", hint="update aias")
    return manifest
