"""What the doctor finds, and what it makes of it."""

import http.server
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import ft_notebook
from ft_notebook import machine
from ft_notebook.notebook import servers
from ft_notebook.notebook.doctor import SIGNS, Diagnosis, Finding, judge
from ft_notebook.notebook.environment import Environment, Gpu, look, parse_gpus, unmet_of
from ft_notebook.notebook.fronts import front_of
from ft_notebook.notebook.servers import ServerSeen, running_servers, see_server

ROOT = Path(__file__).parents[3]
STORE = Path("/home/me/runs")
SERVER = ServerSeen("http://127.0.0.1:8888/", "answers", str(STORE), is_parent=True)
GOOD = Environment(
    front="kernel", executor="", system="Linux x86_64", python="3.12.1", versions={"torch": "2.13.0"}, unmet=(),
    gpus=(Gpu("NVIDIA H100", "550.1", 80e9, 79e9),), has_gpu_device=True, cores=8.0, cpu_features=("AVX2",), is_x86=True,
    memory_bytes=64e9, memory_free_bytes=60e9, store=STORE, is_store_writable=True, store_free_bytes=500e9,
    cache=Path("/home/me/cache"), has_default_model=True, has_packaged_model=True, is_hub_offline=False,
    servers=(SERVER,), has_widgets=True, has_triton=True)


def said(**changes):
    return {finding.subject: finding for finding in judge(replace(GOOD, **changes))}


def test_a_good_environment_has_nothing_to_complain_about():
    assert {finding.kind for finding in judge(GOOD)} <= {"good", "info"}
    assert all(finding.text.endswith((".", ")", "output()")) for finding in judge(GOOD))


@pytest.mark.parametrize(("changes", "subject", "kind", "words"), [
    ({"system": "Windows AMD64"}, "system", "bad", "flock"),
    ({"unmet": ("torch>=2.10",)}, "missing or too old", "bad", "torch>=2.10"),
    ({"versions": {"torch": "2.13.0+cpu"}}, "GPU", "bad", "processors only"),
    ({"gpus": ()}, "GPU", "warning", "driver does not answer"),
    ({"gpus": (), "has_gpu_device": False}, "GPU", "info", "No NVIDIA GPU"),
    ({"gpus": (Gpu("MIG", "1", None, None),)}, "GPU", "good", "MIG; driver 1"),
    ({}, "kernels", "good", "PyTorch the rest"),
    ({"versions": {"liger-kernel": "0.8.5"}}, "kernels", "good", "liger-kernel 0.8.5 norms"),
    ({"has_triton": False}, "kernels", "info", "Triton cannot be imported: PEFT"),
    ({"gpus": (), "has_gpu_device": False}, "kernels", "info", "without an NVIDIA GPU: PEFT"),
    ({"cpu_features": ()}, "processor", "warning", "without AVX2"),
    ({"cpu_features": (), "is_x86": False}, "processor", "good", "8 cores"),
    ({"memory_free_bytes": 1e9}, "memory", "warning", "1.0 GB"),
    ({"is_store_writable": False}, "run store", "bad", "cannot be written"),
    ({"store_free_bytes": 1e9}, "run store", "warning", "1.0 GB free"),
    ({"store_free_bytes": None}, "run store", "good", "unknown"),
    ({"has_default_model": False}, "default model", "good", "converts it, once"),
    ({"has_default_model": False, "has_packaged_model": False}, "default model", "warning", "downloads it"),
    ({"is_hub_offline": True}, "hub", "info", "HF_HUB_OFFLINE"),
    ({"executor": "papermill"}, "front end", "info", "papermill"),
    ({"servers": ()}, "Jupyter server", "warning", "None of yours"),
    ({"has_widgets": False}, "widgets", "bad", "cannot be imported"),
])
def test_what_is_missing_is_said_where_it_matters(changes, subject, kind, words):
    finding = said(**changes)[subject]
    assert finding.kind == kind and words in finding.text
    assert finding.todo or kind not in {"bad"}


@pytest.mark.parametrize(("server", "words"), [
    (replace(SERVER, outcome="no extension"), "does not have our extension"),
    (replace(SERVER, outcome="refused"), "does not let"),
    (replace(SERVER, outcome="silent"), "does not answer"),
    (replace(SERVER, store="/somewhere/else"), "/somewhere/else"),
])
def test_without_a_server_of_ours_the_view_is_a_widget_and_a_busy_kernel_hears_no_click(server, words):
    findings = said(servers=(server,))
    assert words in findings["Jupyter server"].text and findings["Jupyter server"].kind != "good"
    assert "as a widget" in findings["live view"].text
    assert findings["Stop while a cell runs"].text.startswith("No") and "ft-notebook stop" in findings[
        "Stop while a cell runs"].todo


