"""What the Jupyter server answers about runs, asked over HTTP like a page does."""

import json
import shutil
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from conftest import state, step, write

API = "ft-notebook/api/runs"


def test_nothing_is_told_or_done_without_a_token(server, make_run):
    run = make_run()
    for path, data in ((API, None), (f"{API}/{run.id}/live", None), (f"{API}/{run.id}/requests", b'{"kind": "stop"}')):
        answer = server.ask(path, data, token=False)
        assert answer.status == 403 and set(answer.body) == {"message"}
        assert run.id not in json.dumps(answer.body)
    assert list((run.path / "control").iterdir()) == []


def test_a_page_that_logged_in_by_cookie_needs_the_xsrf_token_to_ask_for_something(server, make_run):
    run = make_run(events=[state("training")])
    browser = server.browser()
    body = b'{"kind": "no such thing"}'
    with run.worker_lock():
        refused = browser(f"{API}/{run.id}/requests", body)
        assert refused.status == 403 and "_xsrf" in refused.body["message"]
        assert browser(f"{API}/{run.id}/requests", body, xsrf=True).status == 400
        # Another site can make a browser send the cookie, but neither the header nor its own origin.
        other = {"Origin": "http://example.org", "Referer": "http://example.org/"}
        assert browser(f"{API}/{run.id}/live", **other).status in {403, 404}


def test_a_run_is_told_whole_and_only_when_it_is_news(server, make_run):
    run = make_run("first", [state("training"), step(1), step(2)])
    with run.worker_lock():
        answer = server.live(run.id)
        assert answer.status == 200 and answer.headers["Content-Type"].startswith("application/json")
        assert answer.headers["Cache-Control"] == "no-store"
        assert (answer.body["run"]["id"], answer.body["state"], answer.body["step"]) == (run.id, "training", 2)
        assert answer.body["series"]["step"] == [1, 2]
        again = server.live(run.id, answer.body["tag"])
        assert again.status == 204 and again.body == ""
        assert server.live(run.id, "1-queued").status == 200


def test_a_growing_log_is_followed_event_by_event(server, make_run):
    run = make_run(events=[state("training")])
    tag, seen = "", []
    with run.worker_lock(), run.open_log() as log:
        for number in range(1, 16):
            log.append(step(number))
            answer = server.live(run.id, tag)
            tag = answer.body["tag"]
            seen.append(answer.body["series"]["step"])
        assert seen == [list(range(1, number + 1)) for number in range(1, 16)]
        # Half a line is not there yet.
        with run.log_path.open("ab") as file:
            line = step(16).model_copy(update={"seq": 18, "time": time.time()}).model_dump_json().encode()
            file.write(line[:40])
            file.flush()
            assert server.live(run.id, tag).status == 204
            file.write(line[40:] + b"\n")
        assert server.live(run.id, tag).body["step"] == 16


def test_a_log_that_shrank_or_was_replaced_is_read_anew(server, make_run):
    run = make_run(events=[state("training"), *map(step, range(1, 11))])
    lines = run.log_path.read_bytes().splitlines(keepends=True)
    with run.worker_lock():
        assert server.live(run.id).body["step"] == 10
        run.log_path.write_bytes(b"".join(lines[:5]))
        assert server.live(run.id).body["series"]["step"] == [1, 2, 3]
        replacement = run.path / "other.jsonl"
        replacement.write_bytes(b"".join(lines[:2] + lines[4:]))
        replacement.replace(run.log_path)
        assert server.live(run.id).body["series"]["step"] == [3, 4, 5, 6, 7, 8, 9, 10]


def test_a_run_whose_worker_is_gone_is_interrupted_until_it_comes_back(server, make_run):
    run = make_run(events=[state("training"), step(1)])
    with run.worker_lock():
        alive = server.live(run.id).body
    gone = server.live(run.id, alive["tag"])
    assert alive["state"] == "training"
    assert (gone.status, gone.body["state"], gone.body["is_over"], gone.body["step"]) == (200, "interrupted", True, 1)
    assert server.live(run.id, gone.body["tag"]).status == 204
    write(run, state("queued"))
    assert server.live(run.id, gone.body["tag"]).body["state"] == "queued"


