"""Keyhole's endpoint and llama-server's under one suite: python tests/peers/endpoint.py NAME=URL [NAME=URL] [--key KEY]

The cases of tests/app/api_test.py and those below, asked of each server in turn; all serve the same model under the name test-model,
with the same key. Prints a table of the cases in which they differ, with what the case asks for and where that is written, then how
many each passes. "OpenAI" in the column of the source is its API description, "HTTP" RFC 9110 and 9112, "Anthropic" its API reference,
"safety" no promise of a specification but what keeps other sites' pages out, "choice" Keyhole's own decision.
"""
import json
import pathlib
import sys
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "app"))
import api_test as suite  # noqa: E402
from keyhole_server import KeyholeServer, events  # noqa: E402

CHAT, TEXT, RESP, MSG = suite.CHAT, suite.TEXT, suite.RESP, suite.MSG
SCHEMA = {"type": "object", "properties": {"ok": {"type": "boolean"}, "n": {"type": "integer", "minimum": 1, "maximum": 9}},
          "required": ["ok", "n"], "additionalProperties": False}
STRICT = {"type": "json_schema", "json_schema": {"name": "s", "strict": True, "schema": SCHEMA}}
TOOL = {"type": "function", "function": {"name": "count", "parameters": SCHEMA}}


class Server(KeyholeServer):
    """One that runs already."""

    def __init__(self, url, key):
        self.url, self.key = url, key
        self.port = urllib.parse.urlsplit(url).port

    def call(self, *arguments, timeout=60):
        return super().call(*arguments, timeout=timeout)


def whole(server, path, body):
    status, _, text = server.call("POST", path, body)
    assert status == 200, (status, text[:200])
    return json.loads(text)


def stream(server, path, body):
    status, headers, text = server.call("POST", path, {**body, "stream": True})
    assert status == 200 and headers["Content-Type"].startswith("text/event-stream"), (status, text[:200])
    return events(text)


def schema_holds(server):
    for seed in range(4):
        answer = whole(server, CHAT, suite.chat(max_tokens=200, temperature=1.5, seed=seed, response_format=STRICT))
        value = json.loads(answer["choices"][0]["message"]["content"])
        assert set(value) == {"ok", "n"} and isinstance(value["ok"], bool) and 1 <= value["n"] <= 9, value


def call_forced(server):
    for choice in ("required", {"type": "function", "function": {"name": "count"}}):
        answer = whole(server, CHAT, suite.chat(max_tokens=300, temperature=1.5, seed=1, tools=[TOOL], tool_choice=choice,
                                                parallel_tool_calls=False))
        choice = answer["choices"][0]
        assert choice["finish_reason"] == "tool_calls" and not choice["message"].get("content"), choice
        value = json.loads(choice["message"]["tool_calls"][0]["function"]["arguments"])
        assert set(value) == {"ok", "n"}, value


def stream_is_whole(path, text_of, delta_of, body):
    def check(server):
        one = text_of(whole(server, path, body))
        found = stream(server, path, body)
        assert "".join(delta_of(d) for _, d in found if isinstance(d, dict)) == one, one
    return check


def usage_only_when_asked(server):
    found = stream(server, CHAT, suite.chat())
    assert all(d["choices"] for _, d in found if d != "[DONE]") and found[-1][1] == "[DONE]", found[-2:]


def usage_counts_all_choices(server):
    one = whole(server, CHAT, suite.chat(max_tokens=4, logit_bias={}))["usage"]["completion_tokens"]
    answer = whole(server, CHAT, suite.chat(max_tokens=4, n=3))
    assert answer["usage"]["completion_tokens"] == 3 * one, answer["usage"]


def text_of_anthropic(answer):
    return "".join(b.get("text", "") for b in answer["content"])


def delta_of_anthropic(data):
    return data.get("delta", {}).get("text", "") if data.get("type") == "content_block_delta" else ""


def response_events(server):
    found = stream(server, RESP, suite.resp())
    assert all(n == d["type"] for n, d in found) and [d["sequence_number"] for _, d in found] == list(range(len(found))), found[:2]
    assert found[-1][0] in ("response.completed", "response.incomplete")


def anthropic_has_no_done(server):
    found = stream(server, MSG, suite.msg())
    assert found[0][0] == "message_start" and found[-1][0] == "message_stop", found[-1]


