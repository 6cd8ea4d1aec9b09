"""A folder in the Hugging Face format → a transformer: BERT, MiniLM, RoBERTa, XLM-R, DistilBERT and their like.

Read are `config.json`, `model.safetensors` (the one form that cannot hold code) and what sentence-transformers lays
beside them: `modules.json` with the pooling. What would be computed otherwise than here is refused.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from msgspec import Meta

from aias.core.errors import UserError
from aias.encoders.subwords import AS_PUBLISHED, Subwords
from aias.graph.transformer import Affine, Layer, Norm, Transformer, Weights

BYTES_MAX: Final = 1_900_000_000
"""A file of ONNX holds 2 GB; the rest of the graph needs its place."""

ACTIVATIONS: Final = {
    "gelu": "gelu", "gelu_python": "gelu", "gelu_new": "gelu_tanh", "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh", "relu": "relu",
}  # fmt: skip

_BERT: Final = {
    "layer": "encoder.layer.{}.", "query": "attention.self.query", "key": "attention.self.key",
    "value": "attention.self.value", "output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm", "wider": "intermediate.dense", "narrower": "output.dense",
    "norm": "output.LayerNorm",
}  # fmt: skip
_DISTILBERT: Final = {
    "layer": "transformer.layer.{}.", "query": "attention.q_lin", "key": "attention.k_lin", "value": "attention.v_lin",
    "output": "attention.out_lin", "attention_norm": "sa_layer_norm", "wider": "ffn.lin1", "narrower": "ffn.lin2",
    "norm": "output_layer_norm",
}  # fmt: skip
NAMES: Final = {
    "bert": _BERT, "roberta": _BERT, "xlm-roberta": _BERT, "camembert": _BERT, "distilbert": _DISTILBERT,
}  # fmt: skip
"""What the tensors of each model type are called."""

PADDED_POSITIONS: Final = ("roberta", "xlm-roberta", "camembert")
"""Whose first position is the one after the padding token's id."""


POSITIONS_MIN: Final = 3
"""The first token, one of the text, and the last."""

_Count = Annotated[int, Meta(ge=1, le=2**31 - 1)]


class _Config(msgspec.Struct):
    """What is read of `config.json`, as it must be."""

    model_type: str | None = None
    position_embedding_type: str | None = None
    hidden_act: str | None = None
    activation: str | None = None
    num_attention_heads: _Count | None = None
    n_heads: _Count | None = None
    num_hidden_layers: _Count | None = None
    n_layers: _Count | None = None
    layer_norm_eps: Annotated[float, Meta(gt=0)] = 1e-12
    pad_token_id: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    id2label: dict[str, Any] | None = None


class _Module(msgspec.Struct):
    """A step, of `modules.json`."""

    type: str
    path: str = ""


class UnknownEncoder(UserError):
    """The folder holds an encoder that cannot be written as a graph: another type, other positions, an unknown head."""

    code = "graph.unknown-encoder"


def read_transformer(folder: Path) -> Transformer:
    """Raises `UnknownEncoder` naming what this sentence encoder has that cannot be written."""
    return read_folder(folder)[0]


def read_folder(folder: Path) -> tuple[Transformer, Mapping[str, Weights], Mapping[str, Any]]:
    """The same, all of its tensors, and its config."""
    modules = _modules(folder)
    inside = folder / modules["Transformer"]
    config = config_of(inside)
    model_type = config.get("model_type")
    if config.get("is_decoder"):
        raise _refusal(
            "is a decoder (`is_decoder` in its config.json): each word sees those before it alone",
            "use one that was trained as an encoder",
        )
    if model_type not in NAMES:
        raise _refusal(f"is of the type {model_type!r}", f"use an encoder of type {', '.join(NAMES)}")
    if config.get("position_embedding_type", "absolute") != "absolute":
        raise _refusal("has relative positions", "use one with absolute positions")
    activation = ACTIVATIONS.get(str(config.get("hidden_act", config.get("activation", "gelu"))))
    if activation is None:
        raise _refusal("has an activation that is not known here", f"known are: {', '.join(ACTIVATIONS)}")
    tensors = _tensors(inside / "model.safetensors")
    try:
        found = Transformer(
            *_embeddings(tensors, config), _layers(tensors, NAMES[model_type], config),
            heads=_count(config, "num_attention_heads", "n_heads"),
            epsilon=float(config.get("layer_norm_eps", 1e-12)),
            activation=activation, pooling=_pooling(folder, modules), normalised="Normalize" in modules,  # type: ignore[arg-type]
        )  # fmt: skip
    except KeyError as missing:
        raise _refusal(f"has no {missing}", AS_PUBLISHED) from None
    except (ValueError, IndexError):  # of embeddings that cannot be added
        found = None
    if found is None or not _fits(found):
        raise _refusal("has weights that do not fit together", AS_PUBLISHED)
    return found, tensors, config


