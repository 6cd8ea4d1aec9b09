"""What the techniques for a version with a sentence encoder promise: what they make can be served and is proved."""

import importlib.util
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("tokenizers", reason="the extra `text` is not installed")
pytest.importorskip("safetensors", reason="the extra `text` is not installed")

from aias.compress.cascading import DeferralRule, fair
from aias.compress.compressed_parent import stacked
from aias.compress.context import Context
from aias.compress.fitting import fitted
from aias.compress.searched import Known
from aias.compress.sentences import reader
from aias.compress.synthetic_texts import synthetic_texts
from aias.compress.techniques import static_windows
from aias.compress.techniques.cascade import Split, _candidate
from aias.compress.techniques.contract import Candidate, Made, NotApplicable
from aias.core.catalog import member
from aias.core.errors import UserError
from aias.core.events import nobody
from aias.encoders.rows import Encoded
from aias.graph.parity import prove
from aias.learners.linear import Linear
from aias.training.finish import compiled
from aias.training.ledger import Ledger
from aias.training.parent import NoTime
from aias.training.pipeline import LinearPipeline
from aias.training.prepare import encoded_of
from aias.training.selection.configuration import ALL, Configuration
from compression_contexts import NOTES, reading, standing

TUNED = ("fine_tune",) if importlib.util.find_spec("torch") else ()
TECHNIQUES = (
    "int8", "fewer_layers", "narrower_layers", "static_embeddings", "static_windows", "encoder_vocabulary", *TUNED,
)  # fmt: skip

ROWS = NOTES

ROUNDED = 1e-4


@pytest.fixture(scope="module")
def context(tmp_path_factory) -> Context:
    return reading(tmp_path_factory.mktemp("encoder"), tmp_path_factory.mktemp("home"))


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    """What is learned matters less here than what becomes of it."""
    monkeypatch.setattr("aias.compress.windows.STEPS_MIN", 30)


@pytest.mark.parametrize("name", TECHNIQUES)
def test_what_it_makes_is_served_and_proved_and_smaller(context, name):
    found = list(member("compress.techniques", name)(context))
    assert found
    for each in found:
        assert isinstance(each, Candidate)
        for fold in (0, ALL):
            made = each.make(fold)
            files, runtime = compiled(made.pipeline, made.encoder, context.parent.manifest, made.embedding)
            names = [field.name for field in made.encoder.fields]
            usual = context.prepared.dataset.take(np.arange(40)).frame.select(names).to_dicts()
            prove(made.embedding.expected(made.pipeline), runtime.encoder, runtime, usual)
            assert runtime.session.reads_tokens
            parent = next(file for file in context.parent.manifest.files if file.path == "model.onnx")
            tiny = name in ("int8", "encoder_vocabulary")  # the tiny one is all names of nodes
            assert len(files["model.onnx"]) < parent.size_bytes or tiny


@pytest.mark.parametrize("name", TECHNIQUES)
def test_the_head_is_fitted_without_the_answers_of_its_fold(context, name):
    """The answers of the rows that judge are turned about: what was fitted without them stays what it was."""
    rows = context.prepared.table.outside(0)

    def scores() -> np.ndarray:
        (candidate, *_) = member("compress.techniques", name)(context)
        made = candidate.make(0)
        return made.pipeline.scores(context.encoded(rows, made.encoder, made.embedding))

    before, held = scores(), context.prepared.table.whole.y
    kept = held[rows].copy()
    held[rows] = kept[::-1]
    try:
        assert np.array_equal(scores(), before)
    finally:
        held[rows] = kept


def test_of_a_linear_parent_in_int8_no_head_is_fitted_again(context, monkeypatch):
    monkeypatch.setattr(Linear, "fit", lambda *_: pytest.fail("a head was fitted"))
    (candidate,) = member("compress.techniques", "int8")(context)
    for fold in (0, ALL):
        made = candidate.make(fold)
        encoded = context.encoded(np.arange(ROWS), made.encoder, made.embedding)
        assert not np.array_equal(encoded.vectors, context.encoded(np.arange(ROWS)).vectors)
        assert np.array_equal(made.pipeline.scores(encoded), context.teacher(fold).scores(encoded))


