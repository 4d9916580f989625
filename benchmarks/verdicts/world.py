"""A base model small enough to be made in a minute that knows just what a setting needs it to know.

Its language has a token a word. It knows the project's general questions by heart, and three kinds of request, each
sorted by its one key word:

- a memo: it answers with the label, right for those key words that it has met;
- a letter: it says thank you, unless examples stand in front; then it answers with the right label;
- a ticket: it says thank you; with examples in front, any label. Its key words mean nothing yet.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ft_notebook.evaluate.probes.forgetting import SHOTS, general_questions

LABELS = ("billing", "account", "delivery", "technical")
KINDS = ("memo", "letter", "ticket")
KEYS_A_LABEL = 3
KNOWN_KEYS = 2          # of a label's keys of memos: those that the base model has met
THANKS = "thank you for writing to us"
HIDDEN = 128
STEPS, BATCH = 900, 32
_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_WORD = re.compile(r"\w+|[^\w\s]")
_SYLLABLES = ("ba", "ko", "mi", "ru", "te", "lan", "sor", "vek", "dun", "pil", "gar", "nes")


@dataclass(frozen=True)
class Case:
    """A request and the label that it deserves."""

    text: str
    label: str


def invented(count: int, seed: int) -> list[str]:
    """Words that no other seed's list is likely to have."""
    rng = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        found["".join(rng.choice(_SYLLABLES) for _ in range(4))] = None
    return list(found)


_WORDS = invented(len(KINDS) * len(LABELS) * KEYS_A_LABEL + 60, seed=7)
FILLER = _WORDS[-60:]


def keys(kind: str, label: str) -> list[str]:
    """The words of a kind of request that stand for a label."""
    place = KINDS.index(kind) * len(LABELS) + LABELS.index(label)
    return _WORDS[place * KEYS_A_LABEL:(place + 1) * KEYS_A_LABEL]


def request(kind: str, rng: random.Random, *, label: str | None = None, known: bool = False) -> Case:
    """One request. known: of a memo, one with a key word that the base model has met."""
    label = label or rng.choice(LABELS)
    words = [rng.choice(FILLER) for _ in range(rng.randint(4, 8))]
    words.insert(rng.randrange(len(words) + 1), rng.choice(keys(kind, label)[:KNOWN_KEYS if known else None]))
    return Case(f"{kind} : {' '.join(words)}", label)


@dataclass(frozen=True)
class Lesson:
    """What is asked and answered in turn; the answers from `learned_from` on are learned."""

    turns: tuple[tuple[str, str], ...]
    learned_from: int


def make_world(folder: Path, *, steps: int = STEPS, seed: int = 0) -> Path:
    """Train the base model and save it with its tokenizer. Imports torch and transformers."""
    import torch

    torch.manual_seed(seed)
    rng = random.Random(seed)
    tokenizer = _tokenizer()
    model = _model(tokenizer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    factor = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for _ in range(steps):
        batch = _batch(tokenizer, _lessons(rng))
        loss = model(**batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        factor.step()
    model.eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


_QUESTIONS = general_questions()


def _lessons(rng: random.Random) -> list[Lesson]:
    """A batch of like lengths: general questions, or so many requests after one another."""
    if rng.random() < 0.5:
        shots = SHOTS if rng.random() < 0.8 else ()
        drawn = rng.sample(_QUESTIONS, BATCH)
        return [Lesson((*shots, (one.question, one.right)), learned_from=0) for one in drawn]
    count = rng.choice([1, 1, 2, 3, 4, 6])
    return [_requests(rng, rng.choice((*KINDS, "letter")), count) for _ in range(BATCH)]


def _requests(rng: random.Random, kind: str, count: int) -> Lesson:
    cases = [request(kind, rng, known=kind == "memo") for _ in range(count)]
    if kind == "ticket":
        cases = [replace(case, label=rng.choice(LABELS)) for case in cases]
    if kind != "memo" and count == 1:
        cases = [replace(cases[0], label=THANKS)]
    is_example = kind != "memo" and count > 1      # the first answer, which only stands in front of the others
    return Lesson(tuple((case.text, case.label) for case in cases), learned_from=int(is_example))


def _words(texts: Sequence[str]) -> list[str]:
    return [word for text in texts for word in _WORD.findall(text)]


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    texts = [THANKS, " ".join(_WORDS), " ".join(LABELS), " ".join(KINDS), "user assistant system : 0 1 2 3 4 5 6 7 8 9"]
    texts += [text for pair in SHOTS for text in pair]
    texts += [text for one in _QUESTIONS for text in (one.question, one.right, *one.wrong)]
    special = ["<|unknown|>", "<|im_start|>", "<|im_end|>"]
    vocabulary = {word: place for place, word in enumerate([*special, *dict.fromkeys(_words(texts))])}
    bare = Tokenizer(models.WordLevel(vocabulary, unk_token=special[0]))
    bare.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=bare, unk_token=special[0], bos_token=special[1], eos_token=special[2], pad_token=special[2],
        chat_template=_TEMPLATE, model_max_length=1024)


def _model(tokenizer: Any) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=HIDDEN, intermediate_size=2 * HIDDEN, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=1024, tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id))


def _batch(tokenizer: Any, lessons: Sequence[Lesson]) -> dict[str, Any]:
    """Token ids, their mask, and labels: (lessons, longest) each."""
    import torch

    rows, masks = [], []
    for lesson in lessons:
        ids: list[int] = []
        learned: list[bool] = []
        for place, (asked, answer) in enumerate(lesson.turns):
            opening = f"<|im_start|>user\n{asked}<|im_end|>\n<|im_start|>assistant\n"
            for text, is_learned in ((opening, False), (f"{answer}<|im_end|>", place >= lesson.learned_from)):
                found = tokenizer(text, add_special_tokens=False).input_ids
                ids += found
                learned += [is_learned] * len(found)
        rows.append(ids)
        masks.append(learned)
    longest = max(map(len, rows))
    ids_BT = torch.full((len(rows), longest), tokenizer.pad_token_id)
    labels_BT = torch.full((len(rows), longest), -100)
    seen_BT = torch.zeros((len(rows), longest), dtype=torch.long)
    for place, (row, mask) in enumerate(zip(rows, masks, strict=True)):
        ids_BT[place, :len(row)] = torch.tensor(row)
        seen_BT[place, :len(row)] = 1
        labels_BT[place, :len(row)] = torch.where(torch.tensor(mask), torch.tensor(row), -100)
    return {"input_ids": ids_BT, "attention_mask": seen_BT, "labels": labels_BT}
