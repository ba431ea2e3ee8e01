"""Another engine in the place of our own: python remote_test.py KEYHOLE MODEL.gguf

The endpoint and the terminal with --remote against a second Keyhole, which must say the same as when it is asked directly, and
against an engine that behaves as vLLM does, or is broken, slow, gone or refuses the key.
"""
import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time

from fake_engine import MODELS, FakeEngine
from keyhole_server import KeyholeServer, events

CHAT, TEXT, RESP, MSG = "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"
USER = [{"role": "user", "content": "hi \u00e9"}]


def without_ids(value):
    """Ids, times and timings differ from one request to the next."""
    if isinstance(value, dict):
        return {k: without_ids(v) for k, v in value.items()
                if k not in ("id", "created", "created_at", "timings", "item_id", "completed_at", "signature", "usage")}
    return [without_ids(v) for v in value] if isinstance(value, list) else value


def check_keyhole(program, model):
    """What a second Keyhole answers, with its key and through this one's guard, is what it says itself."""
    with KeyholeServer(program, model, "-t", "1", "--alias", "far", key="inner") as far:
        with KeyholeServer(program, None, "--remote", far.url + "/v1", "--alias", "near", key="outer",
                           environment={"KEYHOLE_REMOTE_KEY": "inner"}) as near:
            assert [m["id"] for m in json.loads(near.call("GET", "/v1/models")[2])["data"]] == ["near", "far"]
            assert json.loads(near.call("GET", "/v1/models/far")[2])["id"] == "far" and near.call("GET", "/models/x")[0] == 404
            assert near.call("GET", "/health")[0] == 200 and near.call("GET", "/slots")[0] == 404
            assert json.loads(near.call("GET", "/props")[2])["model_alias"] == "near"
            assert near.metric("num_requests_running") == 0
            assert near.call("GET", CHAT)[0] == 405
            for headers, status in (({"Authorization": "Bearer inner"}, 401), ({"Host": "evil.example"}, 403),
                                    ({"Origin": "https://evil.example"}, 403)):
                assert near.call("POST", CHAT, {"messages": USER}, headers)[0] == status
            bodies = [
                (CHAT, {"messages": USER, "max_tokens": 24, "temperature": 0, "logprobs": True, "model": "nobody's"}),
                (TEXT, {"prompt": "Hello", "max_tokens": 24, "temperature": 0}),
                (RESP, {"input": "hi", "max_output_tokens": 24, "temperature": 0}),
                (MSG, {"model": "claude", "messages": USER, "max_tokens": 24, "temperature": 0, "thinking": {"type": "enabled"}}),
                (MSG + "/count_tokens?beta=true", {"messages": USER}),
                # Refusals, in the same words and with the same fields.
                (CHAT, {"messages": USER, "temperature": "hot"}), (CHAT, {"messages": []}), (TEXT, {"prompt": 5}),
                (MSG, {"messages": USER}), (RESP, {"input": [], "model": "far"}),
                (CHAT, {"messages": [{"role": "user", "content": "z" * 40000}]}),
            ]
            for path, body in bodies:
                there, here = far.call("POST", path, body), near.call("POST", path, body)
                assert here[0] == there[0], (path, here, there)
                assert without_ids(json.loads(here[2])) == without_ids(json.loads(there[2])), (path, here[2], there[2])
                if there[0] == 200 and "count" not in path:
                    there, here = (s.call("POST", path, {**body, "stream": True}) for s in (far, near))
                    assert here[1]["Content-Type"] == "text/event-stream" and here[0] == 200
                    kept = [[(n, without_ids(d)) for n, d in events(s[2])] for s in (there, here)]
                    assert joined(kept[0]) == joined(kept[1]), (path, kept)
            assert near.call("POST", CHAT, "[" * 1000)[0] == 400 and near.call("POST", CHAT, "[]")[0] == 400

            # A client that goes away frees its place over there.
            ends = [json.loads(far.call("POST", "/tokenize", {"content": e, "parse_special": True})[2])["tokens"][0]
                    for e in ("<|user|>", "<|observation|>", "<|endoftext|>")]
            for stream in (True, False):
                body = {"messages": USER, "max_tokens": 100000, "stream": stream, "n": 20, "logit_bias": {str(i): -100 for i in ends}}
                connection = http.client.HTTPConnection("127.0.0.1", near.port)
                connection.request("POST", CHAT, json.dumps(body), {"Authorization": "Bearer outer"})
                wait(lambda: far.metric("num_requests_running") > 0, "the request did not arrive")
                if stream:
                    connection.getresponse().read(200)
                connection.sock.shutdown(socket.SHUT_RDWR)
                wait(lambda: far.metric("num_requests_running") + far.metric("num_requests_waiting") == 0, "it goes on for nobody")

            ask = [program, "chat", "--remote", far.url, "--no-think", "--temp", "0", "-n", "12", "-p", "hi"]
            asked = subprocess.run(ask, capture_output=True, text=True, env={**os.environ, "KEYHOLE_REMOTE_KEY": "inner"})
            itself = subprocess.run([program, "chat", "-m", model, *ask[4:]], capture_output=True, text=True)
            assert asked.returncode == 0 and asked.stdout == itself.stdout, (asked, itself)
            ends = {line.split('"')[1]: int(line.split()[-1]) for line in near.call("GET", "/metrics")[2].split("\n")
                    if line.startswith("keyhole_request_total")}
            assert ends["finished"] >= 9 and ends["failed"] >= 6 and ends["cancelled"] == 2, ends
            status = far.call("POST", CHAT, {"messages": USER, "max_tokens": 1})[0]
            assert status == 200
        # The other one is gone now, or its key was changed.
        with KeyholeServer(program, None, "--remote", far.url, "--remote-key", "wrong") as near:
            check_refused(near, {"messages": USER}, 502, "remote_key_refused")
    with KeyholeServer(program, None, "--remote", far.url, "--remote-key", "inner") as near:
        check_refused(near, {"messages": USER}, 502, "remote_unreachable")
        assert near.call("GET", "/v1/models")[0] == 502 and near.call("GET", "/health")[0] == 503
    gone = subprocess.run([*ask[:3], far.url, *ask[4:]], capture_output=True, text=True)
    assert gone.returncode == 1 and gone.stdout == "", gone
    assert gone.stderr.startswith("keyhole: The remote engine cannot be reached: no connection") and gone.stderr.count("\n") == 1, gone.stderr