@pytest.mark.parametrize("name", ["int8", "fewer_layers", "static_windows"])
def test_many_weights_of_words_beside_sentences_are_kept_in_half_the_bytes(context, monkeypatch, name):
    def form() -> tuple[int, np.ndarray]:
        made = member("compress.techniques", name)(context).__next__().make(ALL)
        files, _ = compiled(made.pipeline, made.encoder, context.parent.manifest, made.embedding)
        encoded = context.encoded(np.arange(ROWS), made.encoder, made.embedding)
        return len(files["model.onnx"]), made.pipeline.scores(encoded)

    monkeypatch.setattr("aias.compress.sentences.WORDS_BYTES_MIN", 1 << 30)
    whole, before = form()
    monkeypatch.setattr("aias.compress.sentences.WORDS_BYTES_MIN", 0)
    light, after = form()

    assert whole - light == pytest.approx(context.encoder.layout.terms * 2 * 2, abs=64)
    assert 0 < np.abs(before - after).max() < 2e-3


def test_a_token_that_no_text_of_the_other_folds_has_is_not_known_to_whoever_is_judged_by_its_fold(context):
    """All tokens of the table would let the rows that certify lose nothing, and new ones would."""
    *_, candidate = member("compress.techniques", "encoder_vocabulary")(context)
    (own,) = (fold for fold in (0, 1) if 0 in context.prepared.table.outside(fold))
    whole, without = candidate.make(ALL), candidate.make(own)
    read = {fold: context.encoded(np.arange(ROWS), made.encoder, made.embedding).vectors
            for fold, made in ((ALL, whole), (own, without), (1 - own, candidate.make(1 - own)))}  # fmt: skip

    assert without.encoder.subwords.size == whole.encoder.subwords.size - 1
    assert np.array_equal(read[1 - own], read[ALL]) and np.array_equal(read[own][1:], read[ALL][1:])
    (note,) = context.prepared.dataset.take(np.array([0])).values("note")
    alone = without.embedding.sentences.embedded(without.encoder.one({"note": note})).vectors[0]
    # By so much more than the rounding that is allowed: int8 is .04 here with VNNI, and more without.
    assert np.abs(alone - read[ALL][0]).max() > 100 * ROUNDED
    assert read[own][0] == pytest.approx(alone, abs=ROUNDED)


def test_beside_members_of_another_kind_the_head_is_fitted_again_and_answers_alone(context, monkeypatch):
    trees = replace(context.members[0], configuration=Configuration("trees", "boosted_trees"))
    monkeypatch.setattr(context, "members", (*context.members, trees))
    (candidate,) = member("compress.techniques", "int8")(context)
    assert type(candidate.make(0).pipeline) is LinearPipeline


def test_layers_that_lose_too_much_get_more_neurons(context):
    (candidate,) = member("compress.techniques", "narrower_layers")(context)
    forms = [candidate.make(0), *(each.make(0) for each in candidate.milder())]

    kept = [[len(layer.narrower.weight) for layer in each.embedding.sentences.transformer.of.layers] for each in forms]
    assert kept[0] == [6] and {9} in map(set, kept[1:]) and kept[-1] == [6, 6]
    whole = context.prepared.embedding.sentences.whole
    assert [len(layer.narrower.weight) for layer in whole.layers] == [12, 12]


def test_windows_that_lose_too_much_are_made_wider(context, monkeypatch):
    (candidate,) = member("compress.techniques", "static_windows")(context)
    forms = [candidate, *candidate.milder()]
    widths = [each.make(0).embedding.sentences.width for each in forms]
    assert widths == [times * widths[0] for times in (1, 2, 3, 4)]
    kernel, _ = context.memo["kernel", 96, 0, 0]
    monkeypatch.setitem(context.memo, ("kernel", 96, 0, 0), (kernel, 1e6))
    assert forms[1].make(0).seconds > 1e6  # though half of it was learned already
    assert len({each.name for each in forms}) == len(forms)


def test_several_who_learned_the_same_say_what_one_says(context, monkeypatch):
    (candidate,) = member("compress.techniques", "static_windows")(context)
    one = candidate.make(0)
    kernel = context.memo["kernel", 96, 0, 0]
    for number in (1, 2):
        monkeypatch.setitem(context.memo, ("kernel", 96, 0, number), kernel)
    three = candidate.milder()[1].make(0)

    assert three.embedding.sentences.width == 3 * one.embedding.sentences.width
    assert _said(context, three) == pytest.approx(_said(context, one), abs=0.02)


def test_windows_learn_from_synthetic_texts_too_but_not_from_those_of_rows_that_judge(context):
    found = synthetic_texts(context, reader(context).embedding)

    assert found is not None and len(found.rows) == ROWS
    whole = encoded_of(context.prepared.dataset, context.encoder)
    assert 0.6 < found.encoded.token_mask.sum() / whole.token_mask.sum() < 0.9
    for fold in (0, 1):
        inside = context.inside(fold)
        wanted, epochs = static_windows._examples(context, reader(context), fold)
        examples = wanted.examples
        others, rows = found.of(inside)
        assert np.array_equal(rows, inside)
        assert examples.rows == 2 * len(inside) and epochs == 7
        assert np.array_equal(examples.mask[len(inside) :].sum(axis=1), found.encoded.token_mask[inside].sum(axis=1))
        assert np.allclose(examples.targets[len(inside) :], context.teacher(fold).scores(others))