def test_with_the_server_the_view_and_stop_need_no_kernel():
    assert "from the Jupyter server" in said()["live view"].text
    assert said()["Stop while a cell runs"].text.startswith("Yes")
    assert "as a widget" in said(front="vscode")["live view"].text
    assert "enable_custom_widget_manager" in said(front="colab")["live view"].todo
    assert said(front="colab", has_widgets=False)["live view"].kind == "warning"
    for front in ("plain", "terminal"):
        assert "line of text" in said(front=front)["live view"].text
        assert "By command" in said(front=front)["Stop while a cell runs"].text


def test_the_server_that_started_the_kernel_counts_whatever_others_can_do():
    other = ServerSeen("http://127.0.0.1:9999/", "answers", str(STORE))
    mine = ServerSeen("http://127.0.0.1:8888/", "no extension", is_parent=True)
    assert said(servers=(other, mine))["Jupyter server"].kind == "bad"
    strange = replace(other, store="/else")
    assert said(servers=(strange, other))["Jupyter server"].kind == "good"


def test_a_diagnosis_reads_as_text_and_as_an_escaped_table():
    diagnosis = Diagnosis((Finding("bad", "GPU", "<b>none</b>\x1b[0m", "Buy $one$."), Finding("good", "store", "Fine.")))
    assert repr(diagnosis).splitlines() == [f"{SIGNS['bad']} GPU: <b>none</b>␛[0m", "    Buy $one$.", "✓ store: Fine."]
    html = diagnosis._repr_html_()
    assert "&lt;b&gt;none" in html and "<b>none" not in html and "\x1b" not in html
    assert len(set(SIGNS.values())) == len(SIGNS)


@pytest.mark.parametrize(("shell", "modules", "variables", "expected"), [
    (None, {}, {"VSCODE_PID"}, "plain"),
    (SimpleNamespace(user_ns={}), {"google.colab"}, {"VSCODE_PID"}, "terminal"),
    (SimpleNamespace(user_ns={}, kernel=1), {}, {}, "kernel"),
    (SimpleNamespace(user_ns={}, kernel=1), {"google.colab"}, {}, "colab"),
    (SimpleNamespace(user_ns={"__vsc_ipynb_file__": "a"}, kernel=1), {}, {"JPY_SESSION_NAME"}, "vscode"),
    (SimpleNamespace(user_ns={}, kernel=1), {}, {"VSCODE_PID"}, "vscode"),
    # A Jupyter server that was started in VS Code's terminal.
    (SimpleNamespace(user_ns={}, kernel=1), {}, {"VSCODE_PID", "JPY_SESSION_NAME"}, "kernel"),
])
def test_the_front_end_is_found_out(shell, modules, variables, expected):
    assert front_of(shell, modules=modules, environment=variables) == expected


def test_what_nvidia_smi_says_is_read_also_where_a_figure_is_hidden():
    assert parse_gpus("NVIDIA H100 80GB HBM3, 550.54.15, 81559, 81000\nMIG 1g, 1, [N/A], [N/A]\nNo devices\n") == (
        Gpu("NVIDIA H100 80GB HBM3", "550.54.15", 81559 * 2**20, 81000 * 2**20), Gpu("MIG 1g", "1", None, None))


def test_requirements_that_do_not_hold_are_named_and_extras_are_not_asked_for():
    wanted = ["torch>=2.10", "peft>=0.21.2", "trl", "gone>=1", "pytest>=9; extra == 'test'", "x>1; python_version < '3'"]
    installed = {"torch": "2.13.0+cpu", "peft": "0.20", "trl": "1.0rc1"}
    assert unmet_of(wanted, installed.get) == ("peft>=0.21.2", "gone>=1")


@contextmanager
def serving(answer):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = answer(self)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield {"url": f"http://127.0.0.1:{server.server_port}/base/", "token": "t", "pid": os.getpid()}
        server.shutdown()


@pytest.mark.parametrize(("status", "body", "outcome", "store"), [
    (200, b'{"runs": [], "store": "/s"}', "answers", "/s"), (200, b'{"runs": []}', "answers", ""),
    (200, b"<html>", "no extension", ""), (200, b"[]", "no extension", ""), (404, b"", "no extension", ""),
    (403, b"", "refused", ""), (500, b"", "refused", ""),
])
def test_a_server_is_judged_by_what_it_answers_to_its_own_token(status, body, outcome, store):
    asked = []

    def answer(request):
        asked.append((request.path, request.headers["Authorization"]))
        return status, body

    with serving(answer) as info:
        seen = see_server(info)
    assert (seen.outcome, seen.store, seen.is_parent) == (outcome, store, False)
    assert asked == [("/base/ft-notebook/api/runs", "token t")]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http+unix://x", "file:///etc/passwd", "", None, "http://[", "http://a b/"])
