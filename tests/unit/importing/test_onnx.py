"""Graphs as exporters write them: what they read, what they give, and how that becomes a version."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

import aias
from aias.core.errors import UserError
from aias.core.schema import SchemaMismatch
from aias.importing.formats.contract import Plan, UnfitModel
from aias.importing.formats.onnx import Onnx
from aias.importing.proof import NotProved
from foreign import LABELS, WEIGHTS, classifier_model, columns_model, houses, rows, saved, softmax_model, tensor, value


def run(foreign: Onnx, plan: Plan, x: Any) -> Any:
    graph = onnxruntime.InferenceSession(foreign.write(plan))
    return graph.run([graph.get_outputs()[0].name], {"columns": x})[0].reshape(len(x), -1)


def test_a_matrix_of_columns_becomes_a_version_that_answers_alike(tmp_path: Path) -> None:
    path, held, told = softmax_model(tmp_path / "net.onnx"), rows(), list[Any]()

    model = aias.import_model(path, like=held, home=tmp_path, classes=LABELS, watch=told.append)

    x = np.array([held[name] for name in "abc"], np.float32).T
    own = onnxruntime.InferenceSession(path).run(None, {"input": x})[0]
    np.testing.assert_allclose(model.predict_proba(held), own, atol=1e-6)
    assert model.predict(held).tolist() == [LABELS[at] for at in own.argmax(axis=1)]
    assert model.manifest.task.classes == LABELS and not model.manifest.measurements
    assert "import.no-answer" in [event.name for event in told]  # a net knows no missing values
    assert "Not measured" in (model.folder / "card.md").read_text("utf-8")


def test_a_card_says_why_it_tells_nothing_of_the_importance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aias.training.scoring.report.IMPORTANCE_SECONDS_MAX", 0.0)
    held = rows() | {"y": [LABELS[at % len(LABELS)] for at in range(40)]}

    model = aias.import_model(
        softmax_model(tmp_path / "net.onnx"), like=held, target="y", classes=LABELS, home=tmp_path
    )

    said = "feature importance is left out: 3 fields would take longer than there is"
    assert model.manifest.measurements and model.manifest.notes == (said,)
    assert (model.folder / "card.md").read_text("utf-8").count(said) == 1


@pytest.mark.parametrize("none", [True, False])
def test_rows_of_which_the_answer_is_infinite_measure_nothing(none: bool, tmp_path: Path) -> None:
    """It was published with numpy's warnings in place of a measurement."""
    at = helper.make_node("Gather", ["input", "first"], ["one"], axis=1)
    nodes = [at, helper.make_node("Div", ["big", "one"], ["y"])]
    path = saved(
        tmp_path / "net.onnx", nodes, [value("input", ["N", 3])], [value("y", ["N", 1])],
        [tensor("first", np.array([0])), tensor("big", np.array([1.0], np.float32))],
    )  # fmt: skip
    held, told = rows() | {"y": [1.0, 2.0] * 20}, list[Any]()
    held["a"] = [0.0 if none or i < 5 else 0.5 for i in range(40)]
    if none:
        with pytest.raises(UserError, match=r"no answer \(NaN, or infinite\) for any of the 40 rows"):
            aias.import_model(path, like=held, target="y", home=tmp_path)
        return
    model = aias.import_model(path, like=held, target="y", home=tmp_path, watch=told.append)
    assert model.manifest.measurements[0].n == 35 and np.isfinite(model.manifest.measurements[0].value)
    assert "5 rows are not measured on" in next(e.message for e in told if e.name == "import.not-measured")


def test_rows_that_a_network_answers_none_of_cannot_compress_it(tmp_path: Path) -> None:
    model = aias.import_model(softmax_model(tmp_path / "net.onnx"), like=rows(), home=tmp_path, classes=LABELS)
    gaps = rows() | {"a": [None] * 40}
    with pytest.raises(UserError, match=r"net@1 has no answer \(NaN, or infinite\) for any of these rows"):
        model.compress(data=gaps, time="5s")


def test_labels_and_a_dict_for_each_row_are_probabilities_with_their_classes(tmp_path: Path) -> None:
    foreign = Onnx.read(classifier_model(tmp_path / "zip.onnx"))
    plain = Onnx.read(classifier_model(tmp_path / "plain.onnx", zipped=False))

    x = np.array([rows()[name] for name in "abc"]).T
    for each in (foreign, plain):
        said = each.description
        assert said.task == "multiclass" and said.classes == LABELS and said.labels
        plan = Plan("multiclass", LABELS)
        scores, labels = each.answer(list(x.T), plan)
        assert labels == [LABELS[at] for at in scores.argmax(axis=1)]
        np.testing.assert_allclose(run(each, plan, x), scores, atol=1e-6)