def test_a_run_whose_folder_is_removed_is_not_there_any_more(server, make_run):
    run = make_run(events=[state("finished")])
    assert server.live(run.id).status == 200
    shutil.rmtree(run.path)
    answer = server.live(run.id)
    assert answer.status == 404 and str(server.home) in answer.body["message"]


@pytest.mark.parametrize("run_id", [
    "nothing-20250101-000000-abcd", "..", "%2e%2e", "..%2f..%2fetc", "%2e%2e%2f%2e%2e", "a%00b", "%00", "a%0ab", "~", "*",
    "%ff%fe", "%25", "%E2%80%AE", "-rf", ".", "x" * 300, "%3Cscript%3E", "a%5cb", "runs", "outside",
])
def test_an_id_that_is_none_leads_nowhere(server, make_run, run_id):
    make_run()
    outside = server.home / "outside"       # beside `runs`, not in it
    shutil.copytree(make_run().path, outside, dirs_exist_ok=True)
    for answer in (server.live(run_id), server.want(run_id, {"kind": "stop"})):
        assert answer.status in {400, 404}, answer
    assert list((outside / "control").iterdir()) == []


def test_a_path_out_of_the_store_is_no_run(server, make_run):
    target = make_run()
    (server.home / "elsewhere").mkdir(exist_ok=True)
    shutil.copytree(target.path, server.home / "elsewhere" / target.id)
    shutil.rmtree(target.path)
    for run_id in (f"..%2felsewhere%2f{target.id}", str(server.home / "elsewhere" / target.id).replace("/", "%2f")):
        assert server.live(run_id).status == 404


def test_a_run_is_found_by_its_id_also_in_a_folder_of_another_name_and_never_by_its_name(server, make_run):
    run = make_run("renamed", [state("finished")])
    run.path.rename(run.path.with_name("kept"))
    assert server.live(run.id).body["run"]["id"] == run.id
    assert server.live("kept").status == server.live("renamed").status == 404


def test_runs_are_listed_newest_first_with_their_store(server, make_run):
    made = [make_run(f"list{index}", [state("finished")]).id for index in range(3)]
    answer = server.ask(API)
    assert [run["id"] for run in answer.body["runs"]][:3] == made[::-1]
    assert answer.body["runs"][0]["state"] == "finished"
    assert answer.body["store"] == str(server.home)


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b'"stop"', b"null", b"{}", b'{"kind": 3}', b'{"kind": null}', b'{"kind": "stop", "values": []}',
    b'{"kind": "stop", "values": null}', b'{"kind": "stop", "more": 1}', b"\xff\xfe", b"[" * 30_000, b'{"kind": "fly"}',
    b'{"kind": "stop", "values": {"x": "' + b"y" * (64 << 10) + b'"}}',
])
def test_a_request_that_makes_no_sense_is_refused_in_a_sentence(server, make_run, body):
    run = make_run(events=[state("training")])
    with run.worker_lock():
        answer = server.want(run.id, body)
    assert answer.status == 400 and set(answer.body) == {"message"}
    assert answer.body["message"].endswith((".", "?")) and len(answer.body["message"]) < 400
    assert list((run.path / "control").iterdir()) == []


def test_a_request_beyond_64_kib_is_not_even_read(server, make_run):
    long = b'{"kind": "stop", "values": {"x": "' + b"y" * (64 << 10) + b'"}}'
    assert server.want(make_run().id, long).body["message"] == "The request is too long: more than 64 KiB."


def test_what_a_user_asks_reaches_the_run_and_is_told_in_a_sentence(server, make_run):
    run = make_run(events=[state("training"), step(1)])
    with run.worker_lock():
        answer = server.want(run.id, {"kind": "stop", "values": {"keep": True}})
        assert answer.status == 200 and set(answer.body) == {"said"} and run.name in answer.body["said"]
        assert [request.kind for request in run.take_requests()] == ["stop"]
    answer = server.want(make_run(events=[state("finished")]).id, {"kind": "pause"})
    assert answer.status == 400 and "finished" in answer.body["message"]


