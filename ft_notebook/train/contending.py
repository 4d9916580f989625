"""The contenders of an evaluation: the base model under several prompts, the tuned model, other runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from ft_notebook.errors import DataError
from ft_notebook.evaluate.evaluation import ContenderKind
from ft_notebook.evaluate.generation.generate import nll
from ft_notebook.evaluate.generation.speaking import Conversation
from ft_notebook.evaluate.material import Heard
from ft_notebook.evaluate.prompts.few_shot import FewShot, find_few_shot
from ft_notebook.evaluate.prompts.retrieval import Retriever
from ft_notebook.models.quantize import dequantized, room_for_answers
from ft_notebook.plugins import registry
from ft_notebook.store.runs import RunFolder
from ft_notebook.train.answer import load_trained
from ft_notebook.train.encode import encode_examples
from ft_notebook.train.evaluated import UnderEvaluation, Voice
from ft_notebook.train.heard import loss_key, tuned_key

RETRIEVED = 3           # training examples in front of a row
MOST_PROMPT_TOKENS = 1500
LEAST = -1e9            # of a log-probability, since JSON has no minus infinity
_SEARCH = "looking for the best few-shot prompt"


def hear_all(about: UnderEvaluation, notes: list[str]) -> list[Heard]:
    """The base model first, the tuned one before other runs. Adds sentences on what could not be compared to `notes`.

    Of rows without an answer (plain text) only the losses of base and tuned model.
    """
    base = Heard("base", "base, zero-shot", "base", ())
    tuned = Heard("tuned", f"tuned: {about.run.name}", "tuned", ())
    prompted: list[Heard] = []
    others: list[Heard] = []
    if all(row.has_target for row in about.rows):
        base, tuned = _heard(about, about.base, base), _heard(about, about.tuned, tuned)
        wanted = about.recipe.report.contenders
        if "few-shot" in wanted:
            prompted += _few_shot(about, notes)
        if "retrieved" in wanted:
            prompted += _retrieved(about, notes)
        others = [_other(about, Path(path)) for path in about.order.runs]
    losses = _losses(about, notes)
    return [replace(base, losses=losses[0]), *prompted, replace(tuned, losses=losses[1]), *others]


def _heard(about: UnderEvaluation, voice: Voice, one: Heard, conversations: Sequence[Conversation] = ()) -> Heard:
    """All rows answered, each by its own prompt where no conversations are given."""
    asked = about.ask(voice, conversations or [row.prompt_messages for row in about.rows], one.title)
    spoken = [replace(each, log_probability=max(each.log_probability, LEAST)) for each in asked.spoken]
    return replace(one, spoken=spoken, seconds=asked.seconds_a_call)


def _few_shot(about: UnderEvaluation, notes: list[str]) -> list[Heard]:
    def search() -> dict[str, object]:
        speaker = about.base.speaker
        found = find_few_shot(speaker, about.train, seed=about.recipe.train.seed,
                              most_tokens=min(MOST_PROMPT_TOKENS, speaker.room(about.longest)),
                              give_way=partial(about.say, _SEARCH, 0, 1))
        return {"examples": [example.id for example in found.examples], "detail": found.detail}

    about.say(_SEARCH, 0, 1)
    kept = about.once("few-shot", f"{about.base.key} {about.run.data_digest} {about.recipe.train.seed}", search)
    by_id = {example.id: example for example in about.train}
    found = FewShot(tuple(by_id[name] for name in kept["examples"]), kept["detail"])
    if not found.examples:
        notes.append(f"There is no few-shot prompt to compare with: {found.detail}.")
        return []
    count = len(found.examples)
    one = Heard("few-shot", f"base, {count} example{'s' if count > 1 else ''}", "few_shot", (), detail=found.detail)
    return [_heard(about, about.base, one, [found.conversation(row, fits=about.fits) for row in about.rows])]


def _retrieved(about: UnderEvaluation, notes: list[str]) -> list[Heard]:
    retriever = Retriever(about.train)
    if not len(retriever):
        notes.append("There is no retrieved prompt to compare with: no training example can stand in one.")
        return []
    one = Heard("retrieved", "base, retrieved (BM25)", "retrieved", (),
                detail=f"the {RETRIEVED} training examples most like each row, by BM25")
    return [_heard(about, about.base, one, [retriever.conversation(row, RETRIEVED, fits=about.fits)
                                            for row in about.rows])]


def _other(about: UnderEvaluation, path: Path) -> Heard:
    """Another run's model on the same rows."""
    run = RunFolder(path)
    loaded = load_trained(run)
    kind: ContenderKind = "run"
    voice = Voice(run.id, tuned_key(run, loaded.folder), loaded.model, loaded.tokenizer)
    with dequantized(loaded.model, room_bytes=room_for_answers(loaded.recipe.kernels)):
        return _heard(about, voice, Heard(run.id, f"run: {run.name}", kind, ()))


def _losses(about: UnderEvaluation, notes: list[str]) -> list[list[tuple[float, int]] | None]:
    """Of the rows' references, by base and tuned model; None where they cannot be encoded as training would."""
    objective = registry().get("objective", str(about.run.data_report()["objective"]))
    try:
        encoded = encode_examples(about.rows, objective, about.loaded.tokenizer, about.recipe.data)
    except DataError as error:
        notes.append(f"The loss was not measured: {error}.")
        return [None, None]
    if not all(one.trained_tokens for one in encoded):
        notes.append("The loss was not measured: some rows have no token that training would put loss on.")
        return [None, None]

    def measure(voice: Voice) -> list[tuple[float, int]]:
        with voice.switched():
            return nll(voice.model, encoded, pad_id=voice.tokenizer.pad_token_id or 0,
                       on_progress=partial(about.say, f"loss of {voice.name}"))

    rows = loss_key(about.recipe, [row.id for row in about.rows])
    found = [about.once("loss", f"{voice.key} {rows}", partial(measure, voice)) for voice in (about.base, about.tuned)]
    return [[(float(loss), int(tokens)) for loss, tokens in one] for one in found]
