"""What Python may point an endpoint at."""

from pathlib import Path

import pytest

import aias
import tiny_versions
from aias.core.names import Ref
from aias.registry.registry import Registry
from aias.runtimes.golden import OtherAnswers


@pytest.mark.parametrize("share", [{}, {"canary": 0.5}, {"shadow": 1.0}])
def test_a_version_that_does_not_answer_its_golden_rows_is_not_deployed(
    tmp_path: Path, share: dict[str, float]
) -> None:
    with Registry.open(tmp_path) as registry:
        for golden_of in (2.0, 3.0):
            registry.publish("m", tiny_versions.files(2.0, golden_of=golden_of), tiny_versions.MANIFEST)
    aias.load("m@1", home=tmp_path).deploy()

    with pytest.raises(OtherAnswers, match="golden rows otherwise"):
        aias.load("m@2", home=tmp_path).deploy(**share)

    with Registry.open(tmp_path) as registry:
        assert (registry.endpoint("m").ref, registry.endpoint("m").trials) == (Ref("m", 1), ())