def test_an_input_a_column_is_found_by_its_name_and_categories_as_the_graph_spells_them(tmp_path: Path) -> None:
    model = aias.import_model(columns_model(tmp_path / "houses.onnx"), like=houses(), home=tmp_path)

    assert [field.name for field in model.manifest.inputs] == ["area", "floors", "city"]
    assert [field.name for field in model.manifest.ignored] == ["id"]
    own = onnxruntime.InferenceSession(tmp_path / "houses.onnx")
    cities = np.array([["Paris"], [" Rome"], ["Kyiv"]], object)
    feeds = {"area": np.full((3, 1), 90, np.float32), "floors": np.full((3, 1), 2), "city": cities}
    asked = [{"area": 90.0, "floors": 2, "city": str(city)} for city in cities.ravel()]
    np.testing.assert_allclose(model.predict(asked), own.run(None, feeds)[0].ravel(), rtol=1e-6)


def test_an_encoder_that_refuses_what_it_does_not_know_is_told_what_to_set(tmp_path: Path) -> None:
    path = columns_model(tmp_path / "houses.onnx", zeros=0)  # as scikit-learn's `OneHotEncoder()`

    with pytest.raises(UnfitModel, match="no answer to categories that it does not know") as refused:
        aias.import_model(path, like=houses(), home=tmp_path)
    assert 'handle_unknown = "ignore"' in refused.value.hint


def test_a_column_that_is_missing_is_named(tmp_path: Path) -> None:
    path = columns_model(tmp_path / "houses.onnx")
    held = {name: values for name, values in houses().items() if name != "floors"}

    with pytest.raises(SchemaMismatch, match="no column `floors`"):
        aias.import_model(path, like=held, home=tmp_path)


def test_a_batch_that_is_fixed_is_made_free(tmp_path: Path) -> None:
    foreign = Onnx.read(softmax_model(tmp_path / "one.onnx", batch=1, opset=11))
    plan, x = Plan("multiclass", LABELS), np.array([rows()[name] for name in "abc"]).T

    scores, _ = foreign.answer(list(x.T), plan)

    np.testing.assert_allclose(run(foreign, plan, x), scores, atol=1e-6)


def test_rows_that_know_each_other_are_not_proved(tmp_path: Path) -> None:
    """A softmax over the rows: what a row is answered depends on who stands beside it."""
    nodes = [helper.make_node("MatMul", ["input", "w"], ["z"]), helper.make_node("Softmax", ["z"], ["p"], axis=0)]
    tensors = [tensor("w", WEIGHTS[:, :1])]
    path = saved(tmp_path / "m.onnx", nodes, [value("input", ["N", 3])], [value("p", ["N", 1])], tensors)

    with pytest.raises(NotProved, match="otherwise alone"):
        aias.import_model(path, like=rows(), home=tmp_path)
    assert not aias.models(home=tmp_path)


@pytest.mark.parametrize("far", [0.0, 1e6])
def test_a_sum_in_float32_may_be_off_by_what_rounding_its_columns_changes(far: float, tmp_path: Path) -> None:
    """Two hundred columns of which the terms cancel; far from 0 they lose all their digits."""
    rng = np.random.default_rng(3)
    x, w = (rng.normal(size=(300, 200)) + far), rng.normal(size=200) * 3
    w -= w.mean() if far else 0
    nodes = [helper.make_node("LinearRegressor", ["X"], ["y"], domain="ai.onnx.ml", coefficients=w.tolist(),
                              intercepts=[0.5])]  # fmt: skip
    path = saved(tmp_path / "linear.onnx", nodes, [value("X", ["N", 200])], [value("y", ["N", 1])])
    held = {f"c{at}": x[:, at].tolist() for at in range(200)}

    if far:
        with pytest.raises(NotProved, match="otherwise alone") as refused:
            aias.import_model(path, like=held, home=tmp_path)
        assert "scale the columns" in refused.value.hint and "free batch" not in refused.value.hint
        return
    model = aias.import_model(path, like=held, home=tmp_path)
    assert 1e-5 < model.manifest.parity.batch_difference_max < 1e-3
    np.testing.assert_allclose(model.predict(held), x @ w + 0.5, atol=1e-3)


