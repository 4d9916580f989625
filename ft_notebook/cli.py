"""The command line: all that the magics do, for terminals and scripts.

Exit status: 0 done, 1 the run failed or the data must not be trained on, 2 the user can put it right (one sentence on
stderr). With `--json` standard output holds one JSON object and nothing else.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ft_notebook.errors import FtError, UserError
from ft_notebook.events import PlanEvent
from ft_notebook.notebook import launch, plain
from ft_notebook.notebook.doctor import doctor
from ft_notebook.notebook.run import Run, Sentence, load_run, run_rows
from ft_notebook.store.runs import RunStore
from ft_notebook.views.text import visible

DONE, RUN_FAILED, USER_ERROR = 0, 1, 2
BLOCKED = 1
GATE_FAILED = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    given = _parser().parse_args(arguments)
    try:
        return int(given.command(given))
    except UserError as error:
        return _refused(error, given, USER_ERROR)
    except FtError as error:
        return _refused(error, given, RUN_FAILED)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


def _run(given: argparse.Namespace) -> int:
    if given.dry_run:
        return _plan(given)
    path = Path(given.recipe)
    order = launch.read_order(path, objects={})
    run = launch.launch(order, name=given.name or _name_of(path), again=given.again)
    _say(run.notice)
    if run.status == "stopped" and not given.again:
        _say(f"`ft-notebook resume {run.name}` goes on in the background.")
    if given.detach:
        _say(f"{run.name} trains in the background; `ft-notebook show {run.id}` looks at it.")
        _answer(given, run.folder.summary(), run.id)
        return DONE
    _wait(run)
    return _end(given, run)


def _plan(given: argparse.Namespace) -> int:
    path = Path(given.recipe)
    name = given.name or _name_of(path)
    plan: PlanEvent = launch.plan(launch.read_order(path, objects={}), name=name)
    _answer(given, plan.model_dump(exclude={"seq", "time", "type"}), plain.plan_text(plan, name=name))
    return DONE


def _runs(given: argparse.Namespace) -> int:
    store = RunStore()
    folders = store.list()
    _answer(given, {"runs": [folder.summary() for folder in folders], "problems": store.problems},
            "\n".join([plain.runs_text(run_rows(folders)), *store.problems]))
    return DONE


def _doctor(given: argparse.Namespace) -> int:
    diagnosis = doctor()
    _answer(given, {"findings": [asdict(finding) for finding in diagnosis.findings]}, repr(diagnosis))
    return DONE


def _show(given: argparse.Namespace) -> int:
    run = load_run(given.run)
    _answer(given, _facts(run), run.text())
    return DONE


def _control(given: argparse.Namespace) -> int:
    run = load_run(given.run)
    sentence: Sentence = given.wish(run, given)
    _answer(given, {**run.folder.summary(), "said": str(sentence)}, str(sentence))
    return DONE


def _generate(given: argparse.Namespace) -> int:
    prompt = sys.stdin.read() if given.prompt == "-" else given.prompt
    answer = load_run(given.run).generate(prompt, max_new_tokens=given.max_new_tokens, use_adapter=not given.base)
    _answer(given, {"prompt": prompt, "answer": answer, "is_base": given.base}, answer)
    return DONE


def _inspect(given: argparse.Namespace) -> int:
    from ft_notebook.notebook.inspector.inspection import inspect

    path = given.data
    is_recipe = path.endswith((".yaml", ".yml"))
    inspection = inspect(None if is_recipe else path, recipe=path if is_recipe else None, against=given.against or "",
                         checks=given.check or (), objects={}, told=None if given.json else _tell_check)
    for report in given.report or ():
        _say(inspection.save(report))
    _answer(given, inspection.to_dict(), inspection.text())
    return BLOCKED if inspection.is_blocked else DONE


def _evaluate(given: argparse.Namespace) -> int:
    from ft_notebook.notebook.evaluating import evaluate

    over = Path(given.recipe).read_text(encoding="utf-8") if given.recipe else None
    evaluated = evaluate(given.run, given.data, recipe=over, objects={})
    for report in given.report or ():
        _say(evaluated.save(report))
    _answer(given, evaluated.to_dict(), evaluated.text())
    return DONE if evaluated.is_passed else GATE_FAILED


def _tell_check(name: str, done: int, total: int) -> None:
    """One line that is written over, where somebody looks at it."""
    if sys.stderr.isatty():
        print(f"\r\033[K{name}: {done:,} of {total:,} rows", end="" if done < total else "\r\033[K", file=sys.stderr,
              flush=True)


def _wait(run: Run) -> None:
    """Block until the run is over. The first Ctrl-C stops it cleanly, a second one leaves it to itself."""
    try:
        run.await_end()
    except KeyboardInterrupt:
        _say(run.stop())
        run.await_end()


def _end(given: argparse.Namespace, run: Run) -> int:
    _answer(given, _facts(run), run.text())
    return DONE if run.status in {"finished", "stopped", "discarded"} else RUN_FAILED


def _facts(run: Run) -> dict[str, Any]:
    error = run.error
    return {**run.folder.summary(), "report": run.folder.report(), "path": str(run.folder.path),
            "error": None if error is None else {"kind": error.kind, "text": error.text}}


def _answer(given: argparse.Namespace, values: dict[str, Any], text: str) -> None:
    """One JSON object, or the text with every control character made visible."""
    print(json.dumps(values, ensure_ascii=True) if given.json else visible(text))


def _refused(error: FtError, given: argparse.Namespace, status: int) -> int:
    print(visible(f"{type(error).__name__}: {error}"), file=sys.stderr)
    if given.json:
        print(json.dumps({"error": {"kind": type(error).__name__, "text": str(error)}}))
    return status


def _say(text: str) -> None:
    if text:
        print(visible(text), file=sys.stderr)


def _name_of(path: Path) -> str:
    """A run is called like its recipe's file."""
    return path.stem


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ft-notebook", description="Fine-tune a language model.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(name: str, help_text: str, command: Any) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=help_text, description=help_text)
        added.add_argument("--json", action="store_true", help="print one JSON object")
        added.set_defaults(command=command)
        return added

    run = add("run", "Train as a recipe says and wait for the end; Ctrl-C stops with a checkpoint.", _run)
    run.add_argument("recipe", metavar="RECIPE.yaml")
    run.add_argument("--name", help="what the run is called; the file's name by default")
    run.add_argument("--again", action="store_true", help="train anew although such a run is there")
    run.add_argument("--dry-run", action="store_true", help="show the plan and train nothing")
    run.add_argument("--detach", action="store_true", help="return at once")
    planned = add("plan", "Show what a recipe would do, and train nothing.", _plan)
    planned.add_argument("recipe", metavar="RECIPE.yaml")
    planned.add_argument("--name", help="what the run is called")
    inspected = add("inspect", "Look data over before it is trained on; status 1 if something keeps it from that.",
                    _inspect)
    inspected.add_argument("data", metavar="FILE", help="data as a recipe names it, or a recipe (.yaml)")
    inspected.add_argument("--against", metavar="TEST", help="test data, which must not be among the rows")
    inspected.add_argument("--report", metavar="OUT", action="append",
                           help="also write the report, as .html or .json; may be repeated")
    inspected.add_argument("--check", metavar="NAME", action="append",
                           help="run this check only; may be repeated")
    evaluated = add("evaluate", "Hold a run against prompts, and see what it forgot; status 1 if a gate fails.",
                    _evaluate)
    evaluated.add_argument("run", metavar="RUN")
    evaluated.add_argument("--data", metavar="FILE", help="what to evaluate on; the held-out examples by default")
    evaluated.add_argument("--recipe", metavar="RECIPE.yaml", help="sections that go over the run's recipe")
    evaluated.add_argument("--report", metavar="OUT", action="append",
                           help="also write the evaluation, as .html, .json or .md; may be repeated")
    add("runs", "List all runs, newest first.", _runs)
    add("doctor", "Say what this environment can and cannot do.", _doctor)
    add("show", "Show a run.", _show).add_argument("run", metavar="RUN")
    def add_control(name: str, help_text: str, wish: Callable[[Run, argparse.Namespace], Sentence]
                    ) -> argparse.ArgumentParser:
        control = add(name, help_text, _control)
        control.add_argument("run", metavar="RUN")
        control.set_defaults(wish=wish)
        return control

    stop = add_control("stop", "Stop a run with a checkpoint.", lambda run, given: run.stop(keep=not given.discard))
    stop.add_argument("--discard", action="store_true", help="remove the run's checkpoints instead")
    add_control("pause", "Pause a run.", lambda run, given: run.pause())
    add_control("checkpoint", "Have a run commit a checkpoint now.", lambda run, given: run.checkpoint())
    add_control("resume", "Go on with a run that was paused, stopped or cut off.", lambda run, given: run.resume())
    change = add_control("change", "Change how long a run trains, or how often it is evaluated, while it trains.",
                         lambda run, given: run.change(given.epochs, given.max_steps, given.evaluate_every))
    change.add_argument("--epochs", type=float, help="passes over the data in all")
    change.add_argument("--max-steps", type=int, help="steps in all")
    change.add_argument("--evaluate-every", type=int, metavar="STEPS", help="steps between evaluations")
    asked = add("generate", "Ask a run's model.", _generate)
    asked.add_argument("run", metavar="RUN")
    asked.add_argument("prompt", metavar="PROMPT", help="the text, or - for standard input")
    asked.add_argument("--base", action="store_true", help="ask the base model")
    asked.add_argument("--max-new-tokens", type=int)
    return parser
