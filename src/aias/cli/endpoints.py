"""`aias deploy`, `endpoints`, `promote`, `rollback`, `release` and `undeploy`."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
import msgspec

from aias.cli.main import option_json
from aias.cli.show import give, hint, nothing, say, table, warn
from aias.core.errors import AiasError, Damaged

if TYPE_CHECKING:
    from aias.core.names import Ref
    from aias.registry.registry import Registry
    from aias.registry.rollout.trial import Guard, Trial
    from aias.registry.values import Endpoint, Move
    from aias.serving.processes.control_socket import Reply


@click.command()
@click.argument("ref")
@click.option("--as", "name", help="The endpoint's name; by default the model's.")
@click.option("--canary", metavar="SHARE", help="Let it answer a share of the callers, such as 5%, and watch it.")
@click.option("--shadow", metavar="SHARE", is_flag=False, flag_value="100%",
              help="Compare it on a share of the requests, by default all; it answers nobody.")  # fmt: skip
@click.option("--sticky", default="key", show_default=True, metavar="key|request|HEADER",
              help="What assigns a caller to a version.")  # fmt: skip
@click.option("--max-errors", metavar="SHARE", help="Roll a canary back when more of its requests fail.  [default: 1%]")
@click.option("--max-slower", metavar="TIMES", help="Roll it back when its p95 is more than this many times the "
              "live one's.  [default: 1.5x]")  # fmt: skip
@click.option("--max-latency", metavar="TIME", help="Roll it back when its p95 is longer than this, such as 50ms, "
              "whatever the live one's is.")  # fmt: skip
@click.option("--promote-after", type=click.IntRange(min=1), metavar="ANSWERS",
              help="Promote it after this many answers, if it has not been rolled back.")  # fmt: skip
@option_json
def deploy(
    ref: str, name: str | None, canary: str | None, shadow: str | None, sticky: str, max_errors: str | None,
    max_slower: str | None, max_latency: str | None, promote_after: int | None, *, as_json: bool,
) -> None:  # fmt: skip
    """Point an endpoint at version REF. When this returns, running servers have followed, and no request was dropped. A
    version that does not answer its golden rows is refused, with status 1.

    With --canary or --shadow the live version goes on answering, and REF is on trial beside it.
    """
    from aias.core.names import Ref, check_endpoint
    from aias.core.quantities import share_of
    from aias.core.settings import home
    from aias.registry.registry import Registry
    from aias.registry.rollout.trial import beside, told

    parsed = Ref.parse(ref)
    endpoint = check_endpoint(name or parsed.name)
    guard = _guard(max_errors, max_slower, max_latency, promote_after)
    shares = [None if each is None else share_of(each) for each in (canary, shadow)]
    asked = beside(*shares, sticky=sticky, guarded=guard is not None)
    with Registry.open(home()) as registry:
        if asked is None:
            return _move(registry, endpoint, parsed, as_json=as_json)
        _try(registry, endpoint, parsed)
        role, share = asked
        trial = registry.rollouts.start(endpoint, parsed, role=role, share=share, sticky=sticky, guard=guard)
        live = registry.endpoint(endpoint)
        warned = [_who(registry, trial, live.revision), _misread(registry, trial.ref, live.ref, "once it is live")]
    if as_json:
        return give(told(trial), as_json=True)
    what = f"answers {trial.part} of the callers" if trial.role == "canary" else f"is compared on {trial.part}"
    click.echo(f"/predict/{endpoint} → {live.ref}; {trial.ref} {what}")
    _warn(warned)
    return hint(f"aias endpoints {endpoint}")


@click.command()
@click.argument("name", required=False)
@option_json
def endpoints(name: str | None, *, as_json: bool) -> None:
    """Show which version answers for each endpoint, what is on trial beside it, and how it is doing.

    With a NAME also the trials that have ended, and where the endpoint has pointed.
    """
    from aias.core.settings import home
    from aias.registry.registry import Registry
    from aias.registry.rollout.trial import told

    with Registry.open(home(), watch=warn) as registry:
        found = registry.endpoints() if name is None else [registry.endpoint(name)]
        history = registry.rollouts.history(name) if name else []
        moves = registry.history(name) if name else []
        few = [said for each in found for trial in each.trials if (said := _unasked(registry, trial, each.revision))]
    replies = [*_told()]
    held, failed = _held(replies), {(name, ref): why for told in replies for name, ref, why in told.failed}
    if as_json:
        if name is None:
            return give([plain(each) | _of(each, held, failed) for each in found], as_json=True)
        past = {"history": [told(trial) for trial in history], "moves": msgspec.to_builtins(moves)}
        return give(plain(found[0]) | _of(found[0], held, failed) | past, as_json=True)
    if not found:
        return nothing("no endpoints yet", "aias deploy MODEL")
    rows: list[tuple[str, ...]] = []
    for endpoint in found:
        why = failed.get((endpoint.name, str(endpoint.ref))) or _in_words(held.get(str(endpoint.ref)))
        rows.append((endpoint.name, str(endpoint.ref), "live", "", why))
        rows += [_row(trial, held.get(str(trial.ref))) for trial in (history if name else endpoint.trials)]
    table("", ("endpoint", "version", "role", "answers", "status"), rows, right=("answers",))
    _warn(few)
    if moves:
        lines = [(each.revision, each.ref or "", _how(each), f"{each.at:%Y-%m-%d %H:%M:%S}") for each in moves]
        table("Moves", ("revision", "version", "how", "when (UTC)"), lines, right=("revision",))
    return None


@click.command()
@click.argument("name")
@click.argument("ref", required=False)
@option_json
def promote(name: str, ref: str | None, *, as_json: bool) -> None:
    """Make the canary of endpoint NAME the live version. REF is needed if there are several, or to promote a shadow."""
    from aias.core.names import Ref, check_name
    from aias.core.settings import home
    from aias.registry.registry import Registry

    with Registry.open(home()) as registry:
        moved = registry.rollouts.promote(check_name(name), canary=Ref.parse(ref) if ref else None)
    if as_json:
        return give(msgspec.to_builtins(moved), as_json=True)
    return click.echo(f"/predict/{moved.name} → {moved.ref}")


@click.command()
@click.argument("name")
@option_json
def rollback(name: str, *, as_json: bool) -> None:
    """End every canary and shadow of endpoint NAME; if there is none, go back to the previous version.

    Repeated, to the one before that. Only `aias deploy` goes forward again.
    """
    from aias.core.names import check_name
    from aias.core.settings import home
    from aias.registry.registry import Registry
    from aias.registry.rollout.trial import told

    with Registry.open(home()) as registry:
        now, ended = registry.rollouts.rollback(check_name(name))
    if as_json:
        return give(msgspec.to_builtins(now) | {"ended": [told(trial) for trial in ended]}, as_json=True)
    gone = "".join(f"; {trial.ref} is no longer tried" for trial in ended)
    return click.echo(f"/predict/{now.name} → {now.ref}{gone}")


@click.command()
@click.argument("ref")
@option_json
def release(ref: str, *, as_json: bool) -> None:
    """Let version REF run again at every running server of this home, after it has ended processes.

    One step each time: a quarantined version runs in a process of its own, one that runs there joins the others.
    """
    from aias.core.names import Ref
    from aias.core.settings import home
    from aias.serving.processes.control_socket import Question, ask, servers_of
    from aias.serving.survival.crash_record import NotHeld

    version = str(Ref.parse(ref))
    told = [found for path in servers_of(home()) if (found := ask(path, Question("release", version=version)))]
    if not any(each.released for each in told):
        where = "at any running server of this home" if told else "since no server of this home runs"
        said = f"{version} is neither quarantined nor in a process of its own, {where}"
        raise NotHeld(said, hint="`aias endpoints` shows what is")
    held = "apart" if any(version in each.apart for each in told) else None
    if as_json:
        return give({"version": version, "held": held}, as_json=True)
    return click.echo(f"{version} runs again, {'in a process of its own' if held else 'beside the others'}")


@click.command()
@click.argument("name")
def undeploy(name: str) -> None:
    """Remove the endpoint NAME. Its versions stay. Doing so again changes nothing."""
    from aias.core.names import check_name
    from aias.core.settings import home
    from aias.registry.lookup import UnknownEndpoint
    from aias.registry.registry import Registry

    said = f"/predict/{name} is gone"
    with Registry.open(home()) as registry:
        try:
            registry.undeploy(check_name(name))
        except UnknownEndpoint:
            # Asked twice, done once, as over HTTP; a name that never was an endpoint is a slip.
            if not registry.history(name):
                raise
            said += " already"
    click.echo(said)


def plain(endpoint: "Endpoint") -> dict[str, Any]:
    """An endpoint as JSON has it."""
    from aias.registry.rollout.trial import told

    facts: dict[str, Any] = msgspec.to_builtins(replace(endpoint, trials=()))
    return facts | {"trials": [told(trial) for trial in endpoint.trials]}


def _move(registry: "Registry", endpoint: str, ref: "Ref", *, as_json: bool) -> None:
    """It answers everybody from now on."""
    from aias.core.settings import home
    from aias.serving.processes.control_socket import addresses_of

    before = _live(registry, endpoint)
    _try(registry, endpoint, ref)
    moved = registry.deploy(endpoint, ref)
    if as_json:
        return give(msgspec.to_builtins(moved), as_json=True)
    click.echo(f"/predict/{moved.name} → {moved.ref}")
    _warn([] if before is None else [_misread(registry, moved.ref, before, "from now on")])
    address = next(addresses_of(home()), None)
    ask = 'curl -H "Authorization: Bearer $AIAS_KEY" '
    return hint(f"{ask}{address}/predict/{endpoint}" if address else "aias serve")


def _try(registry: "Registry", endpoint: str, ref: "Ref") -> None:
    """Raises `Damaged` for a version that no server would answer with, and says which one goes on answering."""
    from aias.core.settings import home
    from aias.serving.versions.loading import try_out

    try:
        try_out(registry, home(), ref, watch=warn)
    except Damaged as fault:
        now = _live(registry, endpoint)
        stays = f"{now} goes on answering" if now else "nothing answers there"
        said = f"{ref} cannot answer for `{endpoint}`: {fault.message}; {stays}"
        raise type(fault)(said, hint=fault.hint) from fault


def _warn(said: Iterable[str]) -> None:
    for each in filter(None, said):
        say("", mark=each, style="yellow", err=True)


def _how(move: "Move") -> str:
    return move.how if move.ref else "undeployed"


def _guard(
    max_errors: str | None, max_slower: str | None, max_latency: str | None, promote_after: int | None
) -> "Guard | None":
    from aias.core.quantities import latency_of, share_of
    from aias.registry.rollout.trial import Guard, named_latency

    given: dict[str, Any] = {}
    if max_errors is not None:
        given["error_share"] = share_of(max_errors)
    if max_slower is not None:
        given["slower"] = _times(max_slower)
    if max_latency is not None:
        given["seconds_max"] = named_latency(latency_of(max_latency))
    if promote_after is not None:
        given["promote_after"] = promote_after
    return Guard(**given) if given else None


def _times(text: str) -> float:
    """`1.5x` or `1.5`."""
    from aias.core.errors import UserError

    try:
        found = float(text.removesuffix("x"))
    except ValueError:
        found = float("nan")
    if not 0 < found < float("inf"):
        raise UserError(f"{text!r} cannot be --max-slower", hint="write it as 1.5x")
    return found


def _live(registry: "Registry", endpoint: str) -> "Ref | None":
    """The version that answers, if there is one."""
    return next((each.ref for each in registry.endpoints() if each.name == endpoint), None)


def _misread(registry: "Registry", new: "Ref", old: "Ref", since: str) -> str:
    """What becomes of rows without names where inputs stand in another order; empty where nothing does."""
    try:
        inputs, before = ([each.name for each in registry.manifest(registry.version(ref)).inputs] for ref in (new, old))
    except AiasError:
        # What is damaged or gone misreads nothing.
        return ""
    if len(inputs) != len(before) or inputs == before:
        return ""
    first, other = next((a, b) for a, b in zip(inputs, before, strict=True) if a != b)
    return (
        f"{new} takes its inputs in another order than {old}, `{first}` where that has `{other}`: rows without names "
        f"(at /invocations, lists and CSV without a header) are read in its order {since}."
    )


def _who(registry: "Registry", trial: "Trial", revision: int) -> str:
    """What a share means where few keys ask; empty where it means what it says."""
    from aias.access.keys import Keys
    from aias.registry.rollout.trial import BY_KEY, point

    if trial.role == "shadow" or trial.sticky != BY_KEY:
        return ""
    good = [each for each in Keys(registry.database).list() if each.revoked_at is None and "predict" in each.scopes]
    if not good or len(good) > 100:
        return ""
    before = sum(each.share for each in registry.endpoint(trial.endpoint).trials if each.id < trial.id)
    theirs = [
        each.name for each in good
        if before <= point(trial.endpoint, revision, b"key " + each.id.encode()) < before + trial.share
    ]  # fmt: skip
    said = f"{len(theirs)} of {len(good)} keys get the canary" + (f": {', '.join(theirs[:5])}" if theirs else "")
    if len(theirs) in (0, len(good)):
        said += ". As only one of the two versions is asked, --max-errors and --max-latency alone can roll it back"
    return (
        f"Each key always gets the same version, and {said}. `--sticky request` assigns each request by itself, "
        "and the header `X-Aias-Sticky` assigns a request by its value."
    )


def _unasked(registry: "Registry", trial: "Trial", revision: int) -> str:
    """Why a canary may have answered nobody yet, where it has not."""
    seen = trial.evidence
    return "" if seen.errors.asked or seen.slow.asked or seen.alone.asked else _who(registry, trial, revision)


def _told() -> Iterator["Reply"]:
    """What running servers of this home tell of versions: which they hold, and which do not answer."""
    from aias.core.settings import home
    from aias.serving.processes.control_socket import Deaf, Question, ask, servers_of

    for path in servers_of(home()):
        try:
            if (told := ask(path, Question("isolated"))) is not None:
                yield told
        except Deaf as fault:
            say("", mark=f"{fault.message}: {fault.hint}", style="yellow", err=True)


def _held(replies: Iterable["Reply"]) -> dict[str, str]:
    """The versions that are held, and how."""
    found: dict[str, str] = {}
    for told in replies:
        found = dict.fromkeys(told.apart, "apart") | found | dict.fromkeys(told.quarantined, "quarantined")
    return found


def _of(endpoint: "Endpoint", held: dict[str, str], failed: dict[tuple[str, str], str]) -> dict[str, Any]:
    versions = [str(endpoint.ref), *(str(trial.ref) for trial in endpoint.trials)]
    why = failed.get((endpoint.name, str(endpoint.ref)))
    return {"held": {each: held[each] for each in versions if each in held}} | ({"failed": why} if why else {})


def _in_words(held: str | None) -> str:
    known = {"quarantined": "quarantined: it has ended its process again and again", "apart": "in a process of its own"}
    return known.get(held or "", "")


def _row(trial: "Trial", held: str | None = None) -> tuple[str, ...]:
    seen = trial.evidence
    role = f"{trial.role} {trial.part}"
    if trial.outcome:
        fares = f"{trial.outcome}: {trial.why}"
    elif trial.role == "canary":
        fares = f"{seen.errors.bad} failed; live {seen.errors.live_bad} of {seen.errors.live_asked:,}; "
        fares += f"slow {seen.slow.bad} of {seen.slow.asked:,}, live {seen.slow.live_bad} of {seen.slow.live_asked:,}"
        if not (seen.errors.asked or seen.slow.asked):
            fares = "no answer yet to compare with the live version"
        elif not seen.slow.asked:
            fares = fares.partition("; slow")[0] + "; too few yet to say what is slow"
        if seen.alone.asked:
            fares += f"; with no answer beside them {seen.alone.bad} of {seen.alone.asked:,} failed"
        if trial.guard.seconds_max:
            fares += f"; {seen.late.bad} of {seen.late.asked:,} over {1000 * trial.guard.seconds_max:g} ms"
    else:
        fares = seen.mirrored.said()
    if held and not trial.outcome:
        fares = f"{_in_words(held)}; {fares}"
    answers = seen.errors.asked + seen.alone.asked if trial.role == "canary" else seen.mirrored.requests
    return "", str(trial.ref), role, f"{answers:,}", fares
