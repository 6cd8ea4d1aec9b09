"""What a file is, by its first bytes and not by its name. What could run code when it is opened is never opened."""

import hashlib
import re
import stat
from pathlib import Path
from typing import Final

from aias.core.suggestions import did_you_mean
from aias.data.errors import NoSuchFile
from aias.importing.formats.contract import UnreadableModel, UnsafeModel

FILE_BYTES_MAX: Final = 1 << 30
"""A graph is one protobuf, which holds 2 GB, and foreign files grow when they are written as one."""

HEAD_BYTES: Final = 4_096

PICKLED: Final = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"\x1f\x8b", b"BZ", b"x\x9c", b"x\x01")
"""How pickles begin, and what joblib packs them in."""

EXPORTS: Final = {
    "LightGBM, pickled": "save it natively: model.booster_.save_model('model.txt'), of a Booster model.save_model(...)",
    "XGBoost, pickled": "save it natively: model.save_model('model.ubj'), then import that",
    "CatBoost, pickled": "save it natively: model.save_model('model.cbm'), then import that",
    "scikit-learn or joblib": "export it: skl2onnx.to_onnx(model, rows[:1]), then import model.onnx",
    "PyTorch": "export it: torch.onnx.export(model, rows[:1], 'model.onnx', dynamic_axes={'input': {0: 'rows'}})",
    "Keras": "export it: model.export('model.onnx', format='onnx')",
    "TensorFlow": "export it: python -m tf2onnx.convert --saved-model FOLDER --output model.onnx",
    "R": "write the model in its library's own form: xgb.save, lgb.save or catboost.save_model",
    "PMML": "train it again with `aias train`, or export the model it was made from to ONNX",
}

MODULES: Final = {
    "lightgbm.": "LightGBM",
    "xgboost.": "XGBoost",
    "catboost.": "CatBoost",
    "sklearn.": "",
    "joblib.": "",
}
"""As they are called in a pickle; the first one says what it is of."""


def recognised(path: Path) -> tuple[str, str]:
    """The format's name, and the file's SHA-256. Raises `NoSuchFile`, `UnreadableModel`, `UnsafeModel`."""
    try:
        status = path.stat()
    except OSError:
        raise NoSuchFile(f"there is no file `{path}`", hint=_elsewhere(path)) from None
    if stat.S_ISDIR(status.st_mode):
        raise _folder(path)
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableModel(f"`{path.name}` is not a regular file", hint="save the model to a file first")
    if not status.st_size:
        raise UnreadableModel(f"`{path.name}` is empty", hint="copy it again, or write it again")
    if status.st_size > FILE_BYTES_MAX:
        raise UnsafeModel(f"`{path.name}` has {status.st_size:,} bytes", hint=f"{FILE_BYTES_MAX:,} are the most")
    hasher, head = hashlib.sha256(), b""
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            head = head or chunk[:HEAD_BYTES]
            hasher.update(chunk)
    return _form(path.name, head), hasher.hexdigest()


def _elsewhere(path: Path) -> str:
    """What may have been meant by a path at which there is nothing."""
    if path.parent.is_dir():
        return did_you_mean(path.name, [other.name for other in path.parent.iterdir()]) or "check the path"
    if re.fullmatch(r"[\w-]+/[\w.-]+", str(path)):
        return f"check the path; of a model on the Hugging Face hub the folder that `hf download {path}` prints"
    return "check the path"


def _form(name: str, head: bytes) -> str:
    if maker := _maker(name, head):
        what = "is not read" if maker in {"PMML", "R"} else "is never opened: such files can run code"
        raise UnreadableModel(f"`{name}` is of {maker}, which {what}", hint=EXPORTS[maker])
    if head.startswith((b"tree\n", b"tree\r\n")):
        return "lightgbm"
    if head.startswith(b"CBM1"):
        return "catboost"
    if head.startswith(b"binf"):
        return "xgboost"
    if head.lstrip()[:1] == b"{":
        return "catboost" if _is_catboost(head) else "xgboost"
    if head[:1] == b"\x08" or (name.endswith(".onnx") and head[:1] in b"\x12\x1a\x22\x2a\x3a\x42\x72"):
        return "onnx"
    raise UnreadableModel(
        f"`{name}` is no model that can be imported",
        hint="ONNX, LightGBM's text, XGBoost's JSON or UBJSON, or CatBoost's .cbm or JSON",
    )


def _maker(name: str, head: bytes) -> str:
    """Who writes files that begin so, of those that are not read."""
    ending = name.rpartition(".")[2].lower()
    if head[:4] == b"PK\x03\x04":
        return "Keras" if ending == "keras" else "PyTorch"
    if head[:8] == b"\x89HDF\r\n\x1a\n":
        return "Keras"
    if head[:5] == b"<?xml" or b"<PMML" in head:
        return "PMML"
    if head.startswith(PICKLED) and (booster := _booster(head)):
        return f"{booster}, pickled"
    if head.startswith(PICKLED):
        return "PyTorch" if ending in {"pt", "pth"} else "scikit-learn or joblib"
    if ending in {"pkl", "pickle", "joblib"}:
        return f"{booster}, pickled" if (booster := _booster(head)) else "scikit-learn or joblib"
    if ending in {"pt", "pth"}:
        return "PyTorch"
    return "R" if head[:4] in (b"RDX3", b"RDX2") else ""


def _booster(head: bytes) -> str:
    """Of a pickle, which begins with the names of its classes; what joblib packs shows none."""
    found = {head.find(name.encode()): title for name, title in MODULES.items() if name.encode() in head}
    return found[min(found)] if found else ""


def _is_catboost(head: bytes) -> bool:
    """Both are JSON; XGBoost's holds a `learner`, CatBoost's one of these before long."""
    return b'"learner"' not in head and any(
        mark in head for mark in (b'"oblivious_trees"', b'"ctr_data"', b'"features_info"', b'"model_info"')
    )


def _folder(path: Path) -> UnreadableModel:
    names = {each.name for each in path.iterdir()}
    if "saved_model.pb" in names:
        return UnreadableModel(f"`{path}` is of TensorFlow", hint=EXPORTS["TensorFlow"])
    return UnreadableModel(f"`{path}` is a folder", hint="name the model's file in it")
