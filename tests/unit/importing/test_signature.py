"""What of a foreign graph is its answer."""

import onnx
import pytest
from onnx import TensorProto, helper

from aias.importing.formats.contract import UnfitModel
from aias.importing.signature import outputs_of

NUMBERS = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["rows", 2])
SEQUENCE = helper.make_value_info("y", helper.make_sequence_type_proto(NUMBERS.type))


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ([], "it gives no answers"),
        ([SEQUENCE], "its answer, `y`, is neither a tensor of numbers nor labels"),
        ([NUMBERS, SEQUENCE], "it gives 2 answers: `scores`, `y`"),
    ],
)
def test_an_answer_that_is_none_or_not_clear_is_refused(outputs: list[onnx.ValueInfoProto], said: str) -> None:
    model = helper.make_model(helper.make_graph([], "g", [], outputs))
    with pytest.raises(UnfitModel) as fault:
        outputs_of(model)
    assert fault.value.message == said and "export it with one" in fault.value.hint