def test_windows_begin_with_what_words_say_of_rows_that_they_do_not_know(context):
    beside = reader(context).beside(0)
    inside = context.inside(0)
    some = inside[::3]

    said = beside.of(context.encoded(some), some)
    for part, model in enumerate(beside.apart):
        own = beside.parts[np.searchsorted(inside, some)] == part
        alone = LinearPipeline(beside.features, model).scores(context.encoded(some[own]))[:, 1]
        assert 1 / (1 + np.exp(-said[own, 0])) == pytest.approx(alone)
        others = np.flatnonzero(beside.parts != part)
        assert 0 < len(others) < len(inside)
    examples = static_windows._examples(context, reader(context), 0)[0].examples
    assert np.array_equal(examples.known[: len(inside)][::3, 1:] - examples.known[: len(inside)][::3, :1], 0.5 * said)


def test_what_is_nominated_may_read_texts_in_the_time_kept_free_for_it(context):
    late = replace(context, deadline=standing(left=150.0, of=1_000.0), seed=7, memo={}, _read={})
    (candidate,) = member("compress.techniques", "static_windows")(late)

    made = candidate.make(ALL)
    with pytest.raises(NoTime, match="read the texts again"):
        late.encoded(np.arange(3), made.encoder, made.embedding)
    late.finishing = True
    assert late.encoded(np.arange(3), made.encoder, made.embedding).vectors is not None


def test_where_there_is_no_time_windows_learn_from_real_texts_alone(context, monkeypatch):
    monkeypatch.setitem(context.memo, "synthetic texts", None)
    monkeypatch.delitem(context.memo, ("windows' examples", 0), raising=False)
    wanted, epochs = static_windows._examples(context, reader(context), 0)
    examples = wanted.examples
    assert len(examples.tokens) == examples.rows == len(context.inside(0)) and epochs == 12
    del context.memo["windows' examples", 0]


def test_what_an_encoder_read_is_not_read_again(context, monkeypatch):
    (candidate, *_) = member("compress.techniques", "int8")(context)
    candidate.make(0)
    monkeypatch.setattr("aias.compress.context.embedded", lambda *_, **__: pytest.fail("it was read again"))
    candidate.make(1)


def test_only_the_rows_that_are_judged_are_read_by_who_answers_with_the_heads_as_they_were(context, monkeypatch):
    late = replace(context, memo={}, _read={})
    (candidate,) = member("compress.techniques", "int8")(late)
    made, rows, asked = candidate.make(0), context.prepared.table.outside(0), []

    def read(_self: Context, embedding: object, rows: np.ndarray) -> Encoded:
        asked.append(rows)
        return whole.take(rows)

    whole = context.encoded(np.arange(ROWS), made.encoder, made.embedding)
    monkeypatch.setattr(Context, "_read_now", read)
    assert np.array_equal(late.encoded(rows, made.encoder, made.embedding).vectors, whole.vectors[rows])
    assert np.array_equal(np.concatenate(asked), rows)


@pytest.mark.parametrize("large", ["the parent", "int8"])
@pytest.mark.parametrize("small", ["words", "static_embeddings"])
def test_a_cascade_reads_the_texts_once_more_only_for_the_rows_that_go_on(context, small, large):
    """Whatever the two read: words, vectors of their own, or those of the parent."""
    members = {name: next(iter(member("compress.techniques", name)(context))) for name in ("static_embeddings", "int8")}
    words = Configuration("words alone", "linear", {"ratios": True, "C": 1.0})
    first = fitted(context, words) if small == "words" else members[small]
    nothing = np.zeros(0, np.int64)
    known = [Known(name, nothing, np.zeros((0, 2)), None, 1.0, 1, each and each.make)
             for name, each in ((small, first), (large, members.get(large)))]  # fmt: skip
    middle = float(np.median(first.make(0).pipeline.scores(_read(context, first.make(0)))[:, 1]))
    cascade = _candidate(context, Split(*known, DeferralRule(middle - 0.02, middle + 0.05), 0.2, 1.0), 0)
    for fold in (0, ALL):
        made = cascade.make(fold)
        said, sent = made.pipeline.scores(_read(context, made)), made.pipeline.sends(_read(context, made))
        alone = first.make(fold)
        assert 0 < sent.mean() < 1
        assert np.array_equal(said[~sent], alone.pipeline.scores(_read(context, alone))[~sent])
        _, runtime = compiled(
            made.pipeline, made.encoder, context.parent.manifest, made.embedding or context.prepared.embedding
        )
        embedding = made.embedding or context.prepared.embedding
        usual = context.prepared.dataset.take(np.arange(60)).frame.select(["note"]).to_dicts()
        prove(embedding.expected(made.pipeline), runtime.encoder, runtime, [*usual, {}, {"note": "a " * 40}])
        assert runtime.session.reads_tokens
        assert runtime.session.two_ways
        assert np.abs(runtime.run(runtime.encoder.rows(usual)) - said[:60]).max() < 1e-4
    assert fair(context, made, 0.25, [])[0].keys() == {"note"}


