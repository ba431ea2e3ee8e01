"""The API from outside, as a table of small cases: python api_test.py KEYHOLE MODEL.gguf

Each row: a request, the status it must get, and what must hold of the answer. Every refusal must have its API's shape, name
the field and give away nothing of the machine.
"""
import json
import socket
import sys
import time
import traceback

from keyhole_server import KeyholeServer, events

CHAT, TEXT, RESP, MSG = "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def chat(**more):
    return {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 4, "temperature": 0,
            "chat_template_kwargs": {"enable_thinking": False}, **more}


def said(*messages, **more):
    return chat(messages=list(messages), **more)


def text(**more):
    return {"prompt": "Hello", "max_tokens": 4, "temperature": 0, **more}


def resp(**more):
    return {"input": "hi", "max_output_tokens": 4, "temperature": 0, "reasoning": {"effort": "none"}, **more}


def msg(**more):
    return {"model": "m", "max_tokens": 4, "temperature": 0, "messages": [{"role": "user", "content": "hi"}], **more}


USER = {"role": "user", "content": "hi"}
CALL = {"role": "assistant", "content": None,
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a\": 1}"}}]}

# (path, body, what must hold)
GOOD = [
    (CHAT, chat(), lambda a: a["object"] == "chat.completion" and a["choices"][0]["logprobs"] is None),
    (CHAT, chat(model="any", user="u", metadata={"a": "b"}, store=True, unknown={"x": []}), None),
    (CHAT, chat(stop=None, n=None, tools=None, seed=None, logit_bias=None, stream=None, top_p=None, tool_choice=None,
                response_format=None, logprobs=None, top_logprobs=None, stream_options=None), None),
    (CHAT, chat(max_tokens=None, max_completion_tokens=2), lambda a: a["usage"]["completion_tokens"] <= 2),
    (CHAT, chat(stop=[], tools=[]), None),
    (CHAT, chat(n=9), lambda a: [c["index"] for c in a["choices"]] == list(range(9))),
    (CHAT, chat(seed=-(2 ** 63)), None),
    (CHAT, chat(seed=2 ** 63 - 1), None),
    (CHAT, chat(max_tokens=2 ** 60, stop=["a", "e", "o", "\u00e9", "0", "1", " "]), None),
    (CHAT, chat(n=2.0), lambda a: len(a["choices"]) == 2),
    (CHAT, chat(tools=[TOOL], tool_choice="auto"), None),
    (CHAT, chat(tools=[TOOL], tool_choice="none"), None),
    (CHAT, chat(reasoning_effort="high"), None),
    (CHAT, chat(logit_bias={"10": -100}), None),
    (CHAT, said({"role": "developer", "content": "x"}, USER), None),
    (CHAT, said({"role": "system", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, USER), None),
    (CHAT, said(USER, CALL, {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "42"}]}), None),
    (CHAT, said(USER, {"role": "assistant"}, USER), None),
    (CHAT, said(USER, {"role": "assistant", "content": "x", "reasoning": "y"}, USER), None),
    (CHAT, chat(logprobs=True), lambda a: lp(a) == a["usage"]["completion_tokens"]
     and all(e["top_logprobs"] == [] for e in a["choices"][0]["logprobs"]["content"])),
    (CHAT, chat(logprobs=True, top_logprobs=20), lambda a: all(
        len(e["top_logprobs"]) == 20 and e["top_logprobs"][0]["token"] == e["token"] and e["logprob"] <= 0
        and sorted((t["logprob"] for t in e["top_logprobs"]), reverse=True) == [t["logprob"] for t in e["top_logprobs"]]
        for e in a["choices"][0]["logprobs"]["content"])),
    (TEXT, text(), lambda a: a["object"] == "text_completion" and a["id"].startswith("cmpl-")),
    (TEXT, {"prompt": "Hello", "temperature": 0}, lambda a: a["usage"]["completion_tokens"] <= 16),
    (TEXT, text(prompt=["a", "b"], n=2), lambda a: [c["index"] for c in a["choices"]] == [0, 1, 2, 3]),
    (TEXT, text(prompt=[1, 2, 3]), lambda a: a["usage"]["prompt_tokens"] == 3),
    (TEXT, text(prompt=[[1, 2], [3]]), lambda a: a["usage"]["prompt_tokens"] == 3 and len(a["choices"]) == 2),
    (TEXT, text(echo=True), lambda a: a["choices"][0]["text"].startswith("Hello")),
    (TEXT, text(echo=True, max_tokens=0, logprobs=2), lambda a: scored(a["choices"][0])),
    (TEXT, text(logprobs=0), lambda a: len(a["choices"][0]["logprobs"]["tokens"]) == a["usage"]["completion_tokens"]),
    (TEXT, text(suffix="end"), None),
    (TEXT, text(best_of=1), None),
    (RESP, resp(), lambda a: a["object"] == "response" and a["status"] in ("completed", "incomplete")
     and a["usage"]["total_tokens"] == a["usage"]["input_tokens"] + a["usage"]["output_tokens"]),
    (RESP, resp(input=[{"role": "user", "content": [{"type": "input_text", "text": "x"}]},
                       {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                       {"type": "function_call_output", "call_id": "c", "output": "42"}],
                tools=[{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False},
                       {"type": "web_search"}, {"type": "custom", "name": "x"}], store=False, include=[]), None),
    (RESP, resp(instructions="Be brief", previous_response_id=None, text={"format": {"type": "text"}}, truncation="disabled"),
     lambda a: a["instructions"] == "Be brief" and a["previous_response_id"] is None),
    (MSG, msg(), lambda a: a["type"] == "message" and a["id"].startswith("msg_") and "timings" not in a
     and all(block["type"] == "text" for block in a["content"])),
    (MSG + "?beta=true", msg(system=[{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}]), None),
    (MSG, msg(messages=[USER, {"role": "assistant", "content": [
        {"type": "thinking", "thinking": "t", "signature": "s"}, {"type": "tool_use", "id": "t1", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "r"}]},
                                     {"type": "text", "text": "go on"}]}],
        tools=[{"name": "f", "input_schema": {"type": "object"}}, {"type": "web_search_20250305", "name": "web_search"}]), None),
    (MSG + "/count_tokens", {"messages": [USER]}, lambda a: a["input_tokens"] > 2),
]


