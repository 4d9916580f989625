"""The loss that is trained equals the plain one, and its gradients too."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM

from ft_notebook.data.examples import EncodedExample
from ft_notebook.train.trainer import IGNORED, collate, masked_loss


def example(ids: list[int], trained: range) -> EncodedExample:
    return EncodedExample("x", 1, ids, [i in trained for i in range(len(ids))])


BATCH = [
    example(list(range(5, 25)), range(12, 20)),
    example(list(range(30, 40)), range(6, 10)),
    example(list(range(50, 54)), range(0, 4)),     # the very first token has nothing before it
]


@pytest.fixture(scope="module")
def model(tiny_model):
    return AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float64)


def test_padding_never_carries_loss_even_where_the_pad_token_is_trained():
    pad = 24
    batch = collate(BATCH, pad_id=pad)
    assert batch["labels"][1, 10:].eq(IGNORED).all()
    assert batch["attention_mask"].sum(1).tolist() == [20, 10, 4]
    assert batch["labels"][0, 19] == pad       # the trained token that equals the pad token stays


def test_loss_and_gradients_equal_the_plain_computation(model):
    batch = collate(BATCH, pad_id=0)
    parameters = list(model.parameters())
    ours = masked_loss(model, batch, None)
    ours_grads = torch.autograd.grad(ours, parameters)
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    plain = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), batch["labels"][:, 1:].flatten())
    plain_grads = torch.autograd.grad(plain, parameters)
    assert ours.item() == pytest.approx(plain.item(), rel=1e-6)
    for mine, theirs in zip(ours_grads, plain_grads, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-8)


def test_accumulated_micro_batches_sum_to_the_loss_of_the_whole(model):
    whole = masked_loss(model, collate(BATCH, pad_id=0), None)
    items = sum(e.trained_tokens for e in BATCH) - 1
    parts = sum(masked_loss(model, collate([e], pad_id=0), items) for e in BATCH)
    assert parts.item() == pytest.approx(whole.item(), rel=1e-5)