def test_a_server_that_cannot_be_asked_is_no_error(url):
    assert see_server({"url": url}).outcome in {"silent", "no extension"}


def test_a_file_is_no_server(tmp_path):
    (tmp_path / "ft-notebook" / "api").mkdir(parents=True)
    (tmp_path / "ft-notebook" / "api" / "runs").write_text('{"runs": [], "store": "/s"}')
    assert see_server({"url": f"file://{tmp_path}/"}) == ServerSeen(f"file://{tmp_path}/", "silent")


def test_a_proxy_in_the_environment_is_not_asked_for_this_machine(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with serving(lambda _: (200, b'{"runs": []}')) as info:
        assert see_server(info).outcome == "answers"


def test_servers_that_run_are_read_from_their_files_and_the_parent_is_first(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getppid", lambda: os.getpid())
    files = {"jpserver-1.json": {"url": "other", "pid": 1}, "jpserver-2.json": {"url": "mine", "pid": os.getpid()},
             "jpserver-3.json": {"url": "dead", "pid": 2**22 + 7}, "jpserver-4.json": {"pid": "x"}, "jpserver-5.json": 3,
             "jpserver-6.json": {"pid": 10**30}, "kernel-1.json": {"url": "kernel", "pid": 1}}
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    (tmp_path / "jpserver-7.json").write_text('{"url": ')
    assert [info["url"] for info in running_servers(tmp_path)] == ["mine", "other"]
    assert running_servers(tmp_path / "none") == []


def test_whatever_does_not_answer_the_doctor_is_done_in_three_seconds(tmp_path, monkeypatch):
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\nsleep 20\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))

    def drip(request):
        for _ in range(100):        # each byte comes in time, the answer never
            request.wfile.write(b"HTTP/1.0 200 OK\r\nX: x\r\n")
            time.sleep(0.3)
        return 200, b""

    with serving(drip) as info:
        for index in range(4):
            (tmp_path / f"jpserver-{index}.json").write_text(json.dumps(info))
        start = time.monotonic()
        found = look()
        assert time.monotonic() - start < 3.5
    assert found.gpus == () and [seen.outcome for seen in found.servers] == ["silent"] * 4
    assert judge(found)


def test_a_store_that_cannot_be_made_is_found_out_without_making_it(tmp_path, monkeypatch):
    monkeypatch.setenv("FT_NOTEBOOK_HOME", str(tmp_path / "a" / "b"))
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    assert not look().is_store_writable
    assert list(tmp_path.iterdir()) == []


def test_a_container_has_only_the_cores_and_memory_it_was_given(monkeypatch):
    given = {"/sys/fs/cgroup/cpu.max": "150000 100000", "/sys/fs/cgroup/memory.max": str(2**30),
             "/sys/fs/cgroup/memory.current": str(2**29 + 2**20),
             "/sys/fs/cgroup/memory.stat": f"anon 5\ninactive_file {2**20}\nactive_file 7"}
    monkeypatch.setattr(machine, "read", lambda path: given.get(path, ""))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    found = look()
    assert (found.cores, found.memory_bytes, found.memory_free_bytes) == (1.5, 2**30, 2**29)
    given["/sys/fs/cgroup/cpu.max"] = given["/sys/fs/cgroup/memory.max"] = "max 100000"
    assert look().cores == 16


def test_the_doctor_loads_no_torch_and_no_jupyter_server_and_works_on_the_command_line(tmp_path):
    code = ("import sys, json, ft_notebook; print(json.dumps([repr(ft_notebook.doctor()), list(sys.modules)]))")
    variables = {**os.environ, "JUPYTER_RUNTIME_DIR": str(tmp_path), "FT_NOTEBOOK_HOME": str(tmp_path / "store")}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=variables, capture_output=True, text=True, check=True)
    text, modules = json.loads(done.stdout)
    assert str(tmp_path / "store") in text and "torch" in text
    assert not {"torch", "transformers", "jupyter_server", "numpy", "pandas"} & set(modules)
    done = subprocess.run([sys.executable, "-m", "ft_notebook", "doctor", "--json"], cwd=ROOT, env=variables,
                          capture_output=True, text=True, check=True)
    findings = json.loads(done.stdout)["findings"]
    assert {"kind", "subject", "text", "todo"} == set(findings[0])
    assert ft_notebook.doctor and not (tmp_path / "store").exists()


def test_nothing_is_asked_of_servers_that_are_not_this_users(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    assert servers.running_servers() == [] and look().servers == ()