def fitting(subwords: Subwords, transformer: Transformer) -> None:
    """Raises `UnknownEncoder` where there are tokens without weights."""
    if subwords.last >= len(transformer.words):
        raise UnknownEncoder(
            f"the sentence encoder's tokenizer knows the token {subwords.last:,}, and there are weights for "
            f"{len(transformer.words):,}",
            hint="use the tokenizer.json that was published with the weights",
        )


def config_of(folder: Path) -> Mapping[str, Any]:
    """Raises `UserError`."""
    found = _settings(folder / "config.json")
    _converted(found, _Config, "config.json")
    return found


def _modules(folder: Path) -> dict[str, str]:
    """The steps of the encoder: the last word of each type → its folder."""
    if not (folder / "modules.json").exists():
        return {"Transformer": ""}  # a plain transformer; its tokens are averaged, as sentence-transformers does
    steps = _converted(_json(folder / "modules.json"), list[_Module], "modules.json")
    for each in steps:
        if Path(each.path).is_absolute() or ".." in Path(each.path).parts:
            raise _refusal(f"has its part {each.path[:100]!r} outside its folder", AS_PUBLISHED)
    found = {each.type.rpartition(".")[2]: each.path for each in steps}
    extra = set(found) - {"Transformer", "Pooling", "Normalize"}
    if extra or "Transformer" not in found:
        raise _refusal(f"goes through {', '.join(sorted(extra or found))}", "use one with pooling and nothing after it")
    settings = folder / "config_sentence_transformers.json"
    if settings.exists() and _settings(settings).get("default_prompt_name"):
        raise _refusal("puts a prompt before each text", "use one without a default prompt")
    return found


def _pooling(folder: Path, modules: Mapping[str, str]) -> str:
    config = _settings(folder / modules["Pooling"] / "config.json") if "Pooling" in modules else {}
    flags = {key.removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token")
             for key, value in config.items() if key.startswith("pooling_mode_") and value is True}  # fmt: skip
    chosen = flags or {str(config.get("pooling_mode", "mean"))}
    if chosen not in ({"mean"}, {"cls"}):
        raise _refusal(f"pools by {', '.join(sorted(chosen))}", "use one that pools by `mean` or `cls`")
    return str(chosen.pop())


def _embeddings(tensors: Mapping[str, Weights], config: Mapping[str, Any]) -> tuple[Weights, Weights, Norm]:
    pad = config.get("pad_token_id")
    first = 1 + (1 if pad is None else pad) if config["model_type"] in PADDED_POSITIONS else 0
    positions = tensors["embeddings.position_embeddings.weight"][first:]
    if "embeddings.token_type_embeddings.weight" in tensors:
        positions = positions + tensors["embeddings.token_type_embeddings.weight"][0]
    return tensors["embeddings.word_embeddings.weight"], positions, _norm(tensors, "embeddings.LayerNorm")


def _layers(tensors: Mapping[str, Weights], names: Mapping[str, str], config: Mapping[str, Any]) -> tuple[Layer, ...]:
    count = _count(config, "num_hidden_layers", "n_layers")
    parts: dict[str, Callable[[Mapping[str, Weights], str], Any]] = {
        name: _norm if name.endswith("norm") else affine for name in names if name != "layer"
    }
    return tuple(
        Layer(**{part: make(tensors, names["layer"].format(i) + names[part]) for part, make in parts.items()})
        for i in range(count)
    )


def _count(config: Mapping[str, Any], *names: str) -> int:
    """By the first of these names that says one. Raises `KeyError`."""
    found = next((config[name] for name in names if config.get(name)), None)
    if found is None:
        raise KeyError(names[0])
    return int(found)


def affine(tensors: Mapping[str, Weights], name: str) -> Affine:
    return Affine(np.ascontiguousarray(tensors[f"{name}.weight"].T), tensors[f"{name}.bias"])


