"""A run under evaluation: its examples, its models ready to be asked, and what was heard of them before.

Loads a model at its first use. In the evaluator's process only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from ft_notebook.data.examples import Example, example_from_json
from ft_notebook.evaluate.generation.kept_answers import Asked, KeptAnswers, ask
from ft_notebook.evaluate.generation.model_speaker import ModelSpeaker
from ft_notebook.evaluate.generation.speaking import Conversation
from ft_notebook.models.adapters import is_adapter
from ft_notebook.models.catalog import find_model
from ft_notebook.models.load import load_model, load_tokenizer, resolve_precision
from ft_notebook.recipe.schema import ModelSection, Recipe
from ft_notebook.store.runs import RunFolder
from ft_notebook.train.answer import Loaded, load_trained
from ft_notebook.train.evaluating import Order
from ft_notebook.train.heard import answers_of, base_key, longest_answer, once, tuned_key

Say = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Voice:
    """A model that is asked. `key` stands for all of it that decides an answer."""

    name: str
    key: str
    model: Any
    tokenizer: Any
    switched: Callable[[], AbstractContextManager[Any]] = nullcontext    # in which it is that model

    @property
    def speaker(self) -> ModelSpeaker:
        return ModelSpeaker(self.model, self.tokenizer, switched=self.switched)


@dataclass
class UnderEvaluation:
    """What an order is about. `say` is called again and again; what it raises ends the evaluation."""

    order: Order
    say: Say
    _voices: dict[str, Voice] = field(default_factory=dict)

    def ask(self, voice: Voice, conversations: Sequence[Conversation], stage: str, *,
            max_new_tokens: int | None = None) -> Asked:
        """Answers, of which those that are kept are not made again."""
        return ask(voice.speaker, self._kept, voice.key, conversations, max_new_tokens=max_new_tokens or self.longest,
                   on_progress=partial(self.say, stage))

    def once(self, what: str, key: str, compute: Callable[[], Any]) -> Any:
        """See `heard.once`."""
        return once(self.run, what, key, compute)

    def fits(self, prompt: Conversation) -> bool:
        """Whether the model's context holds a prompt and its answer."""
        return self.base.speaker.fits(prompt, max_new_tokens=self.longest)

    def voice_of(self, name: str) -> Voice:
        """Another model than the run's, as `model:` in a recipe names it; loaded once."""
        if name not in self._voices:
            found = find_model(ModelSection.model_validate({"name": name}), say=lambda sentence: None)
            model = load_model(found, precision=resolve_precision(self.recipe.train.precision))
            self._voices[name] = Voice(name, name, model, load_tokenizer(found))
        return self._voices[name]

    @cached_property
    def run(self) -> RunFolder:
        return RunFolder(Path(self.order.run))

    @cached_property
    def recipe(self) -> Recipe:
        return Recipe.model_validate_json(self.order.recipe)

    @cached_property
    def rows(self) -> list[Example]:
        return [example_from_json(line) for line in self.order.rows]

    @cached_property
    def train(self) -> list[Example]:
        return [example_from_json(line) for line in self.run.train_lines()]

    @cached_property
    def loaded(self) -> Loaded:
        return load_trained(self.run)

    @cached_property
    def tuned(self) -> Voice:
        return Voice("tuned", tuned_key(self.run, self.loaded.folder), self.loaded.model, self.loaded.tokenizer)

    @cached_property
    def base(self) -> Voice:
        """The model before tuning."""
        key = base_key(self.recipe)
        if is_adapter(self.loaded.model):
            return Voice("base", key, self.loaded.model, self.loaded.tokenizer, self.loaded.model.disable_adapter)
        return Voice("base", key, self.loaded.load_base(), self.loaded.tokenizer)

    @cached_property
    def longest(self) -> int:
        """New tokens of an answer."""
        return longest_answer(self.run, self.recipe)

    @cached_property
    def _kept(self) -> KeptAnswers:
        return answers_of(self.run)
