"""Exports an artifact with an example that runs it without Aias: ONNX Runtime and thirty lines."""

import datetime as dt
import json
import shutil
from pathlib import Path
from typing import Any, Final

from aias.artifact.manifest import Manifest
from aias.core.errors import Conflict, UserError
from aias.encoders import text
from aias.encoders.number import Number
from aias.encoders.time import Time

EXAMPLE: Final = "predict.py"

_LIBRARIES: Final = {"onnxruntime", "tokenizers"}

_HEAD: Final = '''"""{ref} without Aias: pip install {libraries} && python predict.py"""
{imports}
here = pathlib.Path(__file__).parent
session = onnxruntime.InferenceSession(here / "model.onnx")
manifest = json.loads((here / "manifest.json").read_text("utf-8"))
own = [e for e in manifest["encoders"] if e["kind"] != "subwords"]
tables = {{e["field"]: json.loads((here / e["path"]).read_text("utf-8")) for e in own}}
row = json.loads({row!r})
'''

_TEXT_FUNCTIONS: Final = """
def unpacked(lines):
    terms, before = [], ""
    for line in filter(None, zlib.decompress(base64.b85decode(lines)).decode().split("\\n")):
        before = before[:ord(line[0]) - 32] + line[1:]
        terms.append(before)
    return terms

def words_of(text):
    text = text.strip()
    text = text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()
    words = re.findall({pattern!r}, text)
    return [f"N{{min(len(w) - 1, {indent})}}" if w[0] == "\\n" else w for w in words]

def traits(text, words):
    counts, digits = collections.Counter(words), sum(map(str.isdecimal, text))
    for name, count in ("L", len(words)), ("U", sum(map(str.isupper, text))), ("D", digits):
        yield from (f"{{name}}{{i}}" for i in range(count.bit_length()))
    for word, count in counts.items():
        yield from ["B" + word] * (count > 1) + ["Q" + word] * (count > 3)
        yield "S" + re.sub(r"\\d", "0", word) if digits and re.search(r"\\d", word) and word[0] != "N" else ""

def term_ids(text, table):
    words = words_of(text)
    if not words:
        return []
    known = {{term: i for i, term in enumerate(table["words"] + table["pairs"] + table["triples"])}}
    groups = {{term: i for i, term in enumerate(table["groups"], len(known))}}
    pairs = [" ".join(p) for p in zip(["{begin}"] + words, words + ["{end}"])]
    terms = [*words, *traits(text, words), *pairs, *(" ".join(t) for t in zip(words, words[1:], words[2:]))]
    ids = {{known[t] for t in terms if t in known}}
    for word in words:
        if word not in table["words"] and len(word) > 1 and not "A" <= word[0] <= "Z":
            w = f"<{{word[:{longest}]}}>"
            ids |= {{groups[w[i:i + n]] for n in {sizes} for i in range(len(w) - n + 1) if w[i:i + n] in groups}}
    return sorted(ids)
"""

_COLUMNS: Final = """
columns, ids, segments = [], [], []
texts = [field["name"] for field in manifest["inputs"] if field["kind"] == "text"]
first_id = 0
for field in manifest["inputs"]:
    value, table = row.get(field["name"]), tables[field["name"]]
"""

_KIND: Final = {
    "number": """    if field["kind"] == "number":
        columns.append(math.nan if value is None else float(value))
""",
    "category": """    if field["kind"] == "category":
        columns.append(category_code(value, table["categories"], field["missing"]))
""",
    "time": """    if field["kind"] == "time":
        columns += time_parts(value, table)
""",
    "text": """    if field["kind"] == "text":
        table = {part: unpacked(terms) if isinstance(terms, str) else terms for part, terms in table.items()}
        found = term_ids(value or "", table)
        ids += [first_id + i for i in found]
        segments += [[texts.index(field["name"])]] * len(found)
        first_id += sum(map(len, table.values()))
""",
}

CATEGORY_FUNCTIONS: Final = """
def category_code(value, categories, missing):  # 0: missing, 1: unseen
    known = {text: code for code, text in enumerate(categories, 2)} | dict.fromkeys(["", *missing], 0)
    text = str(value).strip()
    spellings = [text.lower(), text, text.upper()] if isinstance(value, bool) else [text]
    if isinstance(value, float) and value.is_integer():
        spellings = [str(int(value))]
    return 0 if value is None else next((known[each] for each in spellings if each in known), 1)
"""
"""The source of `category_code`, which does for plain values what `encoders.category` does."""

