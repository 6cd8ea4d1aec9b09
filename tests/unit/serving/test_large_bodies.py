"""Large bodies are looked through in pieces: what is counted does not hang on where they end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import artifacts
from aias.serving import rows
from aias.serving.refusals import TooManyRows
from aias.serving.rows import SLACK, read_rows
from aias.serving.serve import SWITCH_SECONDS

ONE = b'{"n": 1}'


@pytest.mark.parametrize("between", [b",", b" ,", b", ", b" ,\n  "])
@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 7, 10, 64])
def test_rows_are_counted_across_the_ends_of_pieces(
    between: bytes, piece_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "_SMALL_BYTES", piece_bytes)
    many = [ONE] * (SLACK * 3 + 1)

    with pytest.raises(TooManyRows, match="more than 3 rows"):
        read_rows(b"[" + between.join(many) + b"]", rows_max=3)
    with pytest.raises(TooManyRows, match="30 rows; the bound is 3"):
        read_rows(b"[" + between.join(many[1:]) + b"]", rows_max=3)


ANSWER = """
import os, socket, sys
from pathlib import Path
from aias.serving.bounds import Bounds
from aias.serving.serve import answer_on

def ready():
    print(sys.getswitchinterval(), flush=True)
    os._exit(0)

listener = socket.create_server(("127.0.0.1", 0))
answer_on([listener], Path(sys.argv[1]), hosts=[], bounds=Bounds(), announce=lambda _event: None, when_ready=ready)
"""


def test_a_server_has_no_thread_keep_the_interpreter_for_long(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ANSWER, os.fspath(tmp_path / "home")], capture_output=True, text=True, check=True,
        env=artifacts.importable(),
    )  # fmt: skip

    assert float(done.stdout) == pytest.approx(SWITCH_SECONDS)