def _norm(tensors: Mapping[str, Weights], name: str) -> Norm:
    return Norm(tensors[f"{name}.weight"], tensors[f"{name}.bias"])


def _tensors(path: Path) -> dict[str, Weights]:
    """By the names they have below the model's own prefix (`bert.`, `roberta.`, ...)."""
    try:
        import ml_dtypes  # which onnx needs; safetensors knows bfloat16 by it
        from safetensors.numpy import load_file
    except ImportError:
        raise UserError("sentence encoders need `safetensors`", hint="pip install 'aias[text]'") from None
    if not path.is_file():
        raise _refusal(
            "has no model.safetensors",
            "write it so, in one file: model.save_pretrained(FOLDER, max_shard_size='2GB'); other forms of weights can "
            "run code when they are opened",
        )
    if path.stat().st_size > BYTES_MAX:
        raise _refusal(f"has {path.stat().st_size:,} bytes of weights", f"use one with at most {BYTES_MAX:,}")
    try:
        held = load_file(path)
    except Exception as fault:  # noqa: BLE001  the library raises its own and TypeErrors
        raise _refusal(f"has weights that cannot be read ({fault})", "use float32 or shorter weights") from None
    cut = {name.partition("embeddings.word_embeddings.")[0] for name in held if "embeddings.word_embeddings." in name}
    prefix = cut.pop() if cut else ""
    kept = {name: value.astype(np.float32) for name, value in held.items()
            if value.dtype.kind == "f" or value.dtype == ml_dtypes.bfloat16}  # fmt: skip
    if odd := next((name for name, value in kept.items() if not np.isfinite(value).all()), None):
        raise _refusal(f"has weights that are no numbers, in {odd!r}", AS_PUBLISHED)
    # Older files call a norm's scale and bias `gamma` and `beta`.
    return {
        name.removeprefix(prefix).replace("LayerNorm.gamma", "LayerNorm.weight").replace(
            "LayerNorm.beta", "LayerNorm.bias"): value
        for name, value in kept.items()
    }  # fmt: skip


def _fits(found: Transformer) -> bool:
    """Whether the shapes of its weights are those of one transformer."""
    if found.words.ndim != 2 or found.hidden % found.heads or len(found.positions) < POSITIONS_MIN:
        return False
    width, square = (found.hidden,), (found.hidden, found.hidden)
    norms = [found.norm]
    shapes: list[tuple[tuple[int, ...], tuple[int, ...]]] = [(found.positions.shape[1:], width)]
    for layer in found.layers:
        norms += [layer.attention_norm, layer.norm]
        for each in (layer.query, layer.key, layer.value, layer.output):
            shapes += [(each.weight.shape, square), (each.bias.shape, width)]
        wide = layer.wider.bias.shape
        shapes += [(layer.wider.weight.shape, width + wide), (layer.narrower.weight.shape, wide + width)]
        shapes.append((layer.narrower.bias.shape, width))
    shapes += [(part.shape, width) for norm in norms for part in (norm.scale, norm.bias)]
    return all(own == wanted for own, wanted in shapes)


def _settings(path: Path) -> dict[str, Any]:
    """Raises `UserError`."""
    found = _json(path)
    if not isinstance(found, dict):
        raise UserError(f"the sentence encoder's {path.name} holds no settings", hint=AS_PUBLISHED)
    return found


def _converted(found: Any, kind: Any, name: str) -> Any:
    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError as fault:
        raise UserError(f"the sentence encoder's {name} is not as it should be: {fault}", hint=AS_PUBLISHED) from None


def _json(path: Path) -> Any:
    if path.exists() and not path.is_file():
        raise UserError(f"`{path.name}` is not a regular file", hint=AS_PUBLISHED)
    try:
        return msgspec.json.decode(path.read_bytes())
    except FileNotFoundError:
        raise UserError(
            f"`{path.parent}` holds no `{path.name}`, as a folder in the Hugging Face format does",
            hint="give such a folder, or the path of a model's file",
        ) from None
    except (OSError, ValueError, RecursionError) as fault:  # msgspec's own are ValueErrors
        raise UserError(f"the sentence encoder's {path.name} cannot be read: {fault}", hint=AS_PUBLISHED) from None


def _refusal(what: str, hint: str) -> UnknownEncoder:
    return UnknownEncoder(f"the sentence encoder {what}", hint=hint)
