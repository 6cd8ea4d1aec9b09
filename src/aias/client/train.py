"""`aias.train`: a source of rows → a published model."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event as Stop
from typing import TYPE_CHECKING, Any

from aias.core.deadline import Deadline
from aias.core.errors import UserError, shown
from aias.core.events import Event, Watch, logged
from aias.core.names import NAMELESS, check_name, listed, name_from
from aias.core.quantities import latency_of, seconds_of, share_of
from aias.core.schema import Schema
from aias.core.settings import WORK, home_at

if TYPE_CHECKING:
    from aias.client.model import Model
    from aias.teaching.teacher import Teacher


def train(
    source: Any,
    *,
    target: str,
    name: str | None = None,
    time: float | str = 60.0,
    metric: str | None = None,
    split: str = "random",
    test: Any = None,
    latency: float | str | None = None,
    encoder: str | Path | None = None,
    learners: Sequence[str] | Mapping[str, Mapping[str, Any]] = (),
    search: bool = True,
    folds: int | None = None,
    class_weights: str | Mapping[Any, float] | None = None,
    seed: int = 0,
    schema: Schema | Path | str | None = None,
    encoding: str | None = None,
    teacher: "Teacher | str | None" = None,
    resume: bool = False,
    inline: bool = False,
    early: bool = False,
    home: Path | str | None = None,
    stop: Stop | None = None,
    watch: Watch = logged,
) -> "Model":
    """Train on a file, a pandas, Polars or Arrow table, or a dict of columns; publish the best model found.

        model = aias.train("reviews.csv", target="label", time="5m")
        model.predict([{"text": "lovely"}])

    Two versions are published: the *quality* form, an ensemble of all models that help, and the *serving* form, which
    answers a row within `latency`. The serving form is returned; its `.quality` is the other.

    - `target`: the column to predict; its values decide between classification and regression
    - `name`: the name of the model; by default that of the file
    - `time`: the time budget, in seconds or as a text such as `"5m"`
    - `metric`: the metric to optimise; by default `"roc_auc"` for two classes, `"log_loss"` for more, `"rmse"` for
      amounts; or `"accuracy"`, `"f1"`, `"mae"`, … (docs/how-to/train.md#metrics)
    - `latency`: of one row in the serving form; by default 150 µs beyond reading it, more on a slow machine, or
      `"20ms"` with an encoder
    - `encoder`: a sentence encoder for the texts: its folder, or its name on the hub
    - `split`: `"random"`, `"time:<column>"` or `"group:<column>"`
    - `test`: other rows to measure on, or the share to set aside for that; by default as many as can be spared
    - `learners`: names of the learners to try, by default all; or a dict from names to fixed settings
    - `search`: whether the time that is left is spent on a hyperparameter search
    - `folds`: the number of cross-validation folds; by default as many as the time allows
    - `class_weights`: `"balanced"`, or a dict from classes to the weight of their rows: `{"yes": 5}`
    - `seed`: the same data, settings and seed give the same fits
    - `schema`: the types of the columns, or a file written by `aias data check --save`; by default they are inferred
    - `teacher`: labels the rows that have no label, before the time begins: a version, an address, or a `Teacher` with
      more settings
    - `encoding`: the text encoding of the files, as `"gb18030"`; by default it is detected and reported
    - `resume`: continue an interrupted training of this name
    - `inline`: fit in this process, where a fit that hangs cannot be killed: for small data
    - `early`: also publish the first model as soon as there is one, so that it can be deployed while training continues
    - `home`: where models are kept; by default `AIAS_HOME`, or `~/.aias`
    - `stop`: an event; once set, training finishes with what it has found
    - `watch`: called with each progress event: `watch=lambda event: print(event.message)`; by default warnings are
      logged

    Raises `UserError` with a hint when a model cannot be trained on the data.
    """
    seconds, home = seconds_of(time), home_at(home)
    deadline = Deadline.after(seconds)  # before the imports, which take seconds on a busy machine
    if isinstance(test, str) and test.endswith("%"):
        test = share_of(test)
    latency_us = None if latency is None else 1e6 * latency_of(latency)
    name, facts = check_name(name) if name else _name_of(source, watch), dict[str, Any]()
    work = home / WORK / name
    with contextlib.ExitStack() as until_the_end:
        ready = contextlib.nullcontext() if inline else contextlib.closing(_forkserver(work))
        forkserver = until_the_end.enter_context(ready)
        from aias.client.early import publish_first
        from aias.client.model import publish
        from aias.data.read import read
        from aias.registry.registry import Registry
        from aias.teaching.seen import remember
        from aias.training.class_weights import checked
        from aias.training.train import Recipe, check
        from aias.training.train import train as fit

        recipe = Recipe(
            target=target, name=name, metric=metric, seconds=seconds, split=split, test=_share(test), seed=seed,
            learners=listed(learners), folds=folds, learner_settings=_settings(learners), search=search,
            class_weights=checked(class_weights), latency_us=latency_us,
            encoder=None if encoder is None else str(encoder),
        )  # fmt: skip
        check(recipe)  # before a teacher is asked, which may cost money, and before a file is read
        if teacher is not None:
            from aias.client.teaching import answered
            from aias.data.labelled import raw

            source = source if encoding is None else raw(source, encoding=encoding)
            source, test, facts = answered(source, target, teacher, test, schema=schema, seed=seed, home=home,
                                           stop=stop, watch=watch)  # fmt: skip
            deadline = Deadline.after(seconds)
        schema = Path(schema) if isinstance(schema, str) else schema
        dataset = read(source, target=target, schema=schema, encoding=encoding, watch=watch)
        given = None
        if test is not None and _share(test) is None:
            given = read(test, schema=dataset.schema, encoding=encoding, watch=watch)
        recipe = replace(
            recipe, test=_share(test), source=_path(source), test_source=_path(test), encoding=dataset.encoding,
            test_encoding=given.encoding if given else None, teacher=facts,
        )  # fmt: skip
        registry = Registry.open(home, watch=watch)
        rows = [dataset]
        del dataset  # training lets go of it as soon as it can
        results = fit(
            rows.pop(), recipe, deadline=deadline, test=given, work=work, resume=resume, inline=inline,
            forkserver=forkserver, stop=stop, watch=watch,
            learned=lambda rows, inputs: remember(rows, inputs, digest=rows.digest, home=home),
            first=(lambda trained: publish_first(registry, trained, resume=resume, watch=watch)) if early else None,
        )  # fmt: skip
        return publish(registry, results, watch=watch)


def _name_of(source: Any, watch: Watch) -> str:
    """The name of the file, as far as it can be a name of a model."""
    fallback = NAMELESS
    if isinstance(source, (str, Path)):
        fallback = (Path(source).name or Path(source).absolute().name).split(".")[0]
    found = name_from(fallback)
    if found == NAMELESS != fallback:
        said = f"nothing of `{fallback}` can be in a name: the model is called `{found}`; give it one with `--name`"
        watch(Event("train.named", said, "warning", {"name": found}))
    return found


def _forkserver(work: Path) -> Any:
    """Starts to load the libraries of the workers, while this process reads the rows and loads its own."""
    from aias.training.processes.forkserver import ForkServer

    return ForkServer(work, threads=1)


def _share(test: Any) -> float | None:
    return float(test) if isinstance(test, (int, float)) else None


def _settings(learners: Sequence[str] | Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    if not isinstance(learners, Mapping):
        return {}
    for name, each in learners.items():
        if each is not None and not isinstance(each, Mapping):
            raise UserError(f"the settings of `{name}` are named values, not {shown(each)}", hint='{"rounds": 50}')
    return {name: dict(each) for name, each in learners.items() if each}


def _path(source: Any) -> str | None:
    return str(source) if isinstance(source, (str, Path)) else None
