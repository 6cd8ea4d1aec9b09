"""Puts a server through the suite; ends with 0 when it does all that it must, 1 when not, 2 when it cannot be asked, 3
when it needs another request as its example."""

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TextIO

from aias.testing.inference_v2 import answers, calls, descriptions, extensions, malformed
from aias.testing.inference_v2.checks import Check, Failed, Outcome, Unanswered, run
from aias.testing.inference_v2.probe import Probe, check_admitted
from aias.testing.inference_v2.remote import Remote
from aias.testing.inference_v2.wire import Wire

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
"""As RFC 9110 has them, §5."""

SECTIONS = (
    descriptions.health,
    descriptions.metadata,
    answers.inference,
    answers.binary,
    answers.packing,
    extensions.statistics,
    extensions.configuration,
    extensions.repository,
    extensions.classification,
    malformed.wrong,
    malformed.framing,
    malformed.transport,
    calls.calls,
)


DESCRIBING: Final = (descriptions.health, descriptions.metadata, extensions.configuration, extensions.repository)
"""What is asked there needs no request that the model answers."""


def checks(only: str = "", *, grpc: bool = True) -> list[Check]:
    """All checks in their order, or those whose section or sentence has the words; over HTTP alone, or both."""
    found = [check for section in SECTIONS for check in section.checks if grpc or section is not calls.calls]
    return [check for check in found if only in check.section or only in check.sentence]


def _chosen(only: str, *, grpc: bool) -> list[Check]:
    found = checks(only, grpc=grpc)
    if not found:
        raise ValueError(f"no check has the words {only!r}; without --only all are listed")
    return found


def main(arguments: Sequence[str] | None = None, *, out: TextIO | None = None) -> int:
    """What the command line says, done."""
    out = out or sys.stdout
    options = _parser().parse_args(arguments)
    try:
        wire = Wire(options.url, options.header, timeout_seconds=options.timeout)
        remote = Remote(options.grpc, options.header, timeout_seconds=options.timeout) if options.grpc else None
        example = _example(Path(options.request)) if options.request else None
        probe = Probe(wire, options.model or _first_model(wire), example=example, also=options.also, remote=remote)
        probe.check_admission()
        chosen = _chosen(options.only, grpc=remote is not None)
        if not {*chosen} <= {check for section in DESCRIBING for check in section.checks}:
            probe.check_answered()
    except Unanswered as fault:
        print(f"no check was made: {fault}", file=sys.stderr)
        return 3
    except (Failed, OSError, ValueError, ImportError) as fault:
        print(f"the server cannot be asked: {fault}", file=sys.stderr)
        return 2
    outcomes: list[Outcome] = []
    try:
        for outcome in run(chosen, probe):
            outcomes.append(outcome)
            if not options.json:
                print(_line(outcome), file=out)
    except (Failed, OSError) as fault:
        print(f"the server cannot be asked: {fault}", file=sys.stderr)
        return 2
    if remote is not None:
        remote.close()
    print(json.dumps(_report(probe, outcomes), indent=2) if options.json else _summary(outcomes), file=out)
    return 1 if any(each.mark == "fail" for each in outcomes) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m aias.testing.inference_v2",
        description="Asks a server of the Open Inference Protocol, version 2, whether it does what the protocol says.",
    )
    parser.add_argument("url", help="http://host:port, with a path where the protocol's /v2 lies below one")
    parser.add_argument("--model", help="which model to ask; the first of the index unless said")
    parser.add_argument("--request", metavar="FILE", help="a request in JSON that the model answers, as its example")
    parser.add_argument("--grpc", metavar="HOST:PORT", help="ask over gRPC too; needs grpcio")
    parser.add_argument(
        "--header", type=_header, action="append", default=[], metavar="'Name: value'", help="for every request"
    )
    parser.add_argument("--also", action="append", default=[], metavar="EXTENSION", help="though it is not claimed")
    parser.add_argument("--only", default="", metavar="WORDS", help="the checks whose section or sentence has them")
    parser.add_argument("--timeout", type=_seconds, default=30.0, metavar="SECONDS", help="for each request")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    return parser


def _seconds(text: str) -> float:
    with suppress(ValueError):
        if 0 < (found := float(text)) <= 86_400:
            return found
    raise argparse.ArgumentTypeError(f"{text[:40]!r} is no time in seconds, such as 30")


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not _NAME.fullmatch(name.strip()):
        raise argparse.ArgumentTypeError(
            f"{text[:40]!r} is no header; write 'Name: value', such as 'Authorization: Bearer KEY'"
        )
    if not _VALUE.fullmatch(value.strip()):
        raise argparse.ArgumentTypeError(f"the value of {name.strip()} holds what no header may")
    return name.strip(), value.strip()


def _first_model(wire: Wire) -> str:
    answer = wire.ask("POST", "/v2/repository/index", b"{}")
    check_admitted(answer, "the index")
    found = answer.json if answer.status == 200 else []
    names = [each.get("name") for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    if not names or not isinstance(names[0], str):
        raise Failed(f"the index names no model ({answer}); name one with --model")
    return names[0]


def _example(path: Path) -> dict[str, Any]:
    """The request in a file. Raises `Unanswered`."""
    try:
        found: Any = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as fault:
        raise Unanswered(f"{path} cannot be read as JSON: {fault}") from None
    inputs = found.get("inputs") if isinstance(found, dict) else None
    wanted = {"name", "datatype", "shape", "data"}
    if not isinstance(inputs, list) or not all(isinstance(each, dict) and wanted <= each.keys() for each in inputs):
        raise Unanswered(f'{path} is no request: it must be {{"inputs": [...]}}, each with {", ".join(sorted(wanted))}')
    example: dict[str, Any] = found
    return example


def _line(outcome: Outcome) -> str:
    why = f"\n      {outcome.why}" if outcome.why else ""
    return f"{outcome.mark:<5} {outcome.check.section}: {outcome.check.sentence}{why}"


def _summary(outcomes: Iterable[Outcome]) -> str:
    counts = Counter(each.mark for each in outcomes)
    words = {"ok": "ok", "fail": "failed", "note": "open in the specification and done otherwise", "skip": "skipped"}
    return "\n" + ", ".join(f"{counts[mark]} {word}" for mark, word in words.items() if counts[mark])


def _report(probe: Probe, outcomes: Iterable[Outcome]) -> dict[str, object]:
    return {
        "model": probe.model,
        "outcomes": [
            {
                "section": each.check.section,
                "check": each.check.sentence,
                "level": each.check.level,
                "result": each.mark,
                "why": each.why,
            }
            for each in outcomes
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
