"""What skl2onnx writes of scikit-learn's models: neighbours by distances, support vectors, dicts of float64."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

import aias
from aias.graph.builder import Builder
from aias.importing.formats.contract import UnfitModel, UnreadableModel, UnsafeModel
from aias.importing.formats.onnx import Onnx
from aias.importing.safety import loaded
from aias.importing.signature import pruned
from foreign import LABELS, WEIGHTS, rows, saved, tensor, value

KNOWN = np.random.default_rng(3).normal(size=(30, 3)).astype(np.float32)
AMOUNTS = np.random.default_rng(4).normal(size=(30, 1)).astype(np.float32)


def nearest(path: Path, *, step: str = "Sub", through: str = "known") -> Path:
    """The mean amount of the three rows of `KNOWN` that are nearest."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["next_in"], ["next_out"]),
         helper.make_node(step, ["next_in", "next"], ["apart"]),
         helper.make_node("ReduceSumSquare", ["apart", "one"], ["reduced"], keepdims=0),
         helper.make_node("Identity", ["reduced"], ["scan_out"])],
        "body", [value("next_in", ["N", 3]), value("next", [3])],
        [value("next_out", ["N", 3]), value("scan_out", ["N"])],
        [tensor("one", np.array([1]))],
    )  # fmt: skip
    nodes = [
        helper.make_node("Scan", ["input", through], ["same", "distances"], body=body, num_scan_inputs=1),
        helper.make_node("Transpose", ["distances"], ["by_row"], perm=[1, 0]),
        helper.make_node("TopK", ["by_row", "three"], ["near", "places"], largest=0),
        helper.make_node("Gather", ["amounts", "places"], ["theirs"]),
        helper.make_node("ReduceMean", ["theirs", "axis"], ["p"], keepdims=0),
    ]
    tensors = [tensor("known", KNOWN), tensor("amounts", AMOUNTS), tensor("three", np.array([3])),
               tensor("axis", np.array([1]))]  # fmt: skip
    return saved(path, nodes, [value("input", ["N", 3])], [value("p", ["N", 1])], tensors, opset=18)


def expected(x: Any) -> Any:
    apart = ((x[:, None] - KNOWN) ** 2).sum(axis=2)
    return AMOUNTS[np.argsort(apart, axis=1, kind="stable")[:, :3], 0].mean(axis=1)


def test_nearest_neighbours_go_through_constant_rows_and_are_imported(tmp_path: Path) -> None:
    held = rows()

    model = aias.import_model(nearest(tmp_path / "m.onnx"), like=held, home=tmp_path)

    np.testing.assert_allclose(model.predict(held), expected(np.array([held[name] for name in "abc"]).T), atol=1e-5)


@pytest.mark.parametrize("other", [{"step": "Gather"}, {"step": "Mod"}, {"through": "input"}])
def test_steps_of_something_else_or_through_what_a_row_decides_are_refused(
    other: dict[str, str], tmp_path: Path
) -> None:
    with pytest.raises(UnsafeModel, match="`Scan`, whose work"):
        loaded(nearest(tmp_path / "m.onnx", **other))