def test_who_has_an_answer_for_no_row_is_not_proved_nor_measured(tmp_path: Path) -> None:
    """Nobody knows a missing value there, and of each row one is missing; or of each whose answer is known."""
    path, held = softmax_model(tmp_path / "m.onnx"), rows()
    for place in range(40):
        held["ab"[place % 2]][place] = None
    colours = [LABELS[place % 3] for place in range(40)]
    with pytest.raises(NotProved, match="no answer"):
        aias.import_model(path, like=held | {"colour": colours}, target="colour", home=tmp_path, classes=LABELS)

    held["a"][0], colours[0] = 0.5, None
    with pytest.raises(UserError, match="39 rows that hold `colour`"):
        aias.import_model(path, like=held | {"colour": colours}, target="colour", home=tmp_path, classes=LABELS)


def test_labels_of_its_own_that_are_not_the_most_probable_are_not_proved(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["input", "w"], ["z"]), helper.make_node("Softmax", ["z"], ["p"], axis=1),
        helper.make_node("ArgMin", ["z"], ["label"], axis=1, keepdims=0),
    ]  # fmt: skip
    outputs = [value("label", ["N"], TensorProto.INT64), value("p", ["N", 3])]
    path = saved(tmp_path / "m.onnx", nodes, [value("input", ["N", 3])], outputs, [tensor("w", WEIGHTS)])

    with pytest.raises(NotProved, match="labels differ"):
        aias.import_model(path, like=rows(), home=tmp_path)


def test_classes_are_those_of_the_label_and_not_of_models_within(tmp_path: Path) -> None:
    """As skl2onnx writes stacking: a classifier of numbers within, and labels picked from a list at the end."""
    nodes = [
        helper.make_node("LinearClassifier", ["input"], ["first", "own"], domain="ai.onnx.ml", multi_class=1,
                         post_transform="SOFTMAX", coefficients=WEIGHTS.ravel().tolist(), intercepts=[0.1, 0.0, -0.1],
                         classlabels_ints=[0, 1, 2]),
        helper.make_node("MatMul", ["own", "w"], ["z"]), helper.make_node("Softmax", ["z"], ["p"], axis=1),
        helper.make_node("ArgMax", ["p"], ["at"], axis=1, keepdims=0),
        helper.make_node("ArrayFeatureExtractor", ["names", "at"], ["picked"], domain="ai.onnx.ml"),
        helper.make_node("Reshape", ["picked", "flat"], ["label"]),
    ]  # fmt: skip
    names, flat = helper.make_tensor("names", TensorProto.STRING, [3], [each.encode() for each in LABELS]), [-1]
    outputs = [value("label", ["N"], TensorProto.STRING), value("p", ["N", 3])]
    tensors = [tensor("w", WEIGHTS), names, tensor("flat", np.array(flat))]
    path = saved(tmp_path / "m.onnx", nodes, [value("input", ["N", 3])], outputs, tensors)

    model = aias.import_model(path, like=rows(), home=tmp_path)

    assert model.manifest.task.classes == LABELS


@pytest.mark.parametrize(("last", "fits"), [("Identity", True), ("Greater", False)])
def test_an_older_operator_set_is_read_where_its_operators_are_the_same(last: str, fits: bool, tmp_path: Path) -> None:
    """As onnxmltools writes LightGBM's regressors, whatever set is asked for; `Greater` takes other types since 9."""
    nodes = [helper.make_node("Exp", ["input"], ["z"]),
             helper.make_node(last, ["z", "z"] if last == "Greater" else ["z"], ["p"])]  # fmt: skip
    given = value("p", ["N", 1], TensorProto.FLOAT if fits else TensorProto.BOOL)
    path = saved(tmp_path / "m.onnx", nodes, [value("input", ["N", 1])], [given], opset=8)

    if fits:
        model = aias.import_model(path, like={"a": [0.0, 1.0]}, home=tmp_path)
        np.testing.assert_allclose(model.predict({"a": [0.0, 1.0]}), np.exp([0.0, 1.0]), rtol=1e-6)
    else:
        with pytest.raises(UnfitModel, match="its operator set is 8"):
            Onnx.read(path)


def test_scores_that_are_one_and_its_negative_are_told_of(tmp_path: Path) -> None:
    """As skl2onnx writes the decision values of two classes."""
    mirrored, told = np.stack([-WEIGHTS[:, 0], WEIGHTS[:, 0]], axis=1), list[Any]()
    for name, weights in (("two", mirrored), ("apart", WEIGHTS[:, :2])):
        path = saved(tmp_path / f"{name}.onnx", [helper.make_node("MatMul", ["input", "w"], ["z"])],
                     [value("input", ["N", 3])], [value("z", ["N", 2])], [tensor("w", weights)])  # fmt: skip
        aias.import_model(path, like=rows(), home=tmp_path, name=name, scores="logits", watch=told.append)

    assert len([each for each in told if each.name == "import.doubt" and "sigmoid of 2z" in each.message]) == 1