def joined(found):
    """The events with neighbouring deltas of one kind put together: how they are cut is a matter of timing."""
    out = []
    for name, data in found:
        if data == "[DONE]" or "choices" not in data:
            key = (name, json.dumps({k: v for k, v in data.items() if k not in ("delta", "sequence_number")} if data != "[DONE]" else data))
            text = json.dumps(data.get("delta", "")) if data != "[DONE]" and not isinstance(data.get("delta"), str) else (
                data["delta"] if data != "[DONE]" else "")
        else:
            choice = data["choices"][0] if data["choices"] else {}
            delta = choice.get("delta", {})
            key = (name, str(sorted(delta)), choice.get("finish_reason"))
            text = "".join(v for v in (delta.get("content"), delta.get("reasoning_content"), choice.get("text")) if v)
        if out and out[-1][0] == key and isinstance(text, str) and not text.startswith("{"):
            out[-1][1] += text
        else:
            out.append([key, text])
    return out


def wait(holds, why, seconds=60):
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, why
        time.sleep(0.02)


def check_refused(server, body, status, code, retry=None, path=CHAT):
    got, headers, text = server.call("POST", path, body)
    assert got == status, (body, got, text)
    error = json.loads(text)["error"]
    assert set(error) == {"message", "type", "param", "code"} and error["code"] == code, (body, error)
    assert "\n" not in error["message"] and "127.0.0.1" not in text and "/srv" not in text and "base" not in text, text
    assert retry is None or headers["Retry-After"] == retry
    return error


