"""`aias.publish_encoder`: publishes a sentence encoder."""

from pathlib import Path

from aias.client.model import Model
from aias.core.events import Event, Watch, logged
from aias.core.names import check_name, name_from
from aias.core.settings import home_at
from aias.registry.registry import Registry


def publish_encoder(
    folder: Path | str, *, name: str | None = None, home: Path | str | None = None, watch: Watch = logged
) -> Model:
    """Publish a sentence encoder, a folder in the Hugging Face format or a name on the hub, as a version.

    It answers a text with its vector: `model.embed(["some text"])`, `POST /predict/<endpoint>`, `POST /v1/embeddings`.
    `name`: by default that of the folder. Raises `UserError` if the encoder cannot be written as a graph.
    """
    from aias.graph.embedding import embedding_of
    from aias.graph.sentences import folder_of

    checked = check_name(name) if name else name_from(Path(folder).resolve().name)
    manifest, files = embedding_of(folder_of(str(folder)), name=checked)
    registry = Registry.open(home_at(home), watch=watch)
    version = registry.publish(checked, files, manifest)
    facts: dict[str, object] = {
        "version": str(version), "size_bytes": version.size_bytes, "row_us": manifest.row_us,
        "score_difference_max": manifest.parity.score_difference_max,
    }  # fmt: skip
    watch(
        Event("import.published", f"published {version}, which gives {manifest.task.width} numbers a text", facts=facts)
    )
    return Model(registry, version)