def lp(answer):
    return len(answer["choices"][0]["logprobs"]["content"])


def scored(choice):
    lists = choice["logprobs"]
    return (choice["text"] == "Hello" and lists["token_logprobs"][0] is None and lists["top_logprobs"][0] is None
            and "".join(lists["tokens"]) == "Hello" and all(v < 0 for v in lists["token_logprobs"][1:])
            and lists["text_offset"][0] == 0 and len({len(v) for v in lists.values()}) == 1)


# (path, body, param)
BAD = [
    (CHAT, {}, "messages"), (CHAT, chat(messages=[]), "messages"), (CHAT, chat(messages="hi"), "messages"),
    (CHAT, said({"content": "x"}), "messages[0].role"), (CHAT, said({"role": "user"}), "messages[0].content"),
    (CHAT, said({"role": "function", "content": "x"}), "messages[0].role"),
    (CHAT, said({"role": "user", "content": 5}), "messages[0].content"),
    (CHAT, said({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}),
     "messages[0].content[0].type"),
    (CHAT, chat(temperature="hot"), "temperature"), (CHAT, chat(temperature=2.1), "temperature"),
    (CHAT, chat(top_p=-0.1), "top_p"), (CHAT, chat(n=0), "n"), (CHAT, chat(n=129), "n"), (CHAT, chat(n=1.5), "n"),
    (CHAT, chat(stop=5), "stop"), (CHAT, chat(stop=["a", 5]), "stop[1]"), (CHAT, chat(logit_bias="x"), "logit_bias"),
    (CHAT, chat(logit_bias={"x": 1}), "logit_bias"), (CHAT, chat(logit_bias={"1": 101}), "logit_bias.1"),
    (CHAT, chat(max_tokens="5"), "max_tokens"), (CHAT, chat(max_tokens=0), "max_tokens"),
    (CHAT, chat(top_logprobs=2), "top_logprobs"), (CHAT, chat(logprobs=5), "logprobs"),
    (CHAT, chat(logprobs=True, top_logprobs=21), "top_logprobs"), (CHAT, chat(stream="yes"), "stream"),
    (CHAT, chat(stream_options=5), "stream_options"), (CHAT, chat(seed="x"), "seed"), (CHAT, chat(model=5), "model"),
    (CHAT, chat(tools={}), "tools"), (CHAT, chat(tools=[{"type": "function"}]), "tools[0].function"),
    (TEXT, {}, "prompt"), (TEXT, text(prompt=""), "prompt"), (TEXT, text(prompt=[]), "prompt"),
    (TEXT, text(prompt=[2 ** 40]), "prompt"), (TEXT, text(prompt=[-1]), "prompt"), (TEXT, text(prompt=["a", 1]), "prompt"),
    (TEXT, text(prompt={"a": 1}), "prompt"), (TEXT, text(logprobs=21), "logprobs"), (TEXT, text(logprobs=True), "logprobs"),
    (TEXT, text(max_tokens=0), "max_tokens"), (TEXT, text(best_of=3), "best_of"), (TEXT, text(echo=1), "echo"),
    (TEXT, text(suffix=5), "suffix"),
    (RESP, {}, "input"), (RESP, resp(input=5), "input"), (RESP, resp(input=[]), "input"),
    (RESP, resp(previous_response_id="r"), "previous_response_id"), (RESP, resp(conversation="c"), "conversation"),
    (RESP, resp(background=True), "background"), (RESP, resp(max_output_tokens="x"), "max_output_tokens"),
    (RESP, resp(input=[{"type": "nothing"}]), "input[0].type"), (RESP, resp(tools=[{"type": "function"}]), "tools[0].name"),
    (RESP, resp(input=[{"role": "user", "content": [{"type": "input_image"}]}]), "input[0].content[0].type"),
    (RESP, resp(input=[USER, {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{x"}]), "input[1].arguments"),
    (RESP, resp(text={"format": {"type": "json_schema", "name": "n"}}), "text.format.schema"),
    (MSG, {"max_tokens": 4}, "messages"), (MSG, {"messages": [USER]}, "max_tokens"), (MSG, msg(max_tokens=0), "max_tokens"),
    (MSG, msg(temperature=1.5), "temperature"), (MSG, msg(messages=[{"role": "tool", "content": "x"}]), "messages[0].role"),
    (MSG, msg(messages=[{"role": "user", "content": [{"type": "image"}]}]), "messages[0].content[0]"),
    (MSG, msg(tools=[{"name": "f"}]), "tools[0].input_schema"), (MSG, msg(stop_sequences="x"), "stop_sequences"),
    (MSG, msg(tool_choice={"type": "all"}), "tool_choice.type"), (MSG, msg(thinking={"type": "maybe"}), "thinking.type"),
]

# (method, path, body, headers, status)
OTHER = [
    ("GET", "/", None, {}, 200), ("HEAD", "/", None, {}, 200), ("GET", "/health", None, {}, 200),
    ("GET", "/v1/models", None, {}, 200), ("GET", "/models", None, {}, 200), ("GET", "/v1/models/test-model", None, {}, 200),
    ("GET", "/v1/models/other", None, {}, 404), ("GET", "/props", None, {}, 200), ("GET", "/slots", None, {}, 200),
    ("GET", "/metrics", None, {}, 200), ("GET", "/v1/memory", None, {}, 200), ("GET", "/nothing", None, {}, 404),
    ("POST", "/v1/embeddings", {"input": "x"}, {}, 404), ("GET", CHAT, None, {}, 405), ("DELETE", MSG, None, {}, 405),
    ("POST", CHAT, "{", {}, 400), ("POST", CHAT, "[" * 100000, {}, 400), ("POST", CHAT, "[]", {}, 400),
    ("POST", CHAT, '{"temperature": NaN}', {}, 400), ("POST", CHAT, '{"a": 1e999}', {}, 400), ("POST", CHAT, b"\xff", {}, 400),
    ("POST", "/chat/completions", chat(), {}, 200), ("POST", CHAT, chat(), {"Content-Type": "text/plain"}, 200),
    ("POST", CHAT, chat(), {"Host": "evil.example"}, 403), ("POST", CHAT, chat(), {"Host": "localhost.evil.example"}, 403),
    ("POST", CHAT, chat(), {"Origin": "https://evil.example"}, 403), ("POST", CHAT, chat(), {"Origin": "null"}, 403),
    ("POST", MSG, msg(), {"Origin": "https://evil.example"}, 403),
    ("POST", CHAT, chat(), {"Authorization": "Bearer wrong"}, 401), ("POST", MSG, msg(), {"Authorization": "x"}, 401),
    ("POST", MSG, msg(), {"Authorization": "", "x-api-key": "secret"}, 200),
    ("POST", CHAT, said({"role": "user", "content": "z" * 40000}), {}, 400),
    ("POST", MSG, msg(messages=[{"role": "user", "content": "z" * 40000}]), {}, 400),
]


def check_error(path, status, body, param=None):
    answer = json.loads(body)
    if path.startswith(MSG):
        assert set(answer) == {"type", "error"} and set(answer["error"]) == {"type", "message"}, body
        assert param is None or f"'{param}" in answer["error"]["message"], (param, body)
    else:
        assert set(answer["error"]) == {"message", "type", "param", "code"}, body
        assert param is None or answer["error"]["param"] == param, (param, body)
        assert answer["error"]["code"] is None or isinstance(answer["error"]["code"], str), body
    for leak in ("nlohmann", "std::", ".cpp", "/home", "exception", "type_error"):
        assert leak not in body, body


def check_streams(server):
    """Streams say the same as whole answers, with each API's events."""
    for path, body in ((CHAT, chat(max_tokens=24)), (TEXT, text(max_tokens=24)), (TEXT, text(max_tokens=8, echo=True, logprobs=1)),
                       (CHAT, chat(max_tokens=24, logprobs=True))):
        whole = json.loads(server.call("POST", path, body)[2])
        found = events(server.call("POST", path, {**body, "stream": True, "stream_options": {"include_usage": True}})[2])
        assert found[-1] == ("", "[DONE]") and found[-2][1]["choices"] == [], found[-2:]
        assert found[-2][1]["usage"]["completion_tokens"] == whole["usage"]["completion_tokens"]
        choices = [data["choices"][0] for _, data in found[:-2]]
        if path == CHAT:
            assert "".join(c["delta"].get("content") or "" for c in choices) == whole["choices"][0]["message"]["content"]
            entries = [e for c in choices if c["logprobs"] for e in c["logprobs"]["content"]]
            assert not body.get("logprobs") or entries == whole["choices"][0]["logprobs"]["content"]
        else:
            assert "".join(c["text"] for c in choices) == whole["choices"][0]["text"]
            tokens = [t for c in choices if c["logprobs"] for t in c["logprobs"]["tokens"]]
            assert not body.get("logprobs") or tokens == whole["choices"][0]["logprobs"]["tokens"]
        assert [c["finish_reason"] for c in choices if c["finish_reason"]] == [whole["choices"][0]["finish_reason"]]

    for effort in ("none", "low"):
        body = resp(max_output_tokens=24, reasoning={"effort": effort})
        whole = json.loads(server.call("POST", RESP, body)[2])
        found = events(server.call("POST", RESP, {**body, "stream": True})[2])
        assert all(name == data["type"] for name, data in found), found
        assert [data["sequence_number"] for _, data in found] == list(range(len(found)))
        assert [name for name, _ in found[:2]] == ["response.created", "response.in_progress"]
        last = found[-1][1]["response"]
        assert found[-1][0] in ("response.completed", "response.incomplete") and last["status"] == whole["status"]
        assert (last["status"] == "incomplete") == (last["incomplete_details"] is not None)
        texts = lambda answer: [part["text"] for item in answer["output"] for part in item["content"]]
        assert texts(last) == texts(whole), (last, whole)
        deltas = "".join(d["delta"] for n, d in found if n.endswith("text.delta"))
        assert deltas == "".join(texts(whole))

    for thinking in ("disabled", "enabled"):
        body = msg(max_tokens=24, thinking={"type": thinking})
        whole = json.loads(server.call("POST", MSG, body)[2])
        found = events(server.call("POST", MSG, {**body, "stream": True})[2])
        assert all(name == data["type"] for name, data in found)
        assert found[0][0] == "message_start" and [n for n, _ in found[-2:]] == ["message_delta", "message_stop"]
        assert found[-2][1]["delta"]["stop_reason"] == whole["stop_reason"]
        starts = [d["index"] for n, d in found if n == "content_block_start"]
        assert starts == list(range(len(starts))) and len(starts) == len(whole["content"])
        for index, block in enumerate(whole["content"]):
            parts = [d["delta"] for n, d in found if n == "content_block_delta" and d["index"] == index]
            assert "".join(p.get("text", "") + p.get("thinking", "") for p in parts) == block[block["type"]]
        assert thinking == "enabled" or all(block["type"] != "thinking" for block in whole["content"])

    # A line that differs in every request does not cost the cache.
    def system(number):
        return msg(system=[{"type": "text", "text": f"x-anthropic-billing-header: cch={number};"},
                           {"type": "text", "text": "The same instructions. " * 30}])
    server.call("POST", MSG, system(1))
    assert json.loads(server.call("POST", MSG, system(2))[2])["usage"]["cache_read_input_tokens"] >= 64


def check_calls(server):
    """A forced call's arguments, streamed, are those of the whole answer, on every route, and come in pieces."""
    schema = {"type": "object", "properties": {"text": {"type": "string", "minLength": 20, "maxLength": 40}, "n": {"type": "integer"}},
              "required": ["text", "n"], "additionalProperties": False}
    function = {"name": "f", "parameters": schema}
    common = {"temperature": 1, "top_p": 1}
    for seed in range(3):
        body = chat(**common, max_tokens=200, seed=seed, tools=[{"type": "function", "function": function}], tool_choice="required",
                    parallel_tool_calls=False)
        wanted = json.loads(server.call("POST", CHAT, body)[2])["choices"][0]["message"]["tool_calls"][0]["function"]
        calls = [c for _, d in events(server.call("POST", CHAT, {**body, "stream": True})[2]) if d != "[DONE]" and d["choices"]
                 for c in d["choices"][0]["delta"].get("tool_calls", [])]
        assert [c["function"]["name"] for c in calls if "id" in c] == [wanted["name"]] and calls[0]["type"] == "function"
        assert "".join(c["function"]["arguments"] for c in calls) == wanted["arguments"] and len(calls) > 6, (calls, wanted)
        assert set(json.loads(wanted["arguments"])) == {"text", "n"}
    found = events(server.call("POST", RESP, resp(**common, max_output_tokens=200, stream=True, tools=[{"type": "function", **function}],
                                                  tool_choice="required", parallel_tool_calls=False))[2])
    pieces = [d["delta"] for n, d in found if n == "response.function_call_arguments.delta"]
    item = found[-1][1]["response"]["output"][0]
    done = next(d for n, d in found if n == "response.function_call_arguments.done")
    assert item["type"] == "function_call" and "".join(pieces) == item["arguments"] == done["arguments"] and len(pieces) > 4, found[-1]
    assert set(json.loads(item["arguments"])) == {"text", "n"}
    found = events(server.call("POST", MSG, {**msg(max_tokens=200, temperature=1, stream=True), "tools": [{"name": "f", "input_schema": schema}],
                                             "tool_choice": {"type": "any", "disable_parallel_tool_use": True}})[2])
    pieces = [d["delta"]["partial_json"] for n, d in found if n == "content_block_delta" and d["delta"]["type"] == "input_json_delta"]
    assert len(pieces) > 4 and set(json.loads("".join(pieces))) == {"text", "n"}, found
    # Cut by the limit, where nothing holds it to a schema: as far as it came. Held to one, it is brought to its end, and says so.
    whole = json.loads(server.call("POST", CHAT, chat(**common, max_tokens=14, seed=1, tools=[{"type": "function", "function": function}],
                                                      tool_choice="required", parallel_tool_calls=False))[2])["choices"][0]
    assert whole["finish_reason"] == "length"


def check_document(server):
    """Every route of the OpenAPI document is there, with that method; that none is missing the server checks as it starts."""
    document = json.loads(server.call("GET", "/openapi.json")[2])
    assert document["openapi"].startswith("3.1") and len(document["paths"]) > 15
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            body = {} if method == "post" else None
            status = server.call(method.upper(), path.replace("{model}", "test-model"), body)[0]
            assert str(status) in operation["responses"] and status in (200, 400), (method, path, status)
            assert server.call("PUT", path.replace("{model}", "test-model"))[0] == 405, path


def check_limits(program, model):
    """A full queue and a client with too many requests are refused at once, with when to come back."""
    for flags, count in ((("--queue-limit", "99", "-np", "1"), 1), (("--max-per-client", "2"), 2)):
        with KeyholeServer(program, model, "-t", "1", *flags) as server:
            # A hundred answers each that do not end by themselves: some ten seconds of work.
            ends = [json.loads(server.call("POST", "/tokenize", {"content": end, "parse_special": True})[2])["tokens"][0]
                    for end in ("<|user|>", "<|observation|>", "<|endoftext|>")]
            long = json.dumps(chat(max_tokens=1500, temperature=1, n=100, logit_bias={str(id): -100 for id in ends}))
            held = []
            for _ in range(count):
                connection = socket.create_connection(("127.0.0.1", server.port))
                connection.sendall(f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: one\r\n"
                                   f"Content-Length: {len(long)}\r\n\r\n{long}".encode())
                held.append(connection)
                time.sleep(0.1)
            for path, body in ((CHAT, chat()), (MSG, msg()), (TEXT, text()), (RESP, resp())):
                status, headers, answer = server.call("POST", path, body, {"User-Agent": "one"})
                assert status == 429 and headers["Retry-After"], (flags, status, answer)
                check_error(path, status, answer)
            if flags[0] == "--max-per-client":  # another client is not concerned
                assert server.call("POST", CHAT, chat(), {"User-Agent": "two"})[0] == 200
            for connection in held:
                connection.close()
            for _ in range(100):  # those that went away free their places within a step
                if server.call("POST", CHAT, chat(), {"User-Agent": "one"})[0] == 200:
                    break
                time.sleep(0.02)
            else:
                raise AssertionError("a place was not freed")


def main():
    with KeyholeServer(*sys.argv[1:3], "--alias", "test-model", "-t", "1", key="secret") as server:
        failures = []

        def case(path, body, check):
            try:
                check()
            except Exception as error:  # every row is tried, and all that failed are told
                line = traceback.extract_tb(error.__traceback__)[-1]
                failures.append(f"{path} {json.dumps(body)[:200]}: {type(error).__name__} {str(error)[:400]} "
                                f"(line {line.lineno}: {line.line})")

        for path, body, holds in GOOD:
            def good():
                status, _, answer = server.call("POST", path, body)
                assert status == 200, (status, answer)
                assert holds is None or holds(json.loads(answer)), answer
            case(path, body, good)
        for path, body, param in BAD:
            def bad():
                status, _, answer = server.call("POST", path, body)
                assert status == 400, (status, answer)
                check_error(path, status, answer, param)
            case(path, body, bad)
        for method, path, body, headers, wanted in OTHER:
            def other():
                status, got, answer = server.call(method, path, body, headers)
                assert status == wanted, (status, answer[:300])
                assert got.get("Access-Control-Allow-Origin") != "*"
                if status >= 400:
                    check_error(path, status, answer)
                if status == 405:
                    assert "OPTIONS" in got["Allow"]
            case(path, [method, headers], other)
        case("streams", None, lambda: check_streams(server))
        case("calls", None, lambda: check_calls(server))
        case("document", None, lambda: check_document(server))
        case("limits", None, lambda: check_limits(*sys.argv[1:3]))
        assert server.metric("num_requests_running") == 0 and server.metric("num_requests_waiting") == 0
        print("\n".join(failures) or f"ok: {len(GOOD) + len(BAD) + len(OTHER)} cases and the streams")
        return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
