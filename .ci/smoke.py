"""The main path in a few seconds, for a base install on any Python: a file, a model, its answers, its endpoint."""

import sys
import tempfile
from pathlib import Path

import aias
from aias.client.samples import measurements

with tempfile.TemporaryDirectory() as folder:
    sample = measurements(Path(folder))
    model = aias.train(sample.path, target=sample.target, name=sample.name, time=5)
    endpoint = model.deploy()
    again = aias.load(model.ref)
    asked = [row for row, _ in sample.held_out]
    assert list(again.predict(asked)) == list(model.predict(asked))
    right = sum(str(answer) == truth for answer, (_, truth) in zip(again.predict(asked), sample.held_out, strict=True))
    assert right >= 0.7 * len(asked), f"{right} of {len(asked)} answers are right"
print(f"Python {sys.version.split()[0]}: {endpoint.name} → {endpoint.ref}, {right} of {len(asked)} answers right")
