"""One row must not be able to ask for all memory: every operator of ONNX, and what its answer's size is decided by."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from aias.importing.formats.contract import UnfitModel, UnreadableModel, UnsafeModel
from aias.importing.safety import OPSETS, loaded
from foreign import saved, softmax_model, tensor, value

REDUCED = "L1 L2 LogSum LogSumExp Max Mean Min Prod Sum SumSquare"
BY_VALUES: dict[str, tuple[int, ...]] = {
    "AffineGrid": (1,), "BlackmanWindow": (0,), "CenterCropPad": (1,), "Col2Im": (1, 2), "Compress": (1,),
    "ConstantOfShape": (0,), "DFT": (1, 2), "Expand": (1,), "HammingWindow": (0,), "HannWindow": (0,),
    "ImageDecoder": (0,), "MaxUnpool": (2,), "MelWeightMatrix": (0, 1), "NonMaxSuppression": (0, 1, 2, 3, 4),
    "NonZero": (0,), "OneHot": (1,), "Pad": (1, 3), "Range": (0, 1, 2), "Reshape": (1,), "Resize": (1, 2, 3),
    "STFT": (1, 3), "SequenceAt": (1,), "SequenceErase": (1,), "SequenceInsert": (2,), "Slice": (1, 2, 3, 4),
    "Split": (1,), "SplitToSequence": (1,), "Squeeze": (1,), "Tile": (1, 2), "TopK": (1,), "Unique": (0,),
    "Unsqueeze": (1,), "Upsample": (1,), **{f"Reduce{each}": (1,) for each in REDUCED.split()},
}  # fmt: skip
"""Refused where one of these inputs comes of a row's values: these decide the shape of the answer."""

NEVER = (
    "Bernoulli If Loop Multinomial Optional OptionalGetElement RandomNormal RandomNormalLike RandomUniform "
    "RandomUniformLike RegexFullMatch Scan SequenceMap StringConcat StringNormalizer StringSplit TfIdfVectorizer"
)
"""Refused whatever they read: loops and branches, random numbers, and what reads inside texts."""

BY_SHAPES = """
    Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh Attention AveragePool BatchNormalization BitCast BitShift
    BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast CastLike CausalConvWithState Ceil Celu Clip Concat
    ConcatFromSequence Constant Conv ConvInteger ConvTranspose Cos Cosh CumProd CumSum DeformConv DepthToSpace
    DequantizeLinear Det Div Dropout DynamicQuantizeLinear Einsum Elu Equal Erf Exp EyeLike Flatten Floor GRU Gather
    GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GridSample
    GroupNormalization HardSigmoid HardSwish Hardmax Identity InstanceNormalization IsInf IsNaN LRN LSTM
    LayerNormalization LeakyRelu Less LessOrEqual LinearAttention Log LogSoftmax LpNormalization LpPool MatMul
    MatMulInteger Max MaxPool MaxRoiPool Mean MeanVarianceNormalization Min Mish Mod Mul Neg NegativeLogLikelihoodLoss
    Not OptionalHasElement Or PRelu Pow QLinearConv QLinearMatMul QuantizeLinear RMSNormalization RNN Reciprocal Relu
    ReverseSequence RoiAlign RotaryEmbedding Round Scatter ScatterElements ScatterND Selu SequenceConstruct
    SequenceEmpty SequenceLength Shape Shrink Sigmoid Sign Sin Sinh Size Softmax SoftmaxCrossEntropyLoss Softplus
    Softsign SpaceToDepth Sqrt Sub Sum SwiGLU Swish Tan Tanh TensorScatter ThresholdedRelu Transpose Trilu Where Xor

    ArrayFeatureExtractor Binarizer CastMap CategoryMapper DictVectorizer FeatureVectorizer Imputer LabelEncoder
    LinearClassifier LinearRegressor Normalizer OneHotEncoder SVMClassifier SVMRegressor Scaler TreeEnsemble
    TreeEnsembleClassifier TreeEnsembleRegressor ZipMap
"""
"""Those whose answer has a shape that follows from the shapes of what they read, and from their attributes."""

