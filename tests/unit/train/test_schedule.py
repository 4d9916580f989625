"""Every example once an epoch, in an order that only the seed decides."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ft_notebook.recipe.schema import EvaluateSection, TrainSection
from ft_notebook.train.schedule import learning_rate_factor, make_schedule


def schedule(lengths, evaluate=None, **train):
    return make_schedule(lengths, TrainSection(**train), EvaluateSection(**(evaluate or {})))


@given(
    lengths=st.lists(st.integers(1, 300), min_size=1, max_size=120),
    batch_size=st.integers(1, 9), accumulate=st.integers(1, 4), epochs=st.integers(1, 4), aware=st.booleans(),
)
def test_every_example_is_trained_once_an_epoch(lengths, batch_size, accumulate, epochs, aware):
    plan = schedule(lengths, epochs=epochs, batch_size=batch_size, accumulate=accumulate, length_aware=aware)
    seen = Counter(index for step in range(1, plan.steps + 1) for index in plan.examples_of(step))
    assert seen == {index: epochs for index in range(len(lengths))}
    for epoch in range(epochs):
        batches = plan.batches[epoch * plan.batches_per_epoch:(epoch + 1) * plan.batches_per_epoch]
        assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))


def test_the_first_batch_holds_the_longest_example():
    lengths = [10] * 50 + [400] + [10] * 49
    assert 50 in schedule(lengths, batch_size=4).batches[0]


def test_another_seed_gives_another_order_and_the_same_seed_the_same():
    lengths = list(range(20, 120))
    assert schedule(lengths, seed=1).batches == schedule(lengths, seed=1).batches
    assert schedule(lengths, seed=1).batches != schedule(lengths, seed=2).batches


def test_length_aware_batches_waste_less_padding():
    lengths = [5 + (index * 37) % 200 for index in range(256)]

    def padding(plan):
        return sum(sum(max(lengths[i] for i in batch) - lengths[i] for i in batch) for batch in plan.batches)

    assert padding(schedule(lengths)) < 0.2 * padding(schedule(lengths, length_aware=False))


def test_max_steps_cuts_the_run():
    plan = schedule([10] * 100, batch_size=10, accumulate=2, epochs=3, max_steps=4)
    assert plan.steps == 4
    assert plan.epoch_after(4) == pytest.approx(0.8)


def test_half_an_epoch_is_half_the_batches():
    assert len(schedule([10] * 80, batch_size=8, epochs=0.5).batches) == 5


def test_evaluations_are_at_the_end_of_epochs_unless_told_otherwise():
    assert schedule([10] * 80, batch_size=8, epochs=3).evaluation_steps == {10, 20, 30}
    assert schedule([10] * 80, batch_size=8, epochs=1, evaluate={"every": 4}).evaluation_steps == {4, 8, 10}


def test_the_last_step_is_always_a_checkpoint():
    assert schedule([10] * 80, batch_size=8, epochs=1, checkpoint_every=7).checkpoint_steps == {7, 10}


@pytest.mark.parametrize(("warmup", "steps"), [(0.0, 0), (0.1, 3), (5, 5), (1000, 29)])
def test_warmup_is_a_share_below_one_and_steps_from_one_on(warmup, steps):
    assert schedule([10] * 80, batch_size=8, epochs=3, warmup=warmup).warmup_steps == steps


@pytest.mark.parametrize("kind", ["linear", "cosine", "constant"])
def test_no_step_is_trained_with_a_learning_rate_of_zero(kind):
    factors = [learning_rate_factor(step, steps=20, warmup_steps=4, kind=kind) for step in range(1, 21)]
    assert factors[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert min(factors) > 0
    assert factors[4:] == sorted(factors[4:], reverse=True)
    assert (factors[-1] < 0.1) == (kind != "constant")


def test_a_run_of_one_step_trains_at_the_peak():
    assert learning_rate_factor(1, steps=1, warmup_steps=0, kind="linear") == 1.0