TIME_FUNCTIONS: Final = """
def time_parts(value, table):
    if value is None:
        return [math.nan] * (7 + len(table))
    t = datetime.datetime.fromisoformat(value)
    hour = t.hour + t.minute / 60 + (t.second + t.microsecond / 1e6) / 3600
    days = t.toordinal() - 719163 + hour / 24
    parts = [days, t.year, t.month, t.day, t.weekday(), t.timetuple().tm_yday, hour]
    return parts + [t.minute + (t.second + t.microsecond / 1e6) / 60] * ("minute" in table)
"""
"""The source of `time_parts`, which does for times in ISO form what `encoders.time` does."""

_FEEDS: Final = """
feeds = {"columns": numpy.array([columns], "float64").reshape(1, -1)}
if texts:
    feeds["term_ids"] = numpy.array(ids, "int64")
    feeds["term_segments"] = numpy.array(segments, "int64").reshape(-1, 1)
"""

_TOKENS: Final = """
tokenizer = tokenizers.Tokenizer.from_file(str(here / "encoders/tokenizer.json"))
found = tokenizer.encode_batch([row.get(name) or "" for name in texts])
feeds["tokens"] = numpy.array([each.ids for each in found], "int64")
feeds["token_mask"] = numpy.array([each.attention_mask for each in found], "bool")
"""

_TAIL: Final = """
for output, value in zip(session.get_outputs(), session.run(None, feeds)):
    print(output.name, value.tolist())
"""


def export_folder(artifact: Path, manifest: Manifest, folder: Path, *, ref: str) -> Path:
    """Copy a sealed artifact to `folder`, with `predict.py`. Raises `Conflict` if the folder exists."""
    if folder.exists():
        raise Conflict(f"{folder} exists already", hint="name a folder that does not exist yet")
    if not folder.resolve().parent.is_dir():
        raise UserError(f"there is no folder {folder.resolve().parent}", hint="make it first")
    shutil.copytree(artifact, folder)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    (folder / EXAMPLE).write_text(example_script(manifest, ref=ref), encoding="utf-8")
    return folder


def example_row(manifest: Manifest) -> dict[str, Any]:
    """One row as a caller would send it, made from the examples of the schema."""
    return {field.name: field.example for field in manifest.inputs}


def example_script(manifest: Manifest, *, ref: str) -> str:
    """The source of `predict.py`, with only what the fields of this model need."""
    kinds = {field.kind for field in manifest.inputs}
    needs = {"json", "math", "pathlib", "numpy", "onnxruntime"}
    parts = []
    if "text" in kinds:
        needs |= {"base64", "collections", "re", "unicodedata", "zlib"}
        parts.append(text_functions())
    if any(entry.kind == "subwords" for entry in manifest.encoders):
        needs |= {"tokenizers"}
    if "category" in kinds:
        parts.append(CATEGORY_FUNCTIONS)
    if "time" in kinds:
        needs |= {"datetime"}
        parts.append(TIME_FUNCTIONS)
    row = json.dumps(_plain(manifest), ensure_ascii=False)
    imports = "".join(f"import {name}\n" for name in sorted(needs))
    head = _HEAD.format(ref=ref, imports=imports, row=row, libraries=" ".join(sorted(needs & _LIBRARIES)))
    feeds = _FEEDS + (_TOKENS if "tokenizers" in needs else "")
    return head + "".join(parts) + _COLUMNS + "".join(_KIND[kind] for kind in sorted(kinds)) + feeds + _TAIL


def text_functions() -> str:
    """The source of `unpacked` and `term_ids`, which do what `encoders.text` does."""
    return _TEXT_FUNCTIONS.format(
        pattern=text.PATTERN, indent=text.INDENT_MAX, begin=text.BEGIN, end=text.END, longest=text.WORD_CHARS_MAX,
        sizes=text.GROUP_SIZES,
    )  # fmt: skip


def _plain(manifest: Manifest) -> dict[str, Any]:
    """The example row with numbers as numbers and times in ISO form, so that the script does not have to parse them."""
    row = example_row(manifest)
    for field in manifest.inputs:
        if row[field.name] is None:
            continue
        if field.kind == "number":
            row[field.name] = Number(field).encode(row[field.name])
        elif field.kind == "time":
            _, year, month, day, *_, hour = Time(field).encode(row[field.name])
            moment = dt.datetime(int(year), int(month), int(day)) + dt.timedelta(hours=hour)
            row[field.name] = moment.isoformat()
    return row
