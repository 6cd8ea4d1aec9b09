"""`aias.import_model`: publishes a model that another library trained."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aias.client.model import Model, publish_one
from aias.core.events import Watch, logged
from aias.core.names import check_name, name_from
from aias.core.settings import home as default_home
from aias.registry.registry import Registry


def import_model(
    path: Path | str,
    *,
    like: Any,
    name: str | None = None,
    target: str | None = None,
    columns: Sequence[str] = (),
    classes: Sequence[object] = (),
    scores: str | None = None,
    metric: str | None = None,
    encoding: str | None = None,
    home: Path | None = None,
    watch: Watch = logged,
) -> Model:
    """Publish the model in an ONNX, LightGBM, XGBoost or CatBoost file, proved to answer as its own library does.

    - `like`: example rows for the model: a file, a pandas, Polars or Arrow table, or a dict of columns
    - `target`: the column of these rows that holds the labels; the card then tells how good the model is on them
    - `columns`: the columns that the model reads, in its order; by default those named in the file or, if it names
      none, all in their order
    - `classes`: the labels in the model's order, if the file does not name them
    - `metric`: the metric that judges it, here and in compression
    - `encoding`: the text encoding of `like`, as in `train`
    - `scores`: `"logits"` if a network gives logits instead of probabilities

    Raises `UnreadableModel`, `UnsafeModel`, `UnfitModel`, `SchemaMismatch` and `NotProved`; then nothing is published.
    """
    from aias.core.errors import UserError
    from aias.encoders.category import text_of
    from aias.importing.importing import Asked
    from aias.importing.importing import import_model as make

    if scores not in {None, "probabilities", "logits"}:
        raise UserError(f"{scores!r} is no kind of `scores`", hint="`probabilities` or `logits`")
    if isinstance(classes, str) or isinstance(columns, str):
        raise UserError("`classes` and `columns` are lists of names", hint='such as `classes=["no", "yes"]`')
    found = Path(path).expanduser()
    given = check_name(name) if name else name_from(found.name.partition(".")[0])
    labels = tuple(map(text_of, classes))
    asked = Asked(given, target, tuple(map(str, columns)), labels, scores, metric, encoding)  # type: ignore[arg-type]
    registry = Registry.open(home or default_home(), watch=watch)
    return publish_one(registry, make(found, like, asked, watch=watch), watch=watch)