def check_fake(program):
    with FakeEngine(key="k") as engine:
        arguments = ("--remote", engine.url + "/v1/", "--remote-key", "k", "--remote-timeout", "3")
        with KeyholeServer(program, None, *arguments) as server:
            def chat(model, **more):
                return {"model": model, "messages": USER, **more}

            listed = json.loads(server.call("GET", "/v1/models")[2])["data"]
            assert [m["id"] for m in listed] == MODELS and listed[0]["max_model_len"] == 131072
            whole = json.loads(server.call("POST", CHAT, chat("gpt-4o"))[2])
            assert whole["model"] == "glm-4.7-flash" and whole["choices"][0]["message"]["reasoning"] == "I think.", whole
            path, headers, sent = engine.seen[-1]
            assert path == "/base" + CHAT and headers["Authorization"] == "Bearer k" and "Origin" not in headers
            # A field that we do not know is theirs to judge; bytes of a body that needs no change stay as they are.
            server.call("POST", CHAT, chat("glm-4.7-flash", guided_json={"b": 1, "a": 1e2}))
            assert engine.seen[-1][2]["guided_json"] == {"b": 1, "a": 100}
            found = events(server.call("POST", CHAT, chat("glm-4.7-flash", stream=True, stream_options={"include_usage": True}))[2])
            assert found[-1][1] == "[DONE]" and found[-2][1]["usage"]["total_tokens"] == 14
            assert "".join(d["choices"][0]["delta"].get("content", "") for _, d in found[:-2]) == "H\u00e9llo, w\u00f6rld \U0001f642!\n"

            for model, status, code, retry in (("status-400", 400, None, None), ("status-404", 404, None, None),
                                               ("status-429", 429, None, "7"), ("status-503", 503, None, "7"), ("page-500", 500, None, None),
                                               ("redirect", 502, "remote_answer", None)):
                for stream in (False, True):
                    check_refused(server, chat(model, stream=stream), status, code, retry)
            error = check_refused(server, chat("status-400"), 400, None)
            assert error["message"] == "This is refused (status-400). Second line" and error["type"] == "BadRequestError"
            assert check_refused(server, {"prompt": "x"}, 404, None, path=TEXT)["message"] == "Not Found"

            # What fails inside a stream is told inside it.
            for model, code in (("cut", "remote_broken_off"), ("silent", "remote_timeout")):
                began = time.monotonic()
                status, _, text = server.call("POST", CHAT, chat(model, stream=True))
                found = events(text)
                assert status == 200 and found[-1][1]["error"]["code"] == code, (model, text)
                assert "[DONE]" not in text and time.monotonic() - began < 30
            assert "out of memory" in server.call("POST", CHAT, chat("error-inside", stream=True))[2]
            assert events(server.call("POST", CHAT, chat("slow-head", stream=True))[2])[-1][1] == "[DONE]"

            # Each piece goes on as it comes: the fake writes the time into it, in this process' clock.
            connection = http.client.HTTPConnection("127.0.0.1", server.port)
            connection.request("POST", CHAT, json.dumps(chat("steady", stream=True)))
            answer, late, line = connection.getresponse(), [], b""
            while line := answer.readline():
                if line.startswith(b"data: {"):
                    text = json.loads(line[6:])["choices"][0]["delta"].get("content")
                    if text:
                        late.append(time.monotonic() - float(text))
            late.sort()
            assert len(late) == 40 and late[20] < 0.4, late
            print(f"a piece of the remote engine reaches the client after {late[20] * 1000:.2f} ms (median), {late[-1] * 1000:.2f} ms (most)")

            # A client that goes away while the other engine says nothing.
            engine.gone.clear()
            connection = http.client.HTTPConnection("127.0.0.1", server.port)
            connection.request("POST", CHAT, json.dumps(chat("silent", stream=True)))
            connection.getresponse().read(100)
            connection.sock.shutdown(socket.SHUT_RDWR)
            assert engine.gone.wait(20), "the other engine goes on for nobody"

        def ask(model, *more):
            return subprocess.run([program, "chat", *arguments, "--remote-model", model, "-p", "hi", *more], capture_output=True, text=True)

        answer = ask("glm-4.7-flash")
        assert (answer.returncode, answer.stdout) == (0, "H\u00e9llo, w\u00f6rld \U0001f642!\n"), answer
        for model, words in (("status-400", "This is refused"), ("cut", "broke off"), ("silent", "nothing came for 3 s"),
                             ("error-inside", "CUDA out of memory"), ("no-reason", "without saying why"), ("page-500", "status 500")):
            answer = ask(model)
            assert answer.returncode == 1 and words in answer.stderr and answer.stderr.count("\n") == 1, (model, answer)


def check_tls(program):
    """https: a certificate that the system does not know is refused, one that it knows is not."""
    with tempfile.TemporaryDirectory() as folder:
        key, certificate = folder + "/key.pem", folder + "/cert.pem"
        made = subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
                               "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate], capture_output=True)
        assert made.returncode == 0, made.stderr
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)
        with FakeEngine(tls=tls) as engine:
            command = [program, "chat", "--remote", engine.url, "-p", "hi"]
            known = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "SSL_CERT_FILE": certificate})
            assert known.returncode == 0 and known.stdout.startswith("H\u00e9llo"), known
            unknown = subprocess.run(command, capture_output=True, text=True)
            assert unknown.returncode == 1 and "certificate" in unknown.stderr and not engine.seen[1:], unknown


def check_usage(program):
    for arguments, words in ((("--remote", "ftp://x"), "http://"), (("--remote", "http://k@x"), "--remote-key"), (("--remote", "http://"), "host"),
                             (("--remote", "http://x:0"), "port"), (("--remote", "http://x", "-m", "m.gguf"), "exclude"),
                             (("--remote-key", "k"), "need --remote")):
        answer = subprocess.run([program, "serve", *arguments, "--port", "0"], capture_output=True, text=True, timeout=20)
        assert answer.returncode in (1, 2) and words in answer.stderr, (arguments, answer)


def main():
    program, model = sys.argv[1:3]
    check_usage(program)
    check_fake(program)
    check_tls(program)
    check_keyhole(program, model)
    print("ok")


if __name__ == "__main__":
    main()