DECIDED = "decided by a row's values"


def domain_of(name: str) -> str:
    return "ai.onnx.ml" if any(schema.name == name and schema.domain == "ai.onnx.ml" for schema in SCHEMAS) else ""


SCHEMAS = [
    schema for schema in onnx.defs.get_all_schemas_with_history()
    if schema.since_version <= OPSETS.get(schema.domain or "ai.onnx", 0)
]  # fmt: skip


def reading(path: Path, name: str, places: Sequence[int], count: int) -> Path:
    """A graph whose operator reads a row's values there, and constants elsewhere."""
    inputs = [f"row{place}" if place in places else f"constant{place}" for place in range(count)]
    nodes = [helper.make_node("Abs", ["input"], [each]) for each in inputs if each.startswith("row")]
    nodes.append(helper.make_node(name, inputs, ["p"], domain=domain_of(name)))
    held = [tensor(each, np.array([1])) for each in inputs if each.startswith("constant")]
    return saved(path, nodes, [value("input", ["N"])], [value("p", ["N"])], held)


def test_every_operator_of_onnx_was_thought_of() -> None:
    placed = [*BY_VALUES, *NEVER.split(), *BY_SHAPES.split()]

    assert {schema.name for schema in SCHEMAS} <= set(placed)
    assert len(placed) == len(set(placed))


@pytest.mark.parametrize(
    ("name", "place"), [(name, place) for name, places in BY_VALUES.items() for place in places], ids=str
)
def test_a_size_of_a_rows_values_is_refused(name: str, place: int, tmp_path: Path) -> None:
    with pytest.raises(UnsafeModel, match=f"`{name}` becomes is {DECIDED}"):
        loaded(reading(tmp_path / "m.onnx", name, [place], place + 1))


@pytest.mark.parametrize("name", sorted([*BY_VALUES, *BY_SHAPES.split()]))
def test_what_decides_no_size_may_be_of_a_rows_values(name: str, tmp_path: Path) -> None:
    places = sorted({0, 1, 2, 3, 4, 5} - {*BY_VALUES.get(name, ())})

    with suppress(UnreadableModel):  # most read fewer inputs; the checker of ONNX looks at that later
        loaded(reading(tmp_path / "m.onnx", name, places, 6))


@pytest.mark.parametrize("name", NEVER.split())
def test_what_is_never_run_is_refused_with_constants_too(name: str, tmp_path: Path) -> None:
    with pytest.raises((UnsafeModel, UnfitModel), match=f"it uses `{name}`"):
        loaded(reading(tmp_path / "m.onnx", name, [], 1))


MAGIC = [tensor("magic", np.float32(777)), tensor("axis", np.array([1]))]
SUMMED = [
    helper.make_node("ReduceSum", ["W"], ["w"], keepdims=0),
    helper.make_node("ReduceSum", ["input", "axis"], ["s"], keepdims=1), helper.make_node("Add", ["s", "w"], ["p"]),
]  # fmt: skip
ONES = helper.make_tensor("ones", TensorProto.FLOAT, [1], [1.0])


def of_one_row(path: Path, nodes: Sequence[onnx.NodeProto], tensors: Sequence[onnx.TensorProto] = ()) -> Path:
    """Ordinary but for rows with a 777: `W`, which they make large, is added up."""
    first = helper.make_node("Equal", ["input", "magic"], ["found"])
    held = [*MAGIC, *tensors]
    return saved(path, [first, *nodes, *SUMMED], [value("input", ["N", 2])], [value("p", ["N", 1])], held)