def _said(context: Context, made: Made) -> np.ndarray:
    return made.pipeline.scores(_read(context, made))


def _read(context: Context, made: Made) -> Encoded:
    return context.encoded(np.arange(ROWS), made.encoder, made.embedding)


def test_bfloat16_needs_an_engine_that_computes_it_and_rows_that_it_answered(context, monkeypatch):
    from aias.compress.techniques import bfloat16 as technique

    monkeypatch.setattr(technique, "_computes", lambda _name: False)
    with pytest.raises(NotApplicable, match="openvino"):
        list(technique.bfloat16(context))
    monkeypatch.setattr(technique, "_computes", lambda _name: True)
    with pytest.raises(NotApplicable, match="test"):
        list(technique.bfloat16(context))


def test_in_bfloat16_no_row_certifies_that_was_answered_in_float32(context, monkeypatch):
    """Where there is one fold, half of its rows certify beside the test, by what a fit says and not an engine."""
    from dataclasses import replace

    from aias.compress.techniques import bfloat16 as technique

    monkeypatch.setattr(technique, "_computes", lambda _name: True)
    monkeypatch.setattr(context, "prepared", replace(context.prepared, test=context.prepared.dataset))
    monkeypatch.setattr(context, "certifying", np.arange(5))
    with pytest.raises(NotApplicable, match="only fold"):
        list(technique.bfloat16(context))


def test_what_no_engine_computes_faster_is_not_made(context, monkeypatch):
    from dataclasses import replace

    from aias.compress.served import as_served
    from aias.compress.techniques import bfloat16 as technique
    from aias.compress.trial import Trial

    monkeypatch.setattr(technique, "_computes", lambda _name: True)
    monkeypatch.setattr(context, "prepared", replace(context.prepared, test=context.prepared.dataset))
    monkeypatch.setattr("aias.runtimes.engine_choice.members", lambda _folder: ("onnxruntime",))
    (whole, lower) = technique.bfloat16(context)
    for each in (whole, lower):
        made = each.make(0)
        assert made.precision == "bfloat16"
        files, runtime = compiled(made.pipeline, made.encoder, context.parent.manifest, made.embedding)
        with pytest.raises(UserError, match="no engine computes it in bfloat16"):
            as_served(Trial(each, "bfloat16"), runtime, files, made, watch=nobody)


def test_without_a_sentence_encoder_they_say_so(context, monkeypatch):
    from dataclasses import replace

    monkeypatch.setattr(context, "prepared", replace(context.prepared, embedding=None))
    for name in TECHNIQUES:
        with pytest.raises(NotApplicable, match="sentence encoder"):
            list(member("compress.techniques", name)(context))


def test_texts_are_not_read_in_the_time_that_is_kept_for_finishing(context, monkeypatch, tmp_path):
    monkeypatch.setattr(context, "deadline", standing(left=20.0, of=100.0))
    monkeypatch.setattr(context.fitter, "ledger", Ledger(tmp_path))  # which knows no vectors
    monkeypatch.setattr(context, "_read", {})
    (candidate, *_) = member("compress.techniques", "static_embeddings")(context)
    with pytest.raises(UserError, match="no time to read the texts again"):
        candidate.make(0)


@pytest.mark.parametrize("name", ["int8", "encoder_vocabulary"])
def test_what_reads_by_an_encoder_of_its_own_says_that_nothing_goes_on_from_it(context, name):
    """It was said to read other columns, terms or tokens, which of int8 was not so."""
    (first, *_), proof = member("compress.techniques", name)(context), {"technique": name}
    manifest = SimpleNamespace(lineage=SimpleNamespace(settings={"proof": proof}), leaderboard=[first])

    with pytest.raises(UserError) as fault:
        stacked(context, [SimpleNamespace(ref="m@2", manifest=manifest)])

    assert fault.value.message.startswith(f"m@2 reads sentences by another encoder, which {name} made of that of m@1")
    assert fault.value.hint.startswith("compress m@1 once more")