def test_what_steps_take_of_a_row_from_around_them_decides_no_size(tmp_path: Path) -> None:
    """As an input of its node, it would be seen; the graph within reads it, too, where it is none."""
    step = helper.make_node("Identity", ["input"], ["row"])
    body = helper.make_graph([step], "body", [value("next", [3])], [value("row", ["N", 3])])
    nodes = [
        helper.make_node("Scan", ["known"], ["stacked"], body=body, num_scan_inputs=1),
        helper.make_node("ReduceMax", ["stacked"], ["most"], keepdims=0),
        helper.make_node("Cast", ["most"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Reshape", ["whole", "one"], ["size"]),
        helper.make_node("ConstantOfShape", ["size"], ["p"]),
    ]
    tensors = [tensor("known", KNOWN), tensor("one", np.array([1]))]
    path = saved(tmp_path / "m.onnx", nodes, [value("input", ["N", 3])], [value("p", ["N"])], tensors, opset=18)

    with pytest.raises(UnsafeModel, match="decided by a row's values"):
        loaded(path)


def test_one_graph_can_be_written_twice_with_the_graphs_within(tmp_path: Path) -> None:
    model = loaded(nearest(tmp_path / "m.onnx"))
    graph, opsets = pruned(model, "p")
    builder = Builder(width=3, texts=0, opsets=opsets, ir_version=10)
    feed = builder.op("Cast", builder.columns, to=TensorProto.FLOAT)
    first = builder.graft(graph, {"input": feed})("p")
    other = Builder(width=3, texts=0, opsets=opsets, ir_version=10, prefix="second/")
    assert first != other.graft(graph, {"input": feed})("p")
    written = builder.finish(builder.op("Cast", first, to=TensorProto.DOUBLE), classes=())

    x = np.random.default_rng(5).normal(size=(7, 3))
    found = onnxruntime.InferenceSession(written).run(None, {"columns": x})[0]
    np.testing.assert_allclose(found, expected(x), atol=1e-5)


def test_a_dict_of_float64_that_onnx_runtime_does_not_make_is_not_asked_for(tmp_path: Path) -> None:
    """As `to_onnx(model, X)` writes classifiers where X is float64."""
    maps = helper.make_sequence_type_proto(
        helper.make_map_type_proto(TensorProto.STRING, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    )
    names = helper.make_tensor("names", TensorProto.STRING, [3], [each.encode() for each in LABELS])
    nodes = [
        helper.make_node("MatMul", ["input", "w"], ["z"]), helper.make_node("Softmax", ["z"], ["scores"], axis=1),
        helper.make_node("ArgMax", ["scores"], ["at"], axis=1, keepdims=0),
        helper.make_node("Gather", ["names", "at"], ["label"]),
        helper.make_node("ZipMap", ["scores"], ["maps"], domain="ai.onnx.ml", classlabels_strings=list(LABELS)),
    ]  # fmt: skip
    outputs = [value("label", ["N"], TensorProto.STRING), helper.make_value_info("maps", maps)]
    path = saved(tmp_path / "m.onnx", nodes, [value("input", ["N", 3], TensorProto.DOUBLE)], outputs,
                 [tensor("w", WEIGHTS.astype(np.float64)), names])  # fmt: skip

    model = aias.import_model(path, like=rows(), home=tmp_path)

    assert model.manifest.task.classes == LABELS
    sums = np.array([rows()[name] for name in "abc"]).T @ WEIGHTS
    assert model.predict(rows()).tolist() == [LABELS[at] for at in sums.argmax(axis=1)]


def machine(path: Path, **platt: Any) -> Path:
    """A support vector machine whose sum is the first column, and a little."""
    nodes = [
        helper.make_node(
            "SVMClassifier", ["input"], ["label", "svm"], domain="ai.onnx.ml", classlabels_strings=["no", "yes"],
            coefficients=[1.0, -1.0], support_vectors=[0.5, 0.0, 0.0, -0.5, 0.0, 0.0], vectors_per_class=[1, 1],
            rho=[0.0005], kernel_type="LINEAR", kernel_params=[0.5, 0.0, 3.0], **platt,
        ),
        helper.make_node("Cast", ["svm"], ["p"], to=TensorProto.FLOAT),
    ]  # fmt: skip
    outputs = [value("label", ["N"], TensorProto.STRING), value("p", ["N", 2])]
    return saved(path, nodes, [value("input", ["N", 3])], outputs)


def test_sums_of_two_classes_that_are_told_the_wrong_way_round_are_turned(tmp_path: Path) -> None:
    """As ONNX Runtime answers for `SVC()`: the label is the class of the smaller."""
    model = aias.import_model(machine(tmp_path / "m.onnx"), like=rows(), home=tmp_path, scores="logits")

    sums = np.array(rows()["a"]) + 0.0005
    assert model.predict(rows()).tolist() == ["no" if each > 0 else "yes" for each in sums]
    np.testing.assert_allclose(model.predict_proba(rows())[:, 0], 1 / (1 + np.exp(-2 * sums)), atol=1e-5)


@pytest.mark.parametrize("offset", [0.8, -0.8])
def test_the_label_of_a_support_vector_machine_is_its_own_and_not_that_above_a_half(
    offset: float, tmp_path: Path
) -> None:
    """Platt's probability of the first class is above 1 / (1 + e^B) where the sum is above 0."""
    path, told = machine(tmp_path / "m.onnx", prob_a=[-2.0], prob_b=[offset]), list[Any]()

    model = aias.import_model(path, like=rows(), home=tmp_path, watch=told.append)

    found, chances = model.predict(rows()).tolist(), model.predict_proba(rows())
    assert found == ["no" if first + 0.0005 > 0 else "yes" for first in rows()["a"]]
    assert found != [("no", "yes")[at] for at in chances.argmax(axis=1)]
    assert (
        chances[np.array(found) == "no", 0].min()
        > 1 / (1 + np.exp(offset))
        > chances[np.array(found) == "yes", 0].max()
    )
    assert any("is missing" in each.message for each in told if each.name == "import.note")
    assert Onnx.read(path).description.label_weights


def of_three(path: Path, *, counted: str = "", **platt: Any) -> Path:
    """A support vector machine of three classes whose sums are a - b, c - a and b - c; where a > b > c each has one
    vote. `counted`: what its scores are made of besides, as `decision_function_shape="ovr"` is."""
    machine = helper.make_node(
        "SVMClassifier", ["input"], ["label", "sums"], domain="ai.onnx.ml", classlabels_strings=list(LABELS),
        coefficients=[1.0, -1.0, 1.0, -1.0, 1.0, -1.0], support_vectors=np.eye(3).ravel().tolist(),
        vectors_per_class=[1, 1, 1], rho=[0.0, 0.0, 0.0], kernel_type="LINEAR", kernel_params=[0.0, 0.0, 0.0], **platt,
    )  # fmt: skip
    turned = np.array([[1.0, -1.0, 0.0], [1.0, 0.0, -1.0], [0.0, 1.0, -1.0]], np.float32)
    nodes = [machine, *(
        [helper.make_node("Greater", ["sums", "zero"], ["won"]),
         helper.make_node("Cast", ["won"], ["w"], to=TensorProto.FLOAT),
         helper.make_node("MatMul", ["w", "turned"], ["wins"]), helper.make_node("Add", ["wins", "seconds"], ["votes"]),
         helper.make_node("MatMul", ["sums", "turned"], ["said"]), helper.make_node(counted, ["said"], ["size"]),
         helper.make_node("Add", ["size", "one"], ["more"]), helper.make_node("Mul", ["more", "three"], ["under"]),
         helper.make_node("Div", ["said", "under"], ["rest"]), helper.make_node("Add", ["votes", "rest"], ["p"])]
        if counted else [helper.make_node("Identity", ["sums"], ["p"])]
    )]  # fmt: skip
    tensors = [tensor(name, np.float32(each)) for name, each in {"zero": 0, "one": 1, "three": 3}.items()]
    tensors += [tensor("turned", turned), tensor("seconds", np.array([[0, 1, 2]], np.float32))]
    outputs = [value("label", ["N"], TensorProto.STRING), value("p", ["N", 3])]
    return saved(path, nodes, [value("input", ["N", 3])], outputs, tensors if counted else [])


def won_by(a: float, b: float, c: float) -> list[int]:
    """Votes, as `of_three` counts them."""
    return [int(a > b) + int(c > a), int(a <= b) + int(b > c), int(c <= a) + int(b <= c)]


@pytest.mark.parametrize("counted", ["", "Abs"])
def test_of_three_classes_most_votes_are_the_label_and_of_equals_the_first(counted: str, tmp_path: Path) -> None:
    """As `SVC()` and `SVC(decision_function_shape="ovo")` are written."""
    path, told = of_three(tmp_path / "m.onnx", counted=counted), list[Any]()

    model = aias.import_model(path, like=rows(), home=tmp_path, scores="logits", watch=told.append)

    votes = np.array([won_by(*map(np.float32, row)) for row in zip(*rows().values(), strict=True)])
    assert (votes.max(axis=1) == 1).any(), "some rows have a vote for each"
    assert model.predict(rows()).tolist() == [LABELS[at] for at in votes.argmax(axis=1)]
    a, b, c = (np.array(rows()[name]) for name in "abc")
    said = np.column_stack([(a - b) + (c - a), (b - a) + (b - c), (a - c) + (c - b)])
    scores = votes + said / (3 * (np.abs(said) + 1)) + (votes.max(axis=1, keepdims=True) == 1) * [1, 0, 0]
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(rows()), chances, atol=1e-5)
    assert any("votes between each two" in each.message for each in told if each.name == "import.note")


def test_scores_that_are_made_of_votes_in_another_way_are_taken_as_they_are(tmp_path: Path) -> None:
    described = Onnx.read(of_three(tmp_path / "m.onnx", counted="Exp"))

    assert described.outputs.votes == 0 and described.outputs.scores == "p"


def test_votes_beside_probabilities_are_refused_and_without_labels_imported(tmp_path: Path) -> None:
    """`SVC(probability=True)` of three classes: no label follows from its probabilities."""
    path = of_three(tmp_path / "m.onnx", prob_a=[-1.0, -1.0, -1.0], prob_b=[0.1, 0.2, 0.3])

    with pytest.raises(UnfitModel, match="labels are votes and not the likeliest") as refused:
        aias.import_model(path, like=rows(), home=tmp_path)

    assert "CalibratedClassifierCV" in refused.value.hint and "del onx.graph.output[0]" in refused.value.hint
    held = onnx.load(path)
    del held.graph.output[0]
    onnx.save(held, path)
    model = aias.import_model(path, like=rows(), home=tmp_path)
    chances = model.predict_proba(rows())
    assert model.predict(rows()).tolist() == [LABELS[at] for at in chances.argmax(axis=1)]
    np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-5)


def outliers(path: Path, *, sign: bool = False, border: float = 0.0, rest: float = 1.0) -> Path:
    """As `LocalOutlierFactor(novelty=True)` and `IsolationForest` are written or, of a `sign`, `OneClassSVM`: a score,
    and 1 or -1."""
    nodes = [helper.make_node("MatMul", ["input", "w"], ["scores"])]
    nodes += (
        [helper.make_node("Sign", ["scores"], ["s"]), helper.make_node("Cast", ["s"], ["label"], to=TensorProto.INT64)]
        if sign else
        [helper.make_node("Less", ["scores", "border"], ["out"]),
         helper.make_node("Cast", ["out"], ["o"], to=TensorProto.INT64), helper.make_node("Mul", ["o", "down"], ["d"]),
         helper.make_node("Add", ["d", "rest"], ["label"])]
    )  # fmt: skip
    tensors = [tensor("w", WEIGHTS[:, :1]), tensor("border", np.float32(border)),
               tensor("down", np.array([-2])), tensor("rest", np.array([rest], np.int64))]  # fmt: skip
    return saved(path, nodes, [value("input", ["N", 3])],
                 [value("label", ["N", 1], TensorProto.INT64), value("scores", ["N", 1])],
                 tensors[:1] if sign else tensors)  # fmt: skip


@pytest.mark.parametrize("sign", [False, True])
def test_of_who_finds_outliers_the_score_is_given_and_told_apart_where_classes_are_named(
    sign: bool, tmp_path: Path
) -> None:
    path, told = outliers(tmp_path / "m.onnx", sign=sign), list[Any]()

    model = aias.import_model(path, like=rows(), home=tmp_path, watch=told.append)

    scores = np.array([rows()[name] for name in "abc"]).T @ WEIGHTS[:, 0]
    np.testing.assert_allclose(model.predict(rows()), scores, atol=1e-5)
    assert any("below 0 of an outlier" in each.message for each in told if each.name == "import.note")
    named = aias.import_model(path, like=rows(), home=tmp_path, classes=["out", "in"], scores="logits")
    assert named.predict(rows()).tolist() == ["in" if each > 0 else "out" for each in scores]


@pytest.mark.parametrize("other", [{"border": 0.5}, {"rest": 3.0}])
def test_labels_that_another_border_decides_stay_labels(other: dict[str, float], tmp_path: Path) -> None:
    assert Onnx.read(outliers(tmp_path / "m.onnx", **other)).description.labels


def test_categories_of_which_the_first_is_left_out_are_imported(tmp_path: Path) -> None:
    """As `OneHotEncoder(drop="first", handle_unknown="ignore")` is written: all but one column are taken of it."""
    nodes = [
        helper.make_node("OneHotEncoder", ["colour"], ["hot"], domain="ai.onnx.ml", cats_strings=list(LABELS), zeros=1),
        helper.make_node("Reshape", ["hot", "flat"], ["each"]),
        helper.make_node("Gather", ["each", "kept"], ["x"], axis=1), helper.make_node("MatMul", ["x", "w"], ["p"]),
    ]  # fmt: skip
    tensors = [tensor("flat", np.array([-1, 3])), tensor("kept", np.array([1, 2])),
               tensor("w", np.array([[2.0], [5.0]], np.float32))]  # fmt: skip
    path = saved(tmp_path / "m.onnx", nodes, [value("colour", ["N", 1], TensorProto.STRING)], [value("p", ["N", 1])],
                 tensors)  # fmt: skip
    held = {"colour": ["red", "green", "blue", "red", "blue"]}

    model = aias.import_model(path, like=held, home=tmp_path)

    np.testing.assert_allclose(model.predict({"colour": ["red", "green", "blue", "mauve"]}), [0, 2, 5, 0])


@pytest.mark.parametrize(("element", "hint"), [(TensorProto.DOUBLE, "for float32"), (TensorProto.FLOAT, "again")])
def test_an_operator_that_onnx_runtime_has_for_float32_alone_is_to_be_exported_for_that(
    element: int, hint: str, tmp_path: Path
) -> None:
    nodes = [helper.make_node("Identity", ["input"], ["same"]),
             helper.make_node("SVMRegressor", ["same"], ["p"], domain="ai.onnx.ml", coefficients=[1.0], n_supports=1,
                              support_vectors=[0.5, 0.0, 0.0], rho=[0.0], kernel_type="NONSENSE",
                              kernel_params=[0.5, 0.0, 3.0])]  # fmt: skip
    path = saved(tmp_path / "m.onnx", nodes, [value("input", ["N", 3], element)], [value("p", ["N", 1])])

    with pytest.raises(UnreadableModel) as refused:
        Onnx.read(path)

    assert "cannot load it" in refused.value.message and hint in refused.value.hint


def test_missing_values_filled_by_neighbours_are_to_be_filled_otherwise(tmp_path: Path) -> None:
    """As `KNNImputer` is written: functions of the exporter's own that ask for an operator set other than its file."""
    nodes = [helper.make_node("knn_imputer_column", ["input"], ["p"], domain="local_domain")]
    inner = helper.make_function(
        "local_domain", "knn_imputer_column", ["x"], ["y"], [helper.make_node("Identity", ["x"], ["y"])],
        [helper.make_opsetid("", 21)],
    )  # fmt: skip
    path = saved(tmp_path / "m.onnx", nodes, [value("input", ["N", 3])], [value("p", ["N", 3])], opset=22,
                 functions=[inner])  # fmt: skip

    with pytest.raises(UnfitModel, match="nearest neighbours") as refused:
        loaded(path)

    assert "SimpleImputer" in refused.value.hint
