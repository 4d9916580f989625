"""A batch without padding trains what the padded one trains: tokens, loss, and steps."""

from __future__ import annotations

import pytest
import torch
from cpu_shapes import SHAPES, assert_same_gradients, examples, gradients, lora_model, plain_copy, plain_loss

from ft_notebook.data.examples import EncodedExample
from ft_notebook.evaluate.generation.generate import nll
from ft_notebook.models.cpu_path import CpuPath, use_cpu_path
from ft_notebook.train import packed as packed_batches
from ft_notebook.train.packed import pack, packed_loss, packed_nll, split
from ft_notebook.train.trainer import IGNORED, collate, masked_loss

BATCH = examples(5, [9, 20, 6, 13])


def path_of(model: object) -> CpuPath:
    path = use_cpu_path(model, resident_bytes=10**9, notice=pytest.fail)
    assert path is not None
    return path


@pytest.mark.parametrize("share_prefix", [False, True])
def test_every_token_lies_where_its_sequence_says(share_prefix: bool):
    batch = pack(BATCH, share_prefix=share_prefix)
    ids = batch.input_ids_1T[0].tolist()
    for example, (start, stop) in zip(BATCH, batch.rows.bounds, strict=True):
        assert ids[:batch.rows.prefix] + ids[start:stop] == example.input_ids
        assert batch.rows.positions_T[start:stop].tolist() == list(range(batch.rows.prefix, example.tokens))
    labels = collate(BATCH, pad_id=0)["labels"][:, 1:]
    assert batch.trained == int((labels != IGNORED).sum()) == int(batch.counts_N.sum())


def test_the_opening_is_computed_once_where_that_saves_tokens():
    assert pack(BATCH, share_prefix=True).rows.prefix == 5
    assert pack(BATCH[:1], share_prefix=True).rows.prefix == 0         # nobody to share with
    assert pack(examples(1, [90, 91]), share_prefix=True).rows.prefix == 0
    assert pack(examples(0, [5, 6]), share_prefix=True).rows.prefix == 0
    whole = [BATCH[1], BATCH[1]]
    assert pack(whole, share_prefix=True).rows.total == 20             # equal examples, all shared


@pytest.mark.parametrize("lengths", [[5, 9, 7], [8, 8, 8], [5, 5]], ids=str)
def test_an_example_may_end_with_the_opening_and_an_opening_may_be_trained(lengths: list[int]):
    batch = examples(5, lengths, trained_from=1)
    model = lora_model("llama", torch.float64)
    plain = plain_copy(model)
    expected = plain_loss(plain, batch)
    expected.backward()
    packed = pack(batch, share_prefix=True)
    assert packed.rows.prefix == 5 and packed.counts_N.max() == len(lengths)
    loss = packed_loss(path_of(model), packed, None)
    loss.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    assert_same_gradients(gradients(model), gradients(plain), 1e-10)


@pytest.mark.parametrize("share_prefix", [False, True])
def test_accumulated_batches_sum_to_the_step_of_the_whole(share_prefix: bool):
    model = lora_model("qwen2", torch.float64)
    plain = plain_copy(model)
    plain_loss(plain, BATCH).backward()
    path, items = path_of(model), pack(BATCH, share_prefix=False).trained
    for part in (BATCH[:3], BATCH[3:]):
        packed_loss(path, pack(part, share_prefix=share_prefix), items).backward()
    assert_same_gradients(gradients(model), gradients(plain), 1e-10)


def test_the_loss_is_the_one_that_the_trainer_has_without_it():
    model = lora_model("llama", torch.float32)
    expected = masked_loss(plain_copy(model), collate(BATCH, pad_id=0), 7)
    assert packed_loss(path_of(model), pack(BATCH, share_prefix=True), 7).item() == pytest.approx(
        expected.item(), rel=1e-6)


def test_a_batch_without_trained_tokens_has_no_loss_and_no_gradient():
    batch = [EncodedExample("x", 1, [4, 5, 6], [False] * 3), EncodedExample("y", 2, [7, 8], [False] * 2)]
    model = lora_model("llama", torch.float32)
    loss = packed_loss(path_of(model), pack(batch, share_prefix=True), 5)
    loss.backward()
    assert loss.item() == 0
    assert all(grad.eq(0).all() for grad in gradients(model).values())


def test_a_trained_head_gets_its_gradient_too():
    model = lora_model("gemma2", torch.float64)
    head = model.get_base_model().get_output_embeddings().weight
    plain = plain_copy(model)
    for each in (model, plain):
        each.get_base_model().get_output_embeddings().weight.requires_grad_(True)
    plain_loss(plain, BATCH).backward()
    packed_loss(path_of(model), pack(BATCH, share_prefix=True), None).backward()
    assert head.grad is not None and head.grad.norm() > 0
    assert_same_gradients(gradients(model), gradients(plain), 1e-10)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-4)], ids=str)
@pytest.mark.parametrize("shape", SHAPES)
def test_fifty_steps_give_the_plain_losses(shape: str, dtype: torch.dtype, tolerance: float):
    model = lora_model(shape, dtype)
    plain = plain_copy(model)
    path = path_of(model)
    optimizers = [torch.optim.AdamW([p for p in each.parameters() if p.requires_grad], lr=3e-3)
                  for each in (model, plain)]
    errors = []
    for step in range(50):
        batch = examples(step % 7, [9 + step % 3, 15, 8], seed=step)
        ours = packed_loss(path, pack(batch, share_prefix=True), None)
        expected = plain_loss(plain, batch)
        for loss, optimizer in zip((ours, expected), optimizers, strict=True):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        errors.append((ours.item() - expected.item()) / expected.item())
    assert max(map(abs, errors)) <= tolerance
    assert 5 <= sum(error > 0 for error in errors) <= 45    # off to no side


@pytest.mark.parametrize(("most_tokens", "sizes"), [
    (0, [[9, 20, 6, 13]]), (48, [[9, 20, 6, 13]]), (47, [[9, 20, 6], [13]]), (29, [[9, 20], [6, 13]]),
    (20, [[9], [20], [6, 13]]), (1, [[9], [20], [6], [13]])])
def test_a_batch_is_split_in_order_and_no_example_is(most_tokens: int, sizes: list[list[int]]):
    assert [[example.tokens for example in part] for part in split(BATCH, most_tokens)] == sizes


@pytest.mark.parametrize("most_tokens", [2048, 25, 1])
@pytest.mark.parametrize("shape", ["llama", "gemma2", "gpt2"])
def test_every_examples_likelihood_is_that_of_the_padded_computation(monkeypatch, shape: str, most_tokens: int):
    monkeypatch.setattr(packed_batches, "_HELDOUT_TOKENS", most_tokens)
    untrained = EncodedExample("none", 9, [4, 5, 6], [True, False, False])      # a first token follows nothing
    batch = [*examples(5, [9, 20, 6, 13], trained_from=2), untrained]
    model = lora_model(shape, torch.float64)
    plain = plain_copy(model)
    path, told = path_of(model), []
    for switch in (model.enable_adapter_layers, model.disable_adapter_layers):
        switch()
        getattr(plain, switch.__name__)()
        ours = packed_nll(path, model, batch, on_progress=lambda done, total: told.append((done, total)))
        expected = nll(plain, batch, pad_id=0)
        assert [count for _, count in ours] == [count for _, count in expected] and ours[-1] == (0.0, 0)
        assert [value for value, _ in ours] == pytest.approx([value for value, _ in expected], rel=1e-9)
    assert told[-1] == (5, 5) and model.training
    assert len({value for value, _ in ours}) == 5
