"""The card of an embedding: what people should know of a version that gives vectors."""

import json
from collections.abc import Mapping

from aias.artifact.manifest import Manifest


def vector_card(manifest: Manifest, *, sizes: Mapping[str, int]) -> str:
    """In Markdown. `sizes`: the bytes of the files."""
    settings, proof = manifest.lineage.settings, manifest.parity
    length = ", of length 1" if settings["normalised"] else ""
    body = json.dumps([{"text": manifest.inputs[0].example}])
    ask = json.dumps({"model": manifest.name, "input": manifest.inputs[0].example})
    files = "\n".join(f"| `{path}` | {size:,} |" for path, size in sorted(sizes.items()))
    return f"""# {manifest.name}

Gives the vector of a text: {manifest.task.width} numbers{length}. Texts that mean about the same get vectors that point
about the same way.

A text takes about {manifest.row_us:,.0f} µs, from a dict to the vector, where it was published.

## How to call it

```sh
aias deploy {manifest.name}
curl -H "Authorization: Bearer $AIAS_KEY" localhost:8000/predict/{manifest.name} -d '{body}'
curl -H "Authorization: Bearer $AIAS_KEY" localhost:8000/v1/embeddings -d '{ask}'
```

## Limits

- Of a text the first {settings["tokens_max"]} tokens are read; whoever sends more is told.
- It was not measured here on any task: the encoder's publisher says what it is good for.

## Proof

The graph was compared with the formula, computed in float64 from the same weights, on {proof.rows:,} usual and odd
texts: apart by at most {proof.score_difference_max:.2g}, the same text alone and in a batch by at most
{proof.batch_difference_max:.2g}.

## Sizes

| file | bytes |
| --- | ---: |
{files}

## Where it comes from

| | |
| --- | --- |
| verb | {manifest.lineage.verb} |
| weights | `sha256:{manifest.lineage.sentence_encoder}` |
| pooling | {settings["pooling"]} |
| began | {manifest.lineage.started_at} |
"""