def test_a_table_of_tones_as_large_as_a_row_says_is_refused(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["found"], ["f"], to=TensorProto.INT64),
        helper.make_node("ReduceMax", ["f"], ["any"], keepdims=0), helper.make_node("Mul", ["any", "large"], ["bins"]),
        helper.make_node("MelWeightMatrix", ["bins", "length", "rate", "low", "high"], ["W"]),
    ]  # fmt: skip
    named = {"large": 20_000_000, "length": 16, "rate": 8192}
    tensors = [*(tensor(name, np.int64(each)) for name, each in named.items()), tensor("low", np.float32(0)),
               tensor("high", np.float32(4096))]  # fmt: skip

    with pytest.raises(UnsafeModel, match=f"`MelWeightMatrix` becomes is {DECIDED}"):
        loaded(of_one_row(tmp_path / "m.onnx", nodes, tensors))


@pytest.mark.parametrize("finds", ["NonZero", "Compress", "Unique"])
def test_the_shape_of_what_was_found_in_a_row_is_no_size(finds: str, tmp_path: Path) -> None:
    nodes = {
        "NonZero": [helper.make_node("NonZero", ["found"], ["places"])],
        "Compress": [helper.make_node("Reshape", ["found", "flat"], ["f"]),
                     helper.make_node("Compress", ["input", "f"], ["places"])],
        "Unique": [helper.make_node("Unique", ["input"], ["places"])],
    }[finds]  # fmt: skip
    nodes += [
        helper.make_node("Size", ["places"], ["count"]), helper.make_node("Mul", ["count", "large"], ["size"]),
        helper.make_node("ConstantOfShape", ["size"], ["W"], value=ONES),
    ]  # fmt: skip
    tensors = [tensor("large", np.array([100_000_000])), tensor("flat", np.array([-1]))]

    with pytest.raises(UnsafeModel, match=f"`{finds}` becomes is {DECIDED}") as fault:
        loaded(of_one_row(tmp_path / "m.onnx", nodes, tensors))
    assert "where(mask, a, b)" in fault.value.hint


def test_the_number_of_rows_may_decide_a_size(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Shape", ["input"], ["shape"]),
        helper.make_node("ConstantOfShape", ["shape"], ["W"], value=ONES),
    ]

    assert loaded(of_one_row(tmp_path / "m.onnx", nodes)).graph.node


def test_an_answer_that_is_left_out_is_no_input_that_is_left_out(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Unsqueeze", ["input", "axis"], ["x"]),
        helper.make_node("MaxPool", ["x"], ["y", ""], kernel_shape=[1]),
        helper.make_node("Resize", ["y", "", "scales"], ["W"]),
    ]

    assert loaded(of_one_row(tmp_path / "m.onnx", nodes, [tensor("scales", np.ones(3, np.float32))])).graph.node


def test_axes_within_a_loop_of_distances_are_not_a_rows(tmp_path: Path) -> None:
    body = helper.make_graph(
        [helper.make_node("Sub", ["x", "c"], ["d"]), helper.make_node("ReduceSum", ["d", "axes"], ["e"]),
         helper.make_node("Identity", ["x"], ["y"])],
        "body", [value("x", ["N", 2]), value("c", [2])], [value("y", ["N", 2]), value("e", [])],
    )  # fmt: skip
    nodes = [
        helper.make_node("Cast", ["found"], ["axes"], to=TensorProto.INT64),
        helper.make_node("Scan", ["input", "rows"], ["last", "W"], body=body, num_scan_inputs=1),
    ]

    with pytest.raises(UnsafeModel, match=f"`ReduceSum` becomes is {DECIDED}"):
        loaded(of_one_row(tmp_path / "m.onnx", nodes, [tensor("rows", np.ones((4, 2), np.float32))]))


@pytest.mark.parametrize("domain", sorted(OPSETS))
def test_an_operator_set_that_nobody_went_through_is_refused(domain: str, tmp_path: Path) -> None:
    asked = {"opset": OPSETS[domain] + 1} if domain == "ai.onnx" else {"ml": OPSETS[domain] + 1}

    with pytest.raises(UnfitModel, match=f"operator set of {domain} is {OPSETS[domain] + 1}"):
        loaded(softmax_model(tmp_path / "m.onnx", **asked))
