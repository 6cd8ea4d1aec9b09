"""The sentence encoder computed in bfloat16 by an engine that can, where the processor has it.

The graph stays what it is, and where no such engine is installed ONNX Runtime answers in float32: exacter, and slower.
What the version is certified with are the answers of that engine to the rows of the test.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from aias.compress.context import Context
from aias.compress.sentences import reader
from aias.compress.techniques.contract import Candidate, NotApplicable
from aias.core.catalog import member, members

__all__ = ["bfloat16"]

PRECISION: Final = "bfloat16"
SHARES: Final = (1.0, 2 / 3)
"""Of the layers, the lower ones."""


def bfloat16(context: Context) -> Iterator[Candidate]:
    found = reader(context)
    if not any(_computes(name) for name in members("runtimes")):
        raise NotApplicable("no engine that is installed here computes in bfloat16 (`pip install 'aias[openvino]'`)")
    if not context.prepared.test.rows:
        raise NotApplicable("no rows were set aside as a test, and only those are answered in bfloat16")
    if len(context.certifying):
        raise NotApplicable("rows of its only fold certify, too, and only those of a test are answered in bfloat16")
    sentences, whole = found.sentences, found.sentences.whole
    for count in dict.fromkeys(max(1, round(share * len(whole.layers))) for share in SHARES):
        name = f"{count} of {len(whole.layers)} layers in bfloat16"
        if count == len(whole.layers):
            yield found.candidate(name, sentences, precision=PRECISION, same=True)
        else:
            yield found.candidate(name, replace(sentences, transformer=found.lowest(count)), precision=PRECISION)


def _computes(name: str) -> bool:
    engine = member("runtimes", name)
    try:
        return hasattr(engine, "computes") and bool(engine.version()) and engine.computes(PRECISION)
    except Exception:  # noqa: BLE001  an installation that is broken computes nothing
        return False