MORE = [
    ("a strict schema holds at temperature 1.5", "OpenAI", schema_holds), ("a forced call is a call, its arguments fit", "OpenAI", call_forced),
    ("the joined stream is the whole answer", "OpenAI", stream_is_whole(
        CHAT, lambda a: a["choices"][0]["message"]["content"],
        lambda d: (d["choices"][0]["delta"].get("content") or "") if d["choices"] else "", suite.chat(max_tokens=24))),
    ("the joined stream of a completion is the whole", "OpenAI", stream_is_whole(
        TEXT, lambda a: a["choices"][0]["text"], lambda d: d["choices"][0]["text"] if d["choices"] else "", suite.text(max_tokens=24))),
    ("the joined stream of a message is the whole", "Anthropic",
     stream_is_whole(MSG, text_of_anthropic, delta_of_anthropic, suite.msg(max_tokens=24))),
    ("usage comes in a stream only when asked for", "OpenAI", usage_only_when_asked),
    ("usage counts the tokens of all choices", "OpenAI", usage_counts_all_choices),
    ("events of a response: types, numbers, end", "OpenAI", response_events), ("a message's stream ends with message_stop", "Anthropic", anthropic_has_no_done),
]


def source_of(path, status):
    if status in (401, 404, 405, 413, 415):
        return "HTTP"
    if status == 403:
        return "safety"
    return "Anthropic" if path.startswith(MSG) else "choice" if path not in (CHAT, TEXT, RESP) else "OpenAI"


def brief(body):
    text = json.dumps(body) if not isinstance(body, (str, bytes)) else repr(body)[:60]
    for common in ('"messages": [{"role": "user", "content": "hi"}], ', '"max_tokens": 4, "temperature": 0, ',
                   '"chat_template_kwargs": {"enable_thinking": false}, ', ', "chat_template_kwargs": {"enable_thinking": false}'):
        text = text.replace(common, "")
    return text[:90].replace("|", "\\|")


def cases():
    for path, body, holds in suite.GOOD:
        def good(server, path=path, body=body, holds=holds):
            answer = whole(server, path, body)
            assert holds is None or holds(answer), json.dumps(answer)[:160]
        yield f"{path} {brief(body)}: 200, in its shape", source_of(path, 200), good
    for path, body, param in suite.BAD:
        def bad(server, path=path, body=body, param=param):
            status, _, text = server.call("POST", path, body)
            assert status == 400, f"{status} {text[:100]}"
            suite.check_error(path, status, text, param)
        yield f"{path} {brief(body)}: 400, names {param}", source_of(path, 400), bad
    for method, path, body, headers, wanted in suite.OTHER:
        def other(server, method=method, path=path, body=body, headers=headers, wanted=wanted):
            status, got, text = server.call(method, path, body, headers)
            assert status == wanted, f"{status} {text[:100]}"
            assert got.get("Access-Control-Allow-Origin") != "*", "any origin may read it"
            if status >= 400:
                suite.check_error(path, status, text)
        yield f"{method} {path} {brief(body) if body else ''} {headers or ''}: {wanted}", source_of(path, wanted), other
    yield from MORE


def main():
    arguments = [a for a in sys.argv[1:] if "=" in a]
    key = sys.argv[sys.argv.index("--key") + 1] if "--key" in sys.argv else ""
    servers = {a.split("=", 1)[0]: Server(a.split("=", 1)[1], key) for a in arguments}
    passed, total, rows = dict.fromkeys(servers, 0), 0, []
    for name, source, check in cases():
        total += 1
        print(name, file=sys.stderr, flush=True)
        results = {}
        for who, server in servers.items():
            try:
                check(server)
                results[who] = "yes"
                passed[who] += 1
            except Exception as error:  # every case is tried
                line = " ".join(str(error).split())[:80].replace("|", "\\|")
                results[who] = f"no: {line or type(error).__name__}"
        if len(set(results.values())) > 1 or "yes" not in results.values():
            rows.append(f"| {name} | {source} | " + " | ".join(results.values()) + " |")
    print(f"| case | written in | {' | '.join(servers)} |\n|{' --- |' * (len(servers) + 2)}")
    print("\n".join(rows))
    print("\n" + "; ".join(f"{who}: {count} of {total}" for who, count in passed.items()))


if __name__ == "__main__":
    main()
