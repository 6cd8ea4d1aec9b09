"""What a worker is told, as JSON on its command line."""

from dataclasses import dataclass, field

from aias.serving.bounds import SecondPort


@dataclass(frozen=True, slots=True)
class Orders:
    """`places`: runs at a time; `folder`: where counts are kept, and by which name its own; `descriptors`: the sockets
    that it listens on; `suspects`: versions in whose runs a process has ended, for which nothing else must wait."""

    home: str
    hosts: list[str]
    access_log: float
    bounds: dict[str, float]
    places: int
    index: int = 0
    folder: str = ""
    descriptors: tuple[int, ...] = ()
    second: SecondPort | None = None
    unnamed: str | None = None
    slots: int = 0
    journal: int = -1
    channel: int = -1
    counts: str = ""
    isolated: tuple[list[str], list[str]] = ([], [])
    suspects: list[str] = field(default_factory=list)
    pinned: list[str] = field(default_factory=list)
