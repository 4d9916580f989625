"""The plan's memory: exact where it can be, and moving the right way where it is a model."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from ft_notebook.train.memory import ModelShape, estimate_memory

SMOL = ModelShape(total_parameters=134_515_008, quantized_parameters=106_168_320, trainable_parameters=4_884_480,
                  layers=30, hidden=576, intermediate=1536, vocabulary=49152, queries=576,
                  keys=192)


def estimate(shape=SMOL, **changes):
    settings = {"device": "cpu", "bytes_per_value": 4, "is_double_quant": True, "batch_tokens": 752,
                "trained_positions": 80, "is_checkpointing": False, **changes}
    return estimate_memory(shape, **settings)


def test_the_embedded_model_is_expected_where_it_was_measured():
    # Peaks of the worker: 2.9 GB for batches of 8 x 94 tokens, 8.5 GB for 8 x 456 with long answers.
    assert estimate().expected_bytes == pytest.approx(2.9e9, rel=0.1)
    assert estimate().low_bytes < 2.9e9 < estimate().high_bytes
    long = estimate(batch_tokens=8 * 456, trained_positions=8 * 210)
    assert long.expected_bytes == pytest.approx(8.5e9, rel=0.1)


def test_four_bits_save_what_they_save():
    plain = estimate(replace(SMOL, quantized_parameters=0))
    assert plain.expected_bytes - estimate().expected_bytes == int(106_168_320 * (4 - (0.5 + 1 / 64 + 4 / 16384)))


def test_checkpointing_and_shorter_batches_need_less():
    assert estimate(is_checkpointing=True).expected_bytes < 0.6 * estimate().expected_bytes
    assert estimate(batch_tokens=376).expected_bytes < estimate().expected_bytes


def test_a_trained_parameter_costs_sixteen_bytes_in_all():
    more = estimate(replace(SMOL, total_parameters=SMOL.total_parameters + 1000,
                            trainable_parameters=SMOL.trainable_parameters + 1000))
    assert more.expected_bytes - estimate().expected_bytes == 16_000


def test_the_peak_is_that_of_this_process_and_not_of_its_parent():
    code = "from ft_notebook.train.memory import peak_memory_bytes; print(peak_memory_bytes())"
    ballast = bytearray(400_000_000)
    ballast[::4096] = b"x" * len(ballast[::4096])
    peak = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert 5_000_000 < peak < 200_000_000
