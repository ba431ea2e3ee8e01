"""What particular clients send and expect, byte by byte: python quirks_test.py KEYHOLE MODEL.gguf

Requests as Zed, Continue, Cline, aider, Open WebUI, LangChain, the Vercel SDK, Codex and Claude Code write them, and what HTTP allows
and few clients use: preflights, HEAD, Expect, chunked bodies, pipelines, HTTP/1.0.
"""
import gzip
import json
import re
import socket
import sys
import traceback

from keyhole_server import KeyholeServer, events

CHAT, TEXT, RESP, MSG = "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"
OFF = {"chat_template_kwargs": {"enable_thinking": False}}
USER = {"role": "user", "content": "hi"}
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}, "unit": {"anyOf": [{"enum": ["C", "F"]}, {"type": "null"}], "default": None}},
           "required": ["city"]}
TOOL = {"type": "function", "function": {"name": "get_weather", "description": "The weather", "parameters": WEATHER}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}}


def chat(*messages, **more):
    return {"model": "any", "messages": list(messages) or [USER], "max_tokens": 4, "temperature": 0, **OFF, **more}


# Requests that must be answered with 200: (who sends it so, path, body).
TAKEN = [
    ("Zed", CHAT, chat(max_tokens=-1, stop=[], tools=[], n=1, stream=False) | {"max_completion_tokens": 3}),
    ("Zed, tool round", CHAT, chat(USER, {"role": "assistant", "content": None, "tool_calls": [CALL]},
                                   {"role": "tool", "content": "12 C", "tool_call_id": "call_1"}, tools=[TOOL], tool_choice="auto")),
    ("Continue", CHAT, chat({"role": "system", "content": "s"}, USER, stop=["\n\n", "```", "<|endoftext|>", "\r\n\r\n", "/src/", "#- coding: utf-8",
                            "<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<file_sep>", "\nfunction", "\nclass"], top_p=0.95, presence_penalty=0)),
    ("Continue, fill in", TEXT, {"model": "m", "prompt": "def f(x):\n    return ", "suffix": "\n\nprint(f(1))", "max_tokens": 4, "stop": ["\n"],
                                 "temperature": 0.01}),
    ("Cline", CHAT, chat({"role": "system", "content": "You are Cline. " * 100}, {"role": "user", "content": [
        {"type": "text", "text": "<task>do</task>"}, {"type": "text", "text": "<environment_details>\n</environment_details>"}]},
        stream_options={"include_usage": True})),
    ("Cline, reasoning replayed", CHAT, chat(USER, {"role": "assistant", "content": "x", "reasoning_content": "because"}, USER)),
    ("aider", CHAT, chat({"role": "system", "content": "s"}, USER, {"role": "assistant", "content": "Ok."}, USER, frequency_penalty=0.0, user=None)),
    ("Open WebUI", CHAT, chat({"role": "system", "content": "a"}, {"role": "system", "content": "b"}, USER, stream=False, max_tokens=4,
                              metadata={"chat_id": "1"}, files=None, features={"web_search": False}, variables={}, session_id="x", background_tasks={})),
    ("Open WebUI, no text", CHAT, chat({"role": "user", "content": ""})),
    ("LangChain", CHAT, chat({"role": "system", "content": [{"type": "text", "text": "s"}]}, {"role": "user", "content": "x", "name": "bob"},
                             {"role": "assistant", "content": "", "tool_calls": [CALL]},
                             {"role": "tool", "content": [{"type": "text", "text": "12"}, {"type": "text", "text": " C"}], "tool_call_id": "call_1",
                              "name": "get_weather"}, tools=[TOOL], parallel_tool_calls=False, stream_options=None)),
    ("LangChain, a tool's own strictness", CHAT, chat(tools=[{**TOOL, "function": {**TOOL["function"], "strict": None}}], tool_choice=None)),
    ("Vercel", CHAT, chat({"role": "user", "content": [{"type": "text", "text": "x"}]}, tools=[{"type": "function", "function": {
        "name": "t", "description": "d", "parameters": {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": {
            "path": {"type": "string"}, "opts": {"type": "object", "additionalProperties": {}}}, "required": ["path"], "additionalProperties": False}}}])),
    ("pydantic-ai", CHAT, chat(tools=[TOOL], response_format=None, parallel_tool_calls=None, logit_bias=None, seed=None, stop=None, user=None,
                               service_tier=None, store=None, reasoning_effort=None, prediction=None, modalities=None, audio=None)),
    ("developer", CHAT, chat({"role": "developer", "content": [{"type": "text", "text": "s"}]}, USER)),
    ("assistant says nothing", CHAT, chat(USER, {"role": "assistant", "content": None}, USER)),
    ("assistant, refusal null", CHAT, chat(USER, {"role": "assistant", "content": "x", "refusal": None, "audio": None, "function_call": None,
                                                  "tool_calls": None, "annotations": []}, USER)),
    ("assistant, empty calls", CHAT, chat(USER, {"role": "assistant", "content": "x", "tool_calls": []}, USER)),
    ("assistant in parts", CHAT, chat(USER, {"role": "assistant", "content": [{"type": "text", "text": "a"}, {"type": "refusal", "refusal": "no"}]}, USER)),
    ("arguments that were cut", CHAT, chat(USER, {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "f", "arguments": "{\"a\": [1, tr"}}]},
                                           {"role": "tool", "tool_call_id": "call_1", "content": "error"})),
    ("arguments that are none", CHAT, chat(USER, {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "f", "arguments": ""}}]},
                                           {"role": "tool", "tool_call_id": "call_1", "content": ""})),
    ("arguments as an object", CHAT, chat(USER, {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "f", "arguments": {"a": 1}}}]},
                                          {"role": "tool", "tool_call_id": "call_1", "content": "x"})),
    ("a tool without parameters", CHAT, chat(tools=[{"type": "function", "function": {"name": "now"}}])),
    ("a tool whose schema is odd", CHAT, chat(tools=[{"type": "function", "function": {"name": "odd", "parameters": {
        "type": "object", "properties": {"a": {"type": "string", "pattern": "(?=x)y"}, "b": {"$ref": "#/definitions/none"}, "c": {"not": {}}},
        "patternProperties": {"^x": {}}, "if": {}, "required": ["q"]}}}])),
    ("any model", CHAT, chat(model="gpt-4o-mini")), ("no model", CHAT, {k: v for k, v in chat().items() if k != "model"}),
    ("model null", CHAT, chat(model=None)),
    ("tool_choice, flat", CHAT, chat(tools=[TOOL], tool_choice="none")),
    ("json_object", CHAT, chat(response_format={"type": "json_object"})),
    ("format text", CHAT, chat(response_format={"type": "text"}, tools=[TOOL])),
    ("schema, strict null", CHAT, chat(response_format={"type": "json_schema", "json_schema": {"name": "x", "strict": None, "schema": {"type": "boolean"}}})),
    ("a path that ends in a slash", CHAT + "/", chat()),
    ("no version", "/chat/completions", chat()),
    ("lm-evaluation-harness", TEXT, {"model": "m", "prompt": [[1, 2, 3], [4, 5]], "max_tokens": 1, "logprobs": 1, "echo": True, "temperature": 0, "seed": 1234}),
    ("Codex", RESP, {"model": "m", "instructions": "You are Codex", "input": [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "x"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "<environment_context></environment_context>"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": None, "encrypted_content": None},
        {"type": "function_call", "id": None, "name": "shell", "arguments": "{\"command\":[\"ls\"]}", "call_id": "c1"},
        {"type": "function_call_output", "call_id": "c1", "output": "{\"output\":\"a\"}"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "done"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "more"}]}],
        "tools": [{"type": "function", "name": "shell", "description": "d", "strict": False, "parameters": {
            "type": "object", "properties": {"command": {"type": "array", "items": {"type": "string"}}, "timeout": {"type": "number"}},
            "required": ["command"], "additionalProperties": False}}, {"type": "local_shell"}, {"type": "web_search", "external_web_access": False},
            {"type": "custom", "name": "apply_patch", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}}],
        "tool_choice": "auto", "parallel_tool_calls": False, "reasoning": {"effort": "medium", "summary": "auto"}, "store": False, "stream": False,
        "include": ["reasoning.encrypted_content"], "prompt_cache_key": "k", "max_output_tokens": 6, "text": {"verbosity": "low"}}),
    ("Codex, parts of an output", RESP, {"input": [USER, {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                                                   {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "x"}]}],
                                         "max_output_tokens": 3, "reasoning": None, "text": None, "tools": None, "tool_choice": None, "metadata": None}),
    ("Claude Code", MSG + "?beta=true", {"model": "claude-sonnet-4-5", "max_tokens": 4, "temperature": 1, "system": [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1; cch=abc12;"},
        {"type": "text", "text": "You are Claude Code.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "<system-reminder>x</system-reminder>"}, {"type": "text", "text": "hi"}]},
                     {"role": "assistant", "content": [{"type": "thinking", "thinking": "t", "signature": ""}, {"type": "redacted_thinking", "data": "x"},
                                                       {"type": "text", "text": "I'll look."}, {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "ls"}}]},
                     {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "is_error": False, "content": "a b"},
                                                  {"type": "tool_result", "tool_use_id": "toolu_2", "is_error": True}]}],
        "tools": [{"name": f"Tool{i}", "description": "d", "input_schema": {"type": "object",
                   "properties": {"command": {"type": "string"}, "timeout": {"type": "number", "maximum": 600000}, "run": {"type": "boolean", "default": False}},
                   "required": ["command"], "additionalProperties": False}} for i in range(8)],
        "tool_choice": {"type": "auto"}, "metadata": {"user_id": "u"}, "thinking": {"type": "adaptive"}, "context_management": {"edits": []},
        "output_config": {"effort": "medium"}, "stop_sequences": None, "top_p": None, "top_k": None, "stream": False}),
    ("Claude Code, count", MSG + "/count_tokens?beta=true", {"model": "m", "messages": [USER], "system": "s", "tools": [
        {"name": "f", "input_schema": {"type": "object"}}], "thinking": {"type": "enabled", "budget_tokens": 1024}}),
    ("Claude Code, the small model's title", MSG, {"model": "claude-haiku", "max_tokens": 3, "messages": [USER, {"role": "assistant", "content": "{"}],
                                                   "system": "t", "temperature": 0}),
]

