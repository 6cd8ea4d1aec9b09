"""What is deployed is looked at every so often, in a thread of its own."""

import threading

from aias.core.events import Event, Watch
from aias.serving.versions.router import Router


class Following:
    """`router` is refreshed every so many `seconds`, from `start` to `stop`."""

    def __init__(self, router: Router, *, watch: Watch, seconds: float) -> None:
        self._router, self._watch, self._seconds = router, watch, seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="aias-router")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        router, told, more = self._router, "", False
        while not self._stop.wait(0 if more else self._seconds):
            try:
                more = router.load_next()
                router.refresh()
                if router.stage.report():
                    router.refresh()
                told = ""
            except Exception as fault:  # noqa: BLE001  whatever a disk or a database does, what is loaded goes on
                message = f"cannot see what is deployed: {fault}"
                # What stays broken over a weekend should not fill the disk with its log too.
                if message != told:
                    self._watch(Event("serve.refresh-failed", message, "warning"))
                told = message