def test_a_damaged_run_is_told_in_a_sentence_and_without_a_traceback(server, make_run):
    for file, word in (("report.json", "damaged"), ("recipe.json", "changed")):
        run = make_run(events=[state("finished")])
        (run.path / file).write_text("{")
        answer = server.live(run.id)
        assert answer.status == 500 and set(answer.body) == {"message"} and word in answer.body["message"]


def test_what_nobody_expected_is_logged_and_told_plainly(server, make_run):
    run = make_run(events=[state("finished")])
    server.live(run.id)
    (run.path / "events.jsonl").unlink()
    (run.path / "events.jsonl").mkdir()
    answer = server.live(run.id)
    assert answer.status == 500 and "ft_notebook" in answer.body["message"] and "Error" not in answer.body["message"]
    assert "IsADirectoryError" in server.log()


def test_hidden_characters_are_made_visible(server, make_run):
    run = make_run()
    answer = server.want(run.id, {"kind": "\u202e\x1b[31mstop"})
    assert answer.status == 400 and not set("\u202e\x1b") & set(answer.body["message"])


def test_two_pages_each_get_what_is_news_to_them(server, make_run):
    run = make_run(events=[state("training")])
    first, second = server.browser(), server.browser()
    with run.worker_lock(), run.open_log() as log:
        tag = first(f"{API}/{run.id}/live").body["tag"]
        log.append(step(1))
        assert second(f"{API}/{run.id}/live").body["step"] == 1
        newer = first(f"{API}/{run.id}/live?tag={tag}")
        assert newer.status == 200 and newer.body["series"]["step"] == [1]
        assert second(f"{API}/{run.id}/live?tag={newer.body['tag']}").status == 204


def test_fifty_requests_at_once_are_all_answered_while_the_log_grows(server, make_run):
    run = make_run(events=[state("training")])
    others = [make_run(f"other{index}", [state("finished")]) for index in range(20)]     # more than are kept
    is_over = threading.Event()

    def train():
        with run.worker_lock(), run.open_log() as log:
            for number in range(1, 1000):
                log.append(step(number, steps=1000))
                if is_over.wait(0.002):
                    return

    worker = threading.Thread(target=train)
    worker.start()
    try:
        with ThreadPoolExecutor(50) as pool:
            ids = [run.id if index % 2 else others[index // 2 % 20].id for index in range(100)]
            answers = list(pool.map(server.live, ids))
            writes = list(pool.map(lambda _: server.want(run.id, {"kind": "fly"}).status, range(50)))
    finally:
        is_over.set()
        worker.join()
    assert [answer.status for answer in answers] == [200] * 100
    for answer, run_id in zip(answers, ids, strict=True):
        assert answer.body["run"]["id"] == run_id
        steps = answer.body["series"]["step"]
        assert steps == sorted(set(steps))
    assert writes == [400] * 50


def test_a_long_log_does_not_hold_up_the_server(server, make_run):
    run = make_run(events=[state("training")])
    lines = [step(number, steps=100_000).model_copy(update={"seq": number + 2, "time": 1e9 + number}).model_dump_json()
             for number in range(1, 100_001)]
    with run.log_path.open("a") as file:
        file.write("\n".join(lines) + "\n")
    waits = []
    with run.worker_lock(), ThreadPoolExecutor(1) as pool:
        start = time.monotonic()
        first = pool.submit(server.live, run.id)
        while not first.done():
            asked = time.monotonic()
            server.ask("api")
            waits.append(time.monotonic() - asked)
        first_s = time.monotonic() - start
        answer = first.result()
        assert answer.body["step"] == 100_000 and len(json.dumps(answer.body)) < 50_000
        asked = time.monotonic()
        assert server.live(run.id, answer.body["tag"]).status == 204
        unchanged_s = time.monotonic() - asked
        write(run, step(100_001, steps=200_000))
        asked = time.monotonic()
        assert server.live(run.id, answer.body["tag"]).body["step"] == 100_001
        grown_s = time.monotonic() - asked
    print(f"first {first_s:.2f} s, unchanged {1000 * unchanged_s:.0f} ms, grown {1000 * grown_s:.0f} ms; the server "
          f"itself meanwhile {1000 * sorted(waits)[len(waits) // 2]:.0f} ms, at most {1000 * max(waits):.0f} ms")
    assert len(waits) > 3 and unchanged_s < 1 and grown_s < 5
