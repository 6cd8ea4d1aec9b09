"""The supervisor's control socket where descriptors are scarce."""

import subprocess
import sys
from pathlib import Path

SCARCE = """
import contextlib, os, resource, socket, sys, threading
from pathlib import Path
import msgspec
from aias.serving.processes.control_socket import FOLDER, ControlSocket, Question, Reply, exchange, name_of

home = Path(sys.argv[1])
(home / FOLDER).mkdir()
control, path = ControlSocket(home, "here", 1), home / FOLDER / name_of("here", 1)
control.open()

def tell(caller, question):
    with caller:
        caller.send(msgspec.json.encode(Reply(pid=7)))

hearing = threading.Thread(target=control.hear, args=(tell,))
hearing.start()
callers = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(2)]
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
fillers = []
with contextlib.suppress(OSError):
    while True:
        fillers.append(os.open("/dev/null", os.O_RDONLY))
for each in callers:
    each.settimeout(60)
    each.connect(str(path))
# Whoever listens finds no descriptor now; the questions wait.
hearing.join(0.3)
assert hearing.is_alive()
for each in fillers:
    os.close(each)
assert [exchange(each, Question("isolated"), path).pid for each in callers] == [7, 7]
control.close()
hearing.join(60)
assert not hearing.is_alive()
"""


def test_who_calls_while_no_descriptor_is_free_is_heard_when_one_is(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", SCARCE, tmp_path], check=True, timeout=120)
