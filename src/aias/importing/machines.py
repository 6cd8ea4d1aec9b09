"""Support vector machines as they are written in ONNX: whose labels are not the classes of their largest scores.

Of two classes the label is the first where the sum f is above 0, and its probability 1 / (1 + e^(A f + B)) there above
1 / (1 + e^B) (Platt 1999), which need not be a half. Of more, each two classes are told apart by a sum of their own,
which is a vote for one of them; most votes are the label, and of equals the first (Knerr et al. 1990). Where no
probabilities are asked for, these sums are the scores, or scikit-learn's `decision_function` made of them:

    z_i = votes_i + c_i / (3 (|c_i| + 1))        c_i = the sums that speak for i, less those that speak against it

It never moves a class past one with more votes; among equal votes it does, and so the first of these has one more here.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto

from aias.core.arrays import Floats
from aias.core.graph import GraphWriter
from aias.importing.formats.contract import UnfitModel
from aias.importing.parts import made_of

KEPT: Final = {"Identity", "Cast"}
"""What leaves a tensor as it is."""

DRAWS: Final = 64
"""Of sums that tell whether scores are made of them so."""

CLASSES_MAX: Final = 100
"""Whose votes are looked at: 4,950 sums."""


@dataclass(frozen=True, slots=True)
class Machine:
    """`scores`: the tensor of its own; `classes`: how many; `offsets`: B of its probabilities, one for each two."""

    scores: str
    classes: int
    offsets: tuple[float, ...]

    @property
    def label_weights(self) -> tuple[float, ...]:
        """Times which the largest of two probabilities is the label."""
        if self.classes != 2 or not self.offsets:
            return ()
        even = 1 / (1 + math.exp(self.offsets[0]))
        return 1 - even, even

    @property
    def turned(self) -> bool:
        """Without probabilities ONNX Runtime gives -f and f."""
        return self.classes == 2 and not self.offsets

    @property
    def votes(self) -> int:
        """Between how many classes its scores vote; 0 where they are scores of classes."""
        return self.classes if self.classes > 2 else 0


def machine_of(model: onnx.ModelProto, scores: str, label: str | None) -> Machine | None:
    """That which both come from, and nothing else decides. Raises `UnfitModel` where its labels are votes and its
    scores are probabilities: no label follows from them."""
    made = {name: node for node in model.graph.node for name in node.output}
    told = _source(made, label or "")
    node = made.get(told)
    if node is None or node.op_type != "SVMClassifier" or node.output[0] != told:
        return None
    own = {each.name: each for each in node.attribute}
    named = (own[each] for each in ("classlabels_strings", "classlabels_ints") if each in own)
    classes = max((len(each.strings) or len(each.ints) for each in named), default=0)
    found = Machine(node.output[1], classes, tuple(own["prob_b"].floats) if "prob_b" in own else ())
    if _source(made, scores) != found.scores:
        return found if found.votes and not found.offsets and _counted(model, found, scores) else None
    if found.votes and found.offsets:
        raise UnfitModel(
            f"it is a support vector machine of {classes} classes with probabilities, whose labels are votes and not "
            "the likeliest classes: in scikit-learn, too, `predict` and `predict_proba` disagree on some rows",
            hint="train CalibratedClassifierCV(SVC()); or leave its labels out, and be answered the likeliest class: "
            "`del onx.graph.output[0]` of what `to_onnx` gives, then save that",
        )
    return found


def _source(made: dict[str, onnx.NodeProto], name: str) -> str:
    while name in made and made[name].op_type in KEPT:
        name = made[name].input[0]
    return name


def _counted(model: onnx.ModelProto, machine: Machine, scores: str) -> bool:
    """Whether scores are z above, of the machine's sums alone."""
    if machine.classes > CLASSES_MAX:
        return False
    votes = Votes(machine.classes)
    sums = np.random.default_rng(0).normal(size=(DRAWS, len(votes.pairs)))
    found = made_of(model, machine.scores, scores, sums, element=TensorProto.FLOAT)
    return (
        found is not None
        and found.shape == (DRAWS, votes.classes)
        and np.allclose(found, votes.decided(sums), atol=1e-4)
    )


@dataclass(frozen=True)
class Votes:
    """Between so many classes, in the order of `itertools.combinations`."""

    classes: int

    @cached_property
    def pairs(self) -> Floats:
        """1 for the first of two classes and -1 for the second, (pairs, classes)."""
        found = np.zeros((self.classes * (self.classes - 1) // 2, self.classes))
        for place, (first, second) in enumerate(combinations(range(self.classes), 2)):
            found[place, first], found[place, second] = 1.0, -1.0
        return found

    @property
    def seconds(self) -> Floats:
        """The votes of who wins nothing as the first of two."""
        return np.asarray((self.pairs < 0).sum(axis=0, keepdims=True), np.float64)

    def scores(self, sums: Floats) -> Floats:
        """Of what speaks for the first of each two classes, (rows, pairs): (rows, classes)."""
        votes, each = self._votes(sums), np.eye(self.classes)
        first, last = votes.argmax(axis=1), self.classes - 1 - votes[:, ::-1].argmax(axis=1)
        return np.asarray(self.decided(sums) + each[first] * (1 - each[last]))

    def decided(self, sums: Floats) -> Floats:
        """z: (rows, classes)."""
        said = sums @ self.pairs
        with np.errstate(invalid="ignore"):
            return np.asarray(self._votes(sums) + said / (3 * (np.abs(said) + 1)))

    def _votes(self, sums: Floats) -> Floats:
        return np.asarray((sums > 0) @ self.pairs + self.seconds)

    def write(self, graph: GraphWriter, sums: str) -> str:
        """The same in a graph, of float64."""

        def most(votes: str, each: Floats) -> str:
            return graph.op("Gather", graph.constant(each), graph.op("ArgMax", votes, axis=1, keepdims=0))

        pairs, each = graph.constant(self.pairs), np.eye(self.classes)
        won = graph.op("Cast", graph.op("Greater", sums, graph.constant(np.array([[0.0]]))), to=TensorProto.DOUBLE)
        votes = graph.op("Add", graph.op("MatMul", won, pairs), graph.constant(self.seconds))
        turned = graph.op("Gather", votes, graph.constant(np.arange(self.classes)[::-1]), axis=1)
        one = graph.constant(np.array([[1.0]]))
        equal = graph.op("Mul", most(votes, each), graph.op("Sub", one, most(turned, each[::-1])))
        said = graph.op("MatMul", sums, pairs)
        under = graph.op("Mul", graph.op("Add", graph.op("Abs", said), one), graph.constant(np.array([[3.0]])))
        return graph.op("Add", graph.op("Add", votes, graph.op("Div", said, under)), equal)
