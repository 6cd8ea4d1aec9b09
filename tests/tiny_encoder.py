"""Sentence encoders as small as can be, in the Hugging Face format, for tests."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from aias.graph.transformer_files import NAMES

WORDS = ["[CLS]", "[PAD]", "[UNK]", "[SEP]", *"abcdefghijkl"]
SIZES = {"vocab_size": 16, "max_position_embeddings": 32, "pad_token_id": 1, "layer_norm_eps": 1e-12}
BERT = SIZES | {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 12}
CONFIGS: dict[str, dict[str, Any]] = {
    "bert": BERT, "roberta": BERT | {"hidden_act": "gelu_new"},
    "distilbert": SIZES | {"dim": 8, "n_layers": 2, "n_heads": 2, "hidden_dim": 12, "activation": "relu"},
}  # fmt: skip


def tokenizer_into(folder: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 0))
    tokenizer.save(str(folder / "tokenizer.json"))


def weights(model_type: str = "bert") -> dict[str, Any]:
    """Of two layers, as small as can be, by the names that the model type has."""
    rng = np.random.default_rng(0)
    names = NAMES[model_type]
    shapes = {"query": (8, 8), "key": (8, 8), "value": (8, 8), "output": (8, 8), "wider": (12, 8), "narrower": (8, 12)}
    tensors = {"embeddings.word_embeddings.weight": rng.normal(size=(16, 8)),
               "embeddings.position_embeddings.weight": rng.normal(size=(32, 8))}  # fmt: skip
    if model_type != "distilbert":
        tensors["embeddings.token_type_embeddings.weight"] = rng.normal(size=(2, 8))
    layers = [names["layer"].format(i) for i in range(2)]
    for layer in layers:
        for part, shape in shapes.items():
            tensors[f"{layer}{names[part]}.weight"] = rng.normal(size=shape)
            tensors[f"{layer}{names[part]}.bias"] = rng.normal(size=shape[0])
    norms = [f"{layer}{names[part]}" for layer in layers for part in ("attention_norm", "norm")]
    for norm in ("embeddings.LayerNorm", *norms):
        tensors |= {f"{norm}.weight": rng.normal(size=8), f"{norm}.bias": rng.normal(size=8)}
    return {f"{model_type}.{name}": value.astype(np.float32) for name, value in tensors.items()}


def encoder_into(folder: Path, model_type: str) -> Path:
    """Gives the folder, which is made where there is none."""
    from safetensors.numpy import save_file

    folder.mkdir(exist_ok=True)
    tokenizer_into(folder)
    save_file(weights(model_type), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(CONFIGS[model_type] | {"model_type": model_type}))
    return folder


def classifier_into(folder: Path, model_type: str, /, *, outputs: int = 3, **config: Any) -> Path:
    """An encoder with a head, as `...ForSequenceClassification.save_pretrained` writes it. Gives the folder."""
    from safetensors.numpy import save_file

    from aias.graph.classifier_files import HEADS

    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(1)
    hidden, last, _ = HEADS[model_type]
    prefix = f"{model_type}." if hidden.startswith("pooler") else ""
    head = {f"{prefix}{hidden}.weight": (8, 8), f"{prefix}{hidden}.bias": (8,),
            f"{last}.weight": (outputs, 8), f"{last}.bias": (outputs,)}  # fmt: skip
    tokenizer_into(folder)
    tensors = weights(model_type) | {name: rng.normal(size=shape).astype(np.float32) for name, shape in head.items()}
    save_file(tensors, folder / "model.safetensors")
    said = CONFIGS[model_type] | {
        "model_type": model_type, "architectures": [f"{model_type.title()}ForSequenceClassification"],
        "id2label": {str(at): name for at, name in enumerate(["angry", "calm", "glad"][:outputs])},
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(said | config))
    return folder


def embedding(folder: Path, model_type: str = "bert") -> Any:
    """The runtime of a version that gives the vectors of such an encoder."""
    from aias.graph.embedding import embedding_of
    from aias.runtimes.onnxruntime import OnnxRuntime

    encoder_into(folder, model_type)
    manifest, files = embedding_of(folder, name="tiny")
    return OnnxRuntime.from_files(files, manifest)