def test_a_table_of_vectors_that_does_not_bound_its_places_is_told_of(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.onnx", [helper.make_node("Gather", ["table", "kind"], ["p"])],
                 [value("kind", ["N"], TensorProto.INT64)], [value("p", ["N", 1])],
                 [tensor("table", WEIGHTS[:, :1])])  # fmt: skip

    with pytest.raises(UnfitModel, match="have no place") as fault:
        aias.import_model(path, like={"kind": [0, 1, 2]}, home=tmp_path)

    assert "clamp" in fault.value.hint


def test_a_share_of_0_that_was_added_up_in_float32_is_a_probability(tmp_path: Path) -> None:
    nodes = [helper.make_node("Slice", ["input", "from", "to", "axis"], ["a"]),
             helper.make_node("Mul", ["a", "none"], ["nothing"]),
             helper.make_node("Add", ["nothing", "shares"], ["p"])]  # fmt: skip
    tensors = [tensor("from", np.array([0])), tensor("to", np.array([1])), tensor("axis", np.array([1])),
               tensor("none", np.zeros((1, 1), np.float32)),
               tensor("shares", np.array([[-7.45e-9, 1.0]], np.float32))]  # fmt: skip
    path = saved(tmp_path / "m.onnx", nodes, [value("input", ["N", 3])], [value("p", ["N", 2])], tensors)

    assert aias.import_model(path, like=rows(), home=tmp_path).predict(rows()).tolist() == [1] * 40


def test_numbers_that_are_no_probabilities_need_a_word(tmp_path: Path) -> None:
    path = softmax_model(tmp_path / "m.onnx", logits=True)

    with pytest.raises(UserError, match="no probabilities") as refused:
        aias.import_model(path, like=rows(), home=tmp_path)
    assert "several amounts" in refused.value.hint
    foreign = Onnx.read(path)
    plan, x = Plan("multiclass", LABELS, "logits"), np.array([rows()[name] for name in "abc"]).T
    scores, _ = foreign.answer(list(x.T), plan)
    np.testing.assert_allclose(scores.sum(axis=1), 1)
    np.testing.assert_allclose(run(foreign, plan, x), scores, atol=1e-6)


@pytest.mark.parametrize("scores", ["probabilities", "logits"])
def test_one_number_for_two_classes_is_that_of_the_second(scores: Any, tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["input", "w"], ["z"]), helper.make_node("Sigmoid", ["z"], ["p"])]
    out = "p" if scores == "probabilities" else "z"
    tensors = [tensor("w", WEIGHTS[:, :1])]
    path = saved(tmp_path / "m.onnx", nodes, [value("input", ["N", 3])], [value(out, ["N", 1])], tensors)

    foreign = Onnx.read(path)

    plan, x = Plan("binary", ("no", "yes"), scores), np.array([rows()[name] for name in "abc"]).T
    told = 1 / (1 + np.exp(-(x @ WEIGHTS[:, :1])))
    np.testing.assert_allclose(run(foreign, plan, x), np.hstack([1 - told, told]), atol=1e-6)
    np.testing.assert_allclose(foreign.answer(list(x.T), plan)[0], np.hstack([1 - told, told]), atol=1e-6)


@pytest.mark.parametrize("element", [TensorProto.INT32, TensorProto.UINT8, TensorProto.BOOL, TensorProto.DOUBLE])
def test_inputs_of_every_type_are_cast_alike(element: Any, tmp_path: Path) -> None:
    two = tensor("two", np.array([2.0], np.float32))
    nodes = [helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT), helper.make_node("Mul", ["f", "two"], ["y"])]
    path = saved(tmp_path / "m.onnx", nodes, [value("x", ["N"], element)], [value("y", ["N"])], [two])
    foreign, plan = Onnx.read(path), Plan("regression", ())
    x = np.array([[0.0], [2.7], [-2.7], [np.nan], [np.inf], [-np.inf], [1e30], [300.0]])

    scores, _ = foreign.answer(list(x.T), plan)

    np.testing.assert_array_equal(run(foreign, plan, x), scores)


