"""`aias.import_model`: publishes a model that another library trained."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aias.client.model import Model, publish_one
from aias.core.events import Watch, logged
from aias.core.names import check_name, name_from
from aias.core.settings import home_at
from aias.registry.registry import Registry


def import_model(
    path: Path | str,
    *,
    like: Any = None,
    name: str | None = None,
    target: str | None = None,
    columns: Sequence[str] = (),
    classes: Sequence[object] = (),
    scores: str | None = None,
    metric: str | None = None,
    encoding: str | None = None,
    home: Path | str | None = None,
    watch: Watch = logged,
) -> Model:
    """Publish the model in an ONNX, LightGBM, XGBoost or CatBoost file, proved to answer as its own library does.

    Or that in a folder in the Hugging Face format, as `publish_encoder` and `publish_classifier` do: then only `name`
    is used, and `target` of a classifier.

    - `like`: example rows for the model, which a file needs: a file, a pandas, Polars or Arrow table, or a dict of
      columns
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
    unused: dict[str, bool] = {
        "like": like is not None, "target": target is not None, "columns": len(columns) > 0,
        "classes": len(classes) > 0, "scores": scores is not None, "metric": metric is not None,
        "encoding": encoding is not None,
    }  # fmt: skip
    if _is_hugging_face(found):
        return _of_folder(found, name, target, [each for each in unused if unused[each]], home, watch)
    if like is None and found.is_file():
        raise UserError(
            "a model's file needs sample rows of its inputs",
            hint="name them: `aias import FILE --like rows.csv`, or `like=` in Python",
        )
    given = check_name(name) if name else name_from(found.name.partition(".")[0])
    labels = tuple(map(text_of, classes))
    asked = Asked(given, target, tuple(map(str, columns)), labels, scores, metric, encoding)  # type: ignore[arg-type]
    registry = Registry.open(home_at(home), watch=watch)
    return publish_one(registry, make(found, like, asked, watch=watch), watch=watch)


def _is_hugging_face(folder: Path) -> bool:
    return any((folder / name).exists() for name in ("config.json", "modules.json", "tokenizer.json"))


def _of_folder(
    folder: Path, name: str | None, target: str | None, given: Sequence[str], home: Path | str | None, watch: Watch
) -> Model:
    """`given`: what was asked for besides. Raises `UserError` where that is of no use."""
    from aias.client.classifier import publish_classifier
    from aias.client.embedding import publish_encoder
    from aias.core.errors import UserError
    from aias.graph.classifier_files import is_classifier

    labels = is_classifier(folder)
    kind, used = ("text classifier", ["name", "target"]) if labels else ("sentence encoder", ["name"])
    if unused := [each for each in given if each not in used]:
        raise UserError(
            f"`{folder}` is the folder of a {kind}, which has use for {_named(used)}, and not {_named(unused)}",
            hint=f"leave {'it' if len(unused) == 1 else 'these'} out",
        )
    if labels:
        return publish_classifier(folder, name=name, target=target or "label", home=home, watch=watch)
    return publish_encoder(folder, name=name, home=home, watch=watch)


def _named(names: Sequence[str]) -> str:
    return ", ".join(f"`{each}`" for each in names)
