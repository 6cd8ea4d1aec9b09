"""What a file is, by its first bytes and not by its name. What could run code when it is opened is never opened."""

import bz2
import hashlib
import lzma
import re
import stat
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from aias.core.suggestions import did_you_mean
from aias.data.errors import NoSuchFile
from aias.importing.formats.contract import UnreadableModel, UnsafeModel

FILE_BYTES_MAX: Final = 1 << 30
"""A graph is one protobuf, which holds 2 GB, and foreign files grow when they are written as one."""

HEAD_BYTES: Final = 4_096

PICKLED: Final = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
PICKLES: Final = {"pkl", "pickle", "joblib"}
"""How pickles begin and end: their first bytes, and what they are called."""

PACKED: Final[dict[tuple[bytes, ...], Callable[[], Any]]] = {
    (b"\x1f\x8b", b"x\x9c", b"x\x01", b"x\xda"): lambda: zlib.decompressobj(wbits=47),
    (b"BZh",): bz2.BZ2Decompressor,
    (b"\xfd7zXZ", b"\x5d\x00\x00"): lambda: lzma.LZMADecompressor(memlimit=1 << 24),
}
"""What joblib packs pickles in, and people other files: how it begins, and what unpacks it."""

EXPORTS: Final = {
    "LightGBM, pickled": "save it natively: model.booster_.save_model('model.txt'), or booster.save_model(...)",
    "XGBoost, pickled": "save it natively: model.save_model('model.ubj'), then import that",
    "CatBoost, pickled": "save it natively: model.save_model('model.cbm'), then import that",
    "scikit-learn or joblib": "export it: skl2onnx.to_onnx(model, rows[:1]), then import model.onnx",
    "PyTorch": "export it: torch.onnx.export(model, rows[:1], 'model.onnx', dynamic_axes={'input': {0: 'rows'}})",
    "Keras": "export it: model.export('model.onnx', format='onnx')",
    "TensorFlow": "export it: python -m tf2onnx.convert --saved-model FOLDER --output model.onnx",
    "R": "write the model in its library's own form: xgb.save, lgb.save or catboost.save_model",
    "OpenVINO": "export the model that it was made from to ONNX, and import that",
    "skops": "load it where you trust it, and export it: skl2onnx.to_onnx(model, rows[:1]), then import model.onnx",
    "NumPy": "its arrays alone are no model: export the model that they are of to ONNX",
    "PMML": "train it again with `aias train`, or export the model it was made from to ONNX",
}

UNREAD: Final = {"NumPy", "OpenVINO", "PMML", "R", "skops"}
"""Who writes files that are refused because nothing here reads them."""

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
    inner = _unpacked(head)
    if maker := _maker(name, head, inner):
        what = "is not read" if maker in UNREAD else "is never opened: such files can run code"
        raise UnreadableModel(f"`{name}` is of {maker}, which {what}", hint=EXPORTS[maker])
    if inner is not None or head.startswith(b"PK\x03\x04"):
        raise UnreadableModel(f"`{name}` is packed", hint="unpack it, and name the model's file that was in it")
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


def _unpacked(head: bytes) -> bytes | None:
    """The first bytes of what is packed, as far as these show them; None where nothing is."""
    for marks, unpacker in PACKED.items():
        if head.startswith(marks):
            try:
                return bytes(unpacker().decompress(head, HEAD_BYTES))
            except (zlib.error, lzma.LZMAError, OSError):
                return b""
    return None


def _maker(name: str, head: bytes, inner: bytes | None) -> str:
    """Who writes files that begin so, of those that are not read. `inner`: what is packed in it."""
    endings = name.lower().split(".")[1:]
    if head[:4] == b"PK\x03\x04":
        return _archive(endings[-1:], head)
    if head[:8] == b"\x89HDF\r\n\x1a\n":
        return "Keras"
    if b"<PMML" in head:
        return "PMML"
    if head[:5] == b"<?xml" and b"<net " in head:
        return "OpenVINO"
    shown, called = (head, endings[-1:]) if inner is None else (inner, endings[-2:])
    if endings[-1:] in (["pt"], ["pth"]):
        return "PyTorch"
    if shown.startswith(PICKLED) or PICKLES & {*called}:
        return f"{booster}, pickled" if (booster := _booster(shown)) else "scikit-learn or joblib"
    return "R" if shown[:4] in (b"RDX3", b"RDX2", b"X\n\0\0") else ""


def _archive(ending: list[str], head: bytes) -> str:
    """Who wrote a zip archive, by what it is called and by its first entry; "" where it may hold anything."""
    first = head[30 : 30 + int.from_bytes(head[26:28], "little")]
    if ending in (["keras"], ["skops"]):
        return "Keras" if ending == ["keras"] else "skops"
    if ending in (["pt"], ["pth"], ["ckpt"]) or first.endswith(b"data.pkl"):
        return "PyTorch"
    return "NumPy" if ending == ["npz"] or first.endswith(b".npy") else ""


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
