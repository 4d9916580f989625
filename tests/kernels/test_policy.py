"""When a 4-bit layer multiplies fused, and when it dequantizes first."""

from __future__ import annotations

import pytest

from ft_kernels.policy import CROSSOVER, choose_path, crossover, seed_table


@pytest.mark.parametrize("arch", CROSSOVER)
def test_each_figure_of_the_table_is_the_last_size_that_multiplies_fused(arch: int) -> None:
    for (n, k), largest in CROSSOVER[arch].items():
        assert choose_path(arch=arch, n=n, k=k, m=largest) == "fused"
        assert choose_path(arch=arch, n=n, k=k, m=largest + 1) == "dequantize"


def test_an_unknown_shape_takes_the_figure_of_the_nearest_by_ratio() -> None:
    assert crossover(CROSSOVER[80], 5120, 5120) == CROSSOVER[80][4096, 4096]
    assert crossover(CROSSOVER[80], 11008, 4096) == CROSSOVER[80][14336, 4096]
    assert crossover(CROSSOVER[80], 512, 640) == CROSSOVER[80][576, 576]


@pytest.mark.parametrize(("arch", "stands_for"), [(86, 89), (120, 89), (103, 100), (75, 80), (942, 80)])
def test_a_device_without_figures_uses_those_of_its_nearest(arch: int, stands_for: int) -> None:
    assert seed_table(arch) is CROSSOVER[stands_for]


def test_the_recipe_overrides_all_and_a_measurement_overrides_the_table() -> None:
    measured = {(4096, 4096): 100}
    assert choose_path(arch=90, n=4096, k=4096, m=64) == "dequantize"
    assert choose_path(arch=90, n=4096, k=4096, m=64, measured=measured) == "fused"
    assert choose_path(arch=90, n=4096, k=4096, m=64, mode="dequantize", measured=measured) == "dequantize"
    assert choose_path(arch=90, n=4096, k=4096, m=8192, mode="fused") == "fused"
