"""What is loaded when: a notebook starts fast and without torch."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HEAVY = ("torch", "pandas", "transformers", "peft", "datasets", "numpy", "plotly")
LOAD_EXT = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
start = time.process_time()
shell.run_line_magic("load_ext", "ft_notebook")
assert "finetune" in shell.magics_manager.magics["cell"]
"""
LAUNCH = "import ft_notebook.notebook.launch, ft_notebook.data.prepare, ft_notebook.plugins as p; p.registry()"


def loaded_by(code):
    script = f"import json, sys, time\nstart = time.process_time()\n{code}\n" \
             "print(json.dumps([time.process_time() - start, list(sys.modules)]))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("code", ["import ft_notebook", LOAD_EXT])
def test_importing_and_loading_the_extension_take_less_than_half_a_second(code):
    seconds, _ = loaded_by(code)
    assert seconds < 0.5


@pytest.mark.parametrize("code", ["import ft_notebook", LOAD_EXT, LAUNCH, "import ft_notebook.cli"])
def test_nothing_heavy_is_loaded(code):
    _, modules = loaded_by(code)
    assert not set(HEAVY) & set(modules)


def test_the_public_names_are_there_and_few():
    import ft_notebook

    assert len(ft_notebook.__all__) <= 20
    for name in ft_notebook.__all__:
        if name != "__version__":
            assert getattr(ft_notebook, name) is not None
    with pytest.raises(AttributeError, match="fine_tune"):
        ft_notebook.fine_tune
