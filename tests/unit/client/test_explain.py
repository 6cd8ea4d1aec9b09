from pathlib import Path

import numpy as np
import pytest

import aias
from aias.core.errors import BadValue


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> aias.Model:
    chance = np.random.default_rng(0)
    age, noise, plan = chance.normal(40, 10, 400), chance.normal(size=400), chance.choice(["basic", "pro"], 400)
    note = chance.choice(["lovely and warm", "cold and rude"], 400, p=[0.6, 0.4])
    left = np.where((age < 40) * 1.0 + (note == "cold and rude") + chance.normal(size=400) / 4 > 1, "yes", "no")
    columns = {"age": age, "noise": noise, "plan": plan, "note": note, "left": left}
    home: Path = tmp_path_factory.mktemp("home")
    return aias.train(columns, target="left", learners=["linear"], time=20, home=home, inline=True)


ROW = {"age": 20.0, "noise": 0.0, "plan": "basic", "note": "cold and rude"}


def test_the_parts_sum_to_the_answer_less_the_usual_one(model: aias.Model) -> None:
    found = model.explain(ROW)
    assert found.of == "yes"
    assert found.answer == pytest.approx(float(model.predict_proba([ROW])[0, 1]), abs=1e-6)
    assert sum(part for _, part in found.parts) == pytest.approx(found.answer - found.usual, abs=1e-9)
    assert all(part == float(f"{part:.12g}") for _, part in found.parts)


def test_what_decides_has_the_largest_parts(model: aias.Model) -> None:
    found = model.explain(ROW)
    assert {name for name, _ in found.parts[:2]} == {"age", "note"}


def test_the_parts_of_the_other_class_are_the_opposite(model: aias.Model) -> None:
    yes, no = model.explain(ROW), model.explain(ROW, of="no")
    assert dict(yes.parts)["age"] == pytest.approx(-dict(no.parts)["age"], abs=1e-6)


def test_a_row_that_is_wrong_is_refused_as_everywhere(model: aias.Model) -> None:
    with pytest.raises(BadValue, match="no such field"):
        model.explain({"agee": 1})
    with pytest.raises(BadValue, match="no class `maybe`"):
        model.explain(ROW, of="maybe")