@pytest.mark.parametrize("kind", ["Softmax", "Sigmoid"])
def test_a_network_in_float16_rounds_where_it_did(kind: str, tmp_path: Path) -> None:
    half = TensorProto.FLOAT16
    nodes = [helper.make_node("MatMul", ["input", "w"], ["z"]), helper.make_node(kind, ["z"], ["p"])]
    weights = tensor("w", WEIGHTS[:, : 3 if kind == "Softmax" else 1].astype(np.float16))
    path = saved(
        tmp_path / "m.onnx", nodes, [value("input", ["N", 3], half)], [value("p", ["N", None], half)], [weights]
    )

    model = aias.import_model(path, like=rows(), home=tmp_path, classes=LABELS if kind == "Softmax" else ("no", "yes"))

    x = np.array([rows()[name] for name in "abc"], np.float16).T
    own = onnxruntime.InferenceSession(path).run(None, {"input": x})[0]
    np.testing.assert_array_equal(model.predict_proba(rows())[:, -1], own[:, -1].astype(np.float32))


@pytest.mark.parametrize("shape", [[], [3, 3]])
def test_answers_that_are_not_one_a_row_are_refused(shape: list[int], tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["input", "w"], ["z"]), helper.make_node("ReduceMax", ["z"], ["all"], keepdims=0),
        helper.make_node("Mul", ["all", "w"], ["table"]),
    ]  # fmt: skip
    out = value("table" if shape else "all", shape)
    path = saved(tmp_path / "m.onnx", nodes, [value("input", ["N", 3])], [out], [tensor("w", WEIGHTS)])

    with pytest.raises(UnfitModel, match="answers 2 rows with the shape"):
        aias.import_model(path, like=rows(), home=tmp_path, classes=LABELS)


@pytest.mark.parametrize(
    ("outputs", "said"),
    [(["p", "z"], "2 answers"), (["label"], "labels without probabilities")],
)  # fmt: skip
def test_an_answer_that_is_none_is_told(outputs: list[str], said: str, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["input", "w"], ["z"]), helper.make_node("Softmax", ["z"], ["p"], axis=1),
        helper.make_node("ArgMax", ["z"], ["label"], axis=1, keepdims=0),
    ]  # fmt: skip
    known = {
        "p": value("p", ["N", 3]), "z": value("z", ["N", 3]), "label": value("label", ["N"], TensorProto.INT64)
    }  # fmt: skip
    given = [known[name] for name in outputs]
    path = saved(tmp_path / "m.onnx", nodes, [value("input", ["N", 3])], given, [tensor("w", WEIGHTS)])

    with pytest.raises(UnfitModel, match=said):
        Onnx.read(path)


def image_model(path: Path, *, size: int | str = 4, channels: int = 1) -> Path:
    """As PyTorch exports a small network of convolutions."""
    kernel = np.random.default_rng(2).normal(size=(3, channels, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "k"], ["c"], pads=[1, 1, 1, 1]), helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["g"]), helper.make_node("Flatten", ["g"], ["z"]),
        helper.make_node("Softmax", ["z"], ["p"], axis=1),
    ]  # fmt: skip
    return saved(
        path, nodes, [value("image", ["N", channels, size, size])], [value("p", ["N", 3])], [tensor("k", kernel)]
    )


def test_a_small_image_is_read_from_as_many_columns_in_their_order(tmp_path: Path) -> None:
    path = image_model(tmp_path / "image.onnx", channels=2)
    x = np.random.default_rng(0).normal(size=(20, 32)).round(3)
    held = {f"pixel{j:02}": x[:, j].tolist() for j in range(32)}

    model = aias.import_model(path, like=held, home=tmp_path, classes=LABELS)

    own = onnxruntime.InferenceSession(path).run(None, {"image": x.reshape(-1, 2, 4, 4).astype(np.float32)})[0]
    np.testing.assert_allclose(model.predict_proba(held), own, atol=1e-6)


@pytest.mark.parametrize(("size", "told"), [("side", "images"), (240, "over 10,000 numbers")])
def test_an_image_that_no_row_of_columns_can_be_is_refused(size: int | str, told: str, tmp_path: Path) -> None:
    with pytest.raises(UnfitModel, match=told):
        aias.import_model(image_model(tmp_path / "image.onnx", size=size), like=rows(4), home=tmp_path)


def test_a_metric_can_be_named_and_must_judge_such_a_model(tmp_path: Path) -> None:
    path = softmax_model(tmp_path / "net.onnx")

    model = aias.import_model(path, like=rows(), home=tmp_path, classes=LABELS, metric="accuracy")

    assert model.task.metric == "accuracy"
    with pytest.raises(UserError, match="`rmse` does not judge a multiclass model"):
        aias.import_model(path, like=rows(), home=tmp_path, classes=LABELS, metric="rmse")
