"""A process that forks children which publish, deploy, remove, collect and make keys until they are killed.

Each line on standard input is `home failpoint first-seed rounds`; `-` arms no step. The child says on standard output
what it has been promised, each promise in one write after the call has returned, and `gone STATUS` follows when it is.
Forking an interpreter that has everything imported is what makes hundreds of kills affordable.
"""

from pathlib import Path

import alembic.command
from forking import fork_for_each_line, say

import artifacts
from aias.access.keys import Keys
from aias.core.names import Ref
from aias.database import migrate
from aias.registry.registry import Registry

assert alembic.command is migrate.command, "imported here once, so that no child spends its time on it"


def work(home: Path, first_seed: int, rounds: int) -> None:
    with Registry.open(home) as registry:
        keys = Keys(registry.database)
        if secret := keys.first():
            say("key", secret)
        for seed in range(first_seed, first_seed + rounds):
            model = f"model-{seed % 2}"
            # Every third artifact is one that was published before.
            content = seed - 7 if seed % 3 == 0 else seed
            version = registry.publish(model, artifacts.files(content), artifacts.manifest(model, seed=content))
            say("version", version, version.digest)
            endpoint = registry.deploy(model, version.ref)
            say("endpoint", endpoint.name, endpoint.ref, endpoint.revision)
            if seed % 4 == 0:
                doomed = registry.publish("doomed", artifacts.files(seed), artifacts.manifest("doomed", seed=-seed))
                say("dooming", doomed)
                registry.remove(doomed.ref)
                say("removed", doomed)
                registry.collect(older_than_seconds=0)
            if seed % 8 == 0:
                registry.deploy("passing", Ref(model))
                say("undeploying", "passing")
                registry.undeploy("passing")
                say("key", keys.create("shop", {"predict"})[1])


if __name__ == "__main__":
    fork_for_each_line(work)
