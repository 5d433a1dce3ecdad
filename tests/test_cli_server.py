"""`dynscale ask --endpoint` as a process: one flag moves a run to a server, and what fails there is one line."""

from __future__ import annotations

import json
import signal
import sqlite3
import time
from contextlib import closing

import pytest

from tests.chat_server import ChatServer, Talk
from tests.cli_process import MINUTES, ask, dynscale, lines, start
from tests.tiny_gguf import write_tiny_gguf

KEY = "sk-very-secret-42"
# A key and a self-signed certificate for 127.0.0.1, valid for a hundred years; of no use for anything else.
CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgPrIJZ1fPlZuYi9QQ
zLCWIXGpOJGOJKuk/NEKmRjhlv+hRANCAATDKz/MM1z3QBaXxI8+VI0wM/G4xFKc
wsuSjxVQGrLcLtXs7xufTQ1OQDRAD1Uz7q9ccFv/EPYKYT9DPGUEBbRs
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBlzCCAT6gAwIBAgIUAIW6E0SeqBC1iGiqrG9IbkAuhLAwCgYIKoZIzj0EAwIw
GDEWMBQGA1UEAwwNZHluc2NhbGUgdGVzdDAgFw0yNjExMjQxMTUyMjlaGA8yMTI2
MTAzMTExNTIyOVowGDEWMBQGA1UEAwwNZHluc2NhbGUgdGVzdDBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABMMrP8wzXPdAFpfEjz5UjTAz8bjEUpzCy5KPFVAastwu
1ezvG59NDU5ANEAPVTPur1xwW/8Q9gphP0M8ZQQFtGyjZDBiMB0GA1UdDgQWBBSx
jNdbbJSu/9HpmuIVIU3ewNF/2DAfBgNVHSMEGDAWgBSxjNdbbJSu/9HpmuIVIU3e
wNF/2DAPBgNVHRMBAf8EBTADAQH/MA8GA1UdEQQIMAaHBH8AAAEwCgYIKoZIzj0E
AwIDRwAwRAIgOA8GzVaJ2Tf7q4fGeGX8SnsQ+0iPHaeqIQSZIHNqPYcCIF5W33u6
k5pEfzp3QAkzRxFOTmy/8sqlSrtqJJbQKyOL
-----END CERTIFICATE-----
"""


def answers(talk: Talk) -> None:
    talk.honest(f"so it is\nAnswer: {len(talk.body['messages'][0]['content'].split('?')[0])}")


def test_answers_come_in_order_and_the_closing_line_accounts_for_the_budget(tmp_path):
    with ChatServer(answers) as server:
        done = ask("--endpoint", server.url, "--budget", "9k", "a?", "bb?", "ccc?", cwd=tmp_path)
        explicit = dynscale("ask", "-q", "a?", cwd=tmp_path, env={"DYNSCALE_ENDPOINT": server.url})
    assert (done.returncode, lines(done.stdout)) == (0, ["1", "2", "3"]), done.stderr
    told, closing = lines(done.stderr)[-2:]
    assert told.startswith("3 questions, 3 settled")
    assert "of 9,000 left" in closing
    assert (explicit.returncode, lines(explicit.stdout), explicit.stderr) == (0, ["1"], b"")


def test_json_names_the_served_model_and_nothing_shows_the_key(tmp_path):
    with ChatServer(answers, models=("big", "small")) as server:
        flags = ("--endpoint", server.url, "--served-model", "big", "--json", "--explain", "-t", "1")
        done = ask(*flags, "--budget", "4k", "a?", cwd=tmp_path, env={"DYNSCALE_API_KEY": KEY, "OPENAI_LOG": ""})
    [result] = [json.loads(line) for line in lines(done.stdout)]
    assert (result["answer"], result["model"], result["stopped"]) == ("1", "big", "settled")
    assert f"Bearer {KEY}" in server.keys
    assert {body["model"] for body in server.bodies} == {"big"}
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(KEY.encode() in text for text in [done.stdout, done.stderr, *written])
    assert "no effect on a server: -t" in done.stderr.decode()


def refuses(talk: Talk) -> None:
    talk.status(401, {"error": {"message": "expired"}})


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (["--endpoint", "http://127.0.0.1:9"], 1, "no server answers at http://127.0.0.1:9/v1: connection refused"),
        (["--endpoint", "SERVER"], 1, "does not accept the key (401: expired)"),
        (["--endpoint", "SERVER", "--budget", "30"], 2, "does not pay for one sample"),
        (["--endpoint", "ftp://x"], 2, "not the address of a server"),
        (["--endpoint", "SERVER", "-m", "x.gguf"], 2, "-m names a file, --endpoint a server"),
        (["--served-model", "x"], 2, "--served-model names a model of a server"),
    ],
)
def test_what_cannot_work_is_one_line_a_hint_and_an_exit_code(tmp_path, flags, code, words):
    with ChatServer(refuses) as server:
        done = ask(*[server.url if flag == "SERVER" else flag for flag in flags], "Why?", cwd=tmp_path)
    assert done.returncode == code, done.stderr
    told = done.stderr.decode()
    assert words in told
    assert "Traceback" not in told
    assert len(told.splitlines()) <= 8


def test_a_certificate_that_does_not_verify_is_said_and_one_that_is_named_is_trusted(tmp_path):
    certificate = tmp_path / "server.pem"
    certificate.write_text(CERTIFICATE)
    with ChatServer(answers, tls=certificate) as server:
        refused = ask("--endpoint", server.url, "a?", cwd=tmp_path)
        trusted = ask(
            "--endpoint", server.url, "--budget", "4k", "a?", cwd=tmp_path, env={"SSL_CERT_FILE": str(certificate)}
        )
    assert refused.returncode == 1
    assert b"does not verify: self" in refused.stderr
    assert b"SSL_CERT_FILE" in refused.stderr
    assert (trusted.returncode, lines(trusted.stdout)) == (0, ["1"]), trusted.stderr


def test_the_package_that_is_missing_is_named_with_the_command_that_installs_it(tmp_path):
    hidden = (
        "import importlib.util as u\nf = u.find_spec\nu.find_spec = lambda n, *a: None if n == 'openai' else f(n, *a)\n"
    )
    (tmp_path / "sitecustomize.py").write_text(hidden)
    done = ask("--endpoint", "http://127.0.0.1:9", "Why?", cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 2
    assert lines(done.stderr)[0].endswith("--endpoint needs the openai package")
    assert b'pip install "dynscale-cli[server]"' in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_acts_at_once_and_closes_the_streams(tmp_path, number, code):
    gone = []

    def script(talk: Talk) -> None:
        if talk.number == 0:
            answers(talk)
            return
        talk.chunk("so")
        gone.append(talk.hang())

    with ChatServer(script) as server:
        flags = ("--endpoint", server.url, "--max-samples", "1", "--json", "-np", "1", "--budget", "9k")
        process = start("ask", *flags, "a?", "bb?", cwd=tmp_path)
        first = process.stdout.readline()
        while len(server.bodies) < 2:
            assert process.poll() is None
        process.send_signal(number)
        rest, error = process.communicate(timeout=10)
    assert process.returncode == code, error
    results = [json.loads(line) for line in [first, *rest.splitlines()]]
    assert [(r["answer"], r["stopped"]) for r in results] == [("1", "limit"), (None, "interrupted")]
    assert b"Traceback" not in error
    assert gone == [True]


def test_answers_so_far_are_printed_when_the_server_dies(tmp_path):
    def script(talk: Talk) -> None:
        answers(talk) if talk.number < 1 else talk.status(404, {"error": {"message": "the model was unloaded"}})

    with ChatServer(script) as server:
        done = ask(
            "--endpoint", server.url, "--max-samples", "1", "-np", "1", "--budget", "9k", "a?", "bb?", cwd=tmp_path
        )
    assert (done.returncode, lines(done.stdout)) == (1, ["1", ""])
    assert b"the model was unloaded" in done.stderr


def test_an_interrupted_run_goes_on_and_its_journal_holds_no_key(tmp_path):
    broken = {2}  # requests that break off
    waiting = []

    def script(talk: Talk) -> None:
        if talk.number in broken:
            talk.chunk("so")
            talk.reset()
        elif talk.number == 4 and not waiting:
            waiting.append(talk.chunk("so"))
            talk.hang()
        else:
            answers(talk)

    env = {"DYNSCALE_API_KEY": KEY}
    with ChatServer(script) as server:
        flags = (
            "--endpoint",
            server.url,
            "--max-samples",
            "2",
            "--json",
            "-np",
            "1",
            "--budget",
            "30k",
        )  # what was interrupted is billed in full
        process = start("ask", *flags, "a?", "bb?", "ccc?", cwd=tmp_path, more=env)
        while not waiting:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=MINUTES)
        assert process.returncode == 130
        assert b"dynscale runs resume" in error
        done = dynscale("runs", "resume", "--json", cwd=tmp_path, env=env)
        elsewhere = dynscale("runs", "resume", "-m", "x.gguf", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in lines(done.stdout)]
    assert [(r["answer"], r["samples"], r["stopped"]) for r in results] == [(str(n), 2, "limit") for n in (1, 2, 3)]
    assert len(server.bodies) == 6 + 2  # one broke off, one was interrupted; none was drawn again
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert any(b"small" in text for text in written)
    assert not any(KEY.encode() in text for text in written)
    assert (elsewhere.returncode, b"was made with a server" in elsewhere.stderr) == (2, True)


@pytest.mark.parametrize("named", ["flag", "variable"])
def test_bench_compares_methods_on_a_server(tmp_path, named):
    rows = [{"question": f"{'a' * n}?", "answer": str(n)} for n in range(1, 5)]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with ChatServer(answers) as server:
        flags, env = (["--endpoint", server.url], {}) if named == "flag" else ([], {"DYNSCALE_ENDPOINT": server.url})
        command = ("bench", "q.jsonl", *flags, "--methods", "single,self-consistency,dynscale", "--samples", "1,3")
        done = dynscale(*command, "--json", cwd=tmp_path, env=env)
        assert done.returncode == 0, done.stderr
        report, asked = json.loads(done.stdout), len(server.bodies)
        again = json.loads(dynscale(*command, "--json", cwd=tmp_path, env=env).stdout)
        speed = dynscale("bench", "--speed", *flags, cwd=tmp_path, env=env)
    assert {score["method"]: score["points"][-1]["accuracy"]["mean"] for score in report["scores"]} == {
        "single": 100.0, "self-consistency": 100.0, "dynscale": 100.0,
    }  # fmt: skip
    assert report["model"] == "small"
    assert (again["decoded"], len(server.bodies)) == (0, asked)  # all of it is stored
    assert (speed.returncode, b"not a server" in speed.stderr) == (2, True)


def test_a_key_goes_only_to_servers_that_the_user_has_named(tmp_path):
    key = {"DYNSCALE_API_KEY": KEY}
    with ChatServer(answers) as server, ChatServer(answers) as other:

        def resumed(*flags, **more):
            server.keys.clear()
            done = dynscale("runs", "resume", "--budget", "+500", *flags, cwd=tmp_path, env={**key, **more})
            return done, f"Bearer {KEY}" in server.keys

        unsure = ("--budget", "700", "--confidence", "1")
        begun = ask("--endpoint", server.url, *unsure, "a?", "bb?", cwd=tmp_path, env=key)
        assert f" --endpoint {server.url}" in lines(begun.stderr)[-1]
        done, sent = resumed()
        assert (done.returncode, sent) == (0, False), done.stderr
        assert b"gets no key" in done.stderr
        assert resumed("--endpoint", server.url)[1]
        assert resumed(DYNSCALE_ENDPOINT=server.url)[1]

        with closing(sqlite3.connect(tmp_path / "dynscale" / "runs.db")) as connection, connection:
            statement = "update runs set request = replace(request, ?, ?)"
            connection.execute(statement, (server.url.split("//")[1], other.url.split("//")[1]))
        refused, _ = resumed()
        assert (refused.returncode, refused.stdout, other.keys) == (2, b"", set())
        assert [b"was not begun here" in line for line in refused.stderr.splitlines()] == [True, False]
        assert resumed("--endpoint", other.url)[0].returncode == 0
        assert f"Bearer {KEY}" in other.keys


def test_the_model_and_the_rpc_servers_of_somebody_elses_run_are_not_used(tmp_path):
    model = write_tiny_gguf(tmp_path / "tiny.gguf")
    ask("-m", str(model), "--max-samples", "1", "a?", cwd=tmp_path)
    with closing(sqlite3.connect(tmp_path / "dynscale" / "runs.db")) as connection, connection:
        connection.execute('update runs set request = replace(request, \'"rpc": []\', \'"rpc": ["10.0.0.1:50052"]\')')
    for flags, what in (((), "its RPC servers"), (("--rpc", "127.0.0.1:1"), "its model")):
        refused = dynscale("runs", "resume", *flags, cwd=tmp_path)
        assert (refused.returncode, what in lines(refused.stderr)[0]) == (2, True), refused.stderr
        assert lines(refused.stderr)[1].startswith("  try: if you trust it: dynscale runs resume ")


def test_a_model_file_that_is_named_nearer_to_the_command_line_goes_before_a_server(tmp_path):
    settings = '[profile.here]\nmodel = "here.gguf"\n[profile.there]\nendpoint = ["SERVER"]\n'
    with ChatServer(answers) as server:
        (tmp_path / "dynscale").mkdir()
        file = tmp_path / "dynscale" / "config.toml"
        asked = {}
        for top in ('endpoint = ["SERVER"]\n', 'model = "here.gguf"\n'):
            file.write_text((top + settings).replace("SERVER", server.url))
            for flags, env in (((), {}), (("--profile", "here"), {}), ((), {"DYNSCALE_MODEL": "here.gguf"})):
                done = ask("-q", *flags, "a?", cwd=tmp_path, env=env)
                asked[(top[:5], *flags, *env)] = b"here.gguf" not in done.stderr and lines(done.stdout) == ["1"]
        there = ask("-q", "--profile", "there", "a?", cwd=tmp_path)
    assert [key for key, server in asked.items() if server] == [("endpo",)]
    assert lines(there.stdout) == ["1"], there.stderr
