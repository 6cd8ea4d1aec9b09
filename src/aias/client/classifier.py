"""`aias.publish_classifier`: publishes a fine-tuned text classifier."""

from pathlib import Path

from aias.client.model import Model, publish_one
from aias.core.events import Watch, logged
from aias.core.names import check_name, name_from
from aias.core.settings import home_at
from aias.registry.registry import Registry


def publish_classifier(
    folder: Path | str, *, name: str | None = None, target: str = "label", home: Path | str | None = None,
    watch: Watch = logged,
) -> Model:  # fmt: skip
    """Publish a Hugging Face folder of a `…ForSequenceClassification` model as a version that labels texts.

    Reads BERT, RoBERTa, XLM-R, CamemBERT and DistilBERT, with the labels of `id2label`; a model with one label answers
    a number. `target`: the name of the predicted column, as in rows to measure it on. Raises `UserError`.
    """
    from aias.core.errors import UserError
    from aias.graph.classifying import classifier_of
    from aias.graph.one_text import TEXT
    from aias.graph.sentences import folder_of
    from aias.training.finish import Trained

    if not target or target == TEXT.name:
        raise UserError(f"the answer cannot be called {target!r}, as what is read is", hint="for example `label`")
    checked = check_name(name) if name else name_from(Path(folder).resolve().name)
    manifest, files, runtime = classifier_of(folder_of(str(folder)), name=checked, target=target)
    return publish_one(Registry.open(home_at(home), watch=watch), Trained(manifest, files, runtime), watch=watch)