# Requests that must be refused, and the words that say why.
REFUSED = [
    ("a picture", CHAT, chat({"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]}), "text"),
    ("sound", CHAT, chat({"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]}), "text"),
    ("a file", CHAT, chat({"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}), "text"),
    ("a picture for Claude", MSG, {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}]}]}, "text"),
    ("a picture as a result", MSG, {"model": "m", "max_tokens": 1, "messages": [USER, {"role": "assistant", "content": [
        {"type": "tool_use", "id": "t", "name": "f", "input": {}}]}, {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}]}]}]}, "text"),
    ("a function that is not there", CHAT, chat(tools=[TOOL], tool_choice={"type": "function", "function": {"name": "x"}}), "tool_choice"),
    ("required, without tools", CHAT, chat(tool_choice="required"), "tool_choice"),
    ("allowed tools", CHAT, chat(tools=[TOOL], tool_choice={"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}), "tool_choice"),
    ("a custom tool", CHAT, chat(tools=[{"type": "custom", "custom": {"name": "x"}}]), "tools[0].type"),
    ("strict, and cannot be", CHAT, chat(tools=[{"type": "function", "function": {"name": "f", "strict": True, "parameters": {
        "type": "object", "properties": {"a": {"type": "string", "pattern": "(?=x)y"}}}}}]), "pattern"),
    ("a prompt too long", CHAT, chat({"role": "user", "content": "word " * 30000}), "maximum context length"),
    ("a prompt too long for Claude", MSG, {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "word " * 30000}]}, "prompt is too long"),
    ("no role", CHAT, chat({"content": "x"}), "role"), ("a role that is not", CHAT, chat({"role": "robot", "content": "x"}), "role"),
    ("content a number", CHAT, chat({"role": "user", "content": 1}), "content"),
    ("calls a string", CHAT, chat(USER, {"role": "assistant", "tool_calls": "x"}), "tool_calls"),
    ("a call without a function", CHAT, chat(USER, {"role": "assistant", "tool_calls": [{"id": "x", "type": "function"}]}), "tool_calls"),
]


def raw(server, data, most=1 << 20, wait=5):
    """What comes back for these bytes until the other side closes or is silent."""
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.settimeout(wait)
        connection.sendall(data)
        answer = b""
        try:
            while len(answer) < most:
                piece = connection.recv(1 << 16)
                if not piece:
                    break
                answer += piece
        except socket.timeout:
            pass
        return answer


def http(server, method, path, headers=(), body=b"", version="1.1", close=True):
    lines = [f"{method} {path} HTTP/{version}", f"Host: 127.0.0.1:{server.port}", "Authorization: Bearer secret", *headers]
    lines += ["Connection: close"] if close else []
    answer = raw(server, "\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    head, _, rest = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode(), rest


def chunked(data, size):
    return b"".join(b"%x;x=y\r\n%s\r\n" % (len(data[i:i + size]), data[i:i + size]) for i in range(0, len(data), size)) + b"0\r\n\r\n"


def check_http(server):
    body = json.dumps(chat()).encode()
    sized = (f"Content-Length: {len(body)}", "Content-Type: application/json")
    status, head, rest = http(server, "POST", CHAT, sized, body)
    assert status == 200 and json.loads(rest)["object"] == "chat.completion" and "keep-alive" not in head.lower(), head
    # HEAD has a GET's head and no body; OPTIONS tells the methods; a preflight of a page that may is answered without a key.
    for path in ("/", "/health", "/v1/models", "/metrics"):
        status, head, rest = http(server, "HEAD", path)
        assert status == 200 and rest == b"", (path, status, rest)
    assert http(server, "HEAD", CHAT)[0] == 405
    status, head, rest = http(server, "OPTIONS", CHAT)
    assert status == 204 and "POST" in head and rest == b"", head
    for origin, wanted in (("http://localhost:3000", 204), ("https://evil.example", 403), ("null", 403), ("http://localhost.evil.example", 403)):
        answer = raw(server, (f"OPTIONS {CHAT} HTTP/1.1\r\nHost: localhost\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: POST\r\n"
                              "Access-Control-Request-Headers: authorization,content-type,x-stainless-lang\r\nConnection: close\r\n\r\n").encode()).decode()
        assert answer.startswith(f"HTTP/1.1 {wanted}"), (origin, answer)
        allowed = re.findall(r"(?im)^access-control-allow-origin: (.*?)\r$", answer)
        assert allowed == ([origin] if wanted == 204 else []), answer
        if wanted == 204:
            assert re.search(r"(?im)^access-control-allow-headers: .*authorization", answer) and re.search(r"(?im)^vary: .*origin", answer), answer
    # Expect: 100-continue, as curl sends it with larger bodies.
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.settimeout(5)
        connection.sendall((f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret\r\nExpect: 100-continue\r\n"
                            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n").encode())
        first = connection.recv(1 << 16)
        assert first.startswith(b"HTTP/1.1 100"), first
        connection.sendall(body)
        answer = b""
        while piece := connection.recv(1 << 16):
            answer += piece
        assert b"HTTP/1.1 200" in answer, answer[:200]
    # Chunked request bodies, in pieces of one byte too; gzip is decoded or refused by its name.
    for size in (1, 7, 1 << 16):
        status, _, rest = http(server, "POST", CHAT, ("Transfer-Encoding: chunked",), chunked(body, size))
        assert status == 200, (size, rest)
    packed = gzip.compress(body)
    assert http(server, "POST", CHAT, (f"Content-Length: {len(packed)}", "Content-Encoding: gzip"), packed)[0] in (200, 415)
    # What could be read in two ways is not read at all.
    for headers in (("Transfer-Encoding: chunked", "Content-Length: 5"), ("Content-Length: 5", "Content-Length: 6"), ("Transfer-Encoding: gzip",),
                    ("Content-Length: -1",), ("Content-Length: 5x",), ("Transfer-Encoding: xchunked",)):
        status, head, _ = http(server, "POST", CHAT, headers, b"0\r\n\r\n", close=False)
        assert status in (400, 411, 501), (headers, head)
    # Two requests in one go, on one connection: two answers, in order.
    one = (f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret\r\nContent-Length: {len(body)}\r\n".encode())
    answer = raw(server, one + b"\r\n" + body + one + b"Connection: close\r\n\r\n" + body)
    assert answer.count(b"HTTP/1.1 200") == 2, answer[:300]
    # HTTP/1.0: no chunks, the stream ends with the connection.
    streamed = json.dumps(chat(stream=True)).encode()
    status, head, rest = http(server, "POST", CHAT, (f"Content-Length: {len(streamed)}",), streamed, version="1.0", close=False)
    assert status == 200 and "chunked" not in head.lower() and rest.startswith(b"data: {") and rest.endswith(b"data: [DONE]\n\n"), (head, rest[-80:])
    # The key in any case of its word, in the other API's header, and not in the address.
    for header, wanted in (("Authorization: bearer secret", 200), ("Authorization: BEARER secret", 200), ("x-api-key: secret", 200), ("X-Api-Key: secret", 200),
                           ("Authorization: secret", 401), ("Authorization: Basic c2VjcmV0", 401), ("x-api-key: secre", 401), ("X-Y: z", 401)):
        answer = raw(server, f"GET /v1/models?key=secret HTTP/1.1\r\nHost: localhost\r\n{header}\r\nConnection: close\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 %d" % wanted), (header, answer[:100])


def check_stream(server):
    """What the Vercel SDK, Zed and openai-python check of every piece."""
    found = events(server.call("POST", CHAT, chat(USER, stream=True, stream_options={"include_usage": True}, timings_per_token=True))[2])
    pieces = [data for _, data in found[:-1]]
    assert found[-1][1] == "[DONE]" and len({p["id"] for p in pieces}) == 1 and len({p["created"] for p in pieces}) == 1
    for piece in pieces:
        assert piece["object"] == "chat.completion.chunk" and isinstance(piece["created"], int) and isinstance(piece["model"], str)
    assert pieces[0]["choices"][0]["delta"]["role"] == "assistant" and all("role" not in p["choices"][0]["delta"] for p in pieces[1:-1])
    assert pieces[-1]["choices"] == [] and pieces[-1]["usage"]["total_tokens"] > 0 and all(p.get("usage") is None for p in pieces[:-1])
    assert any("timings" in p for p in pieces[1:-2])
    # A call: its first piece alone has index, id, type and the whole name.
    found = events(server.call("POST", CHAT, chat(stream=True, max_tokens=60, tools=[TOOL], tool_choice="required", parallel_tool_calls=False,
                                                  temperature=1, seed=1))[2])
    calls = [c for _, d in found[:-1] for c in d["choices"][0]["delta"].get("tool_calls") or []]
    assert set(calls[0]) == {"index", "id", "type", "function"} and calls[0]["function"]["name"] == "get_weather", calls[0]
    assert all(set(c) == {"index", "function"} and set(c["function"]) == {"arguments"} for c in calls[1:]), calls
    # Claude Code's stream ends as its SDK wants it, without [DONE].
    text = server.call("POST", MSG, {"model": "m", "max_tokens": 4, "messages": [USER], "stream": True})[2]
    assert "[DONE]" not in text and [n for n, _ in events(text)][-1] == "message_stop"
    # What a refused stream says is plain JSON.
    status, headers, body = server.call("POST", CHAT, chat(stream=True, temperature="x"))
    assert status == 400 and headers["Content-Type"].startswith("application/json") and json.loads(body)["error"]["param"] == "temperature"


def main():
    failures = []

    def case(name, check):
        try:
            check()
        except Exception as error:
            line = traceback.extract_tb(error.__traceback__)[-1]
            failures.append(f"{name}: {type(error).__name__} {str(error)[:500]} (line {line.lineno})")

    with KeyholeServer(*sys.argv[1:3], "-t", "1", key="secret") as server:
        for name, path, body in TAKEN:
            def taken():
                status, _, answer = server.call("POST", path, body)
                assert status == 200, (status, answer)
                if not body.get("stream") and "count" not in path:  # the same, streamed
                    status, headers, answer = server.call("POST", path, {**body, "stream": True})
                    assert status == 200 and headers["Content-Type"].startswith("text/event-stream"), (status, answer[:300])
                    assert '"error"' not in answer or path.startswith(RESP), answer[:500]
            case(name, taken)
        for name, path, body, words in REFUSED:
            def refused():
                status, _, answer = server.call("POST", path, body)
                assert status == 400 and words in answer, (status, answer)
            case(name, refused)
        case("HTTP", lambda: check_http(server))
        case("streams", lambda: check_stream(server))
        assert server.metric("num_requests_running") == 0
    for failure in failures:
        print(failure)
    print(f"{len(TAKEN) + len(REFUSED) + 2} checks, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
