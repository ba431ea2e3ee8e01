"""Constrained replies against the program itself: `constrained_test.py KEYHOLE MODEL [SCHEMAS [CALLS]]`.

Random JSON schemas (recursive ones too) and random tools, a model with random weights, temperature 1.5: every reply must parse and
satisfy its schema, judged by the jsonschema package, also where a limit ended it. Then the same with limits that are hardly enough:
a reply is then whole, or its schema's shortest text does not fit. Also schemas that must be refused, with their places.
"""

import json
import random
import string
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

try:
    import jsonschema
except ImportError:
    print("the jsonschema package is not here: left out")
    sys.exit(77)

MAX_TOKENS = 700


def post(base, body):
    request = urllib.request.Request(base + "/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=300) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


class Schemas:
    """Random schemas whose values are short, so that random text comes to an end."""

    def __init__(self, r):
        self.r = r

    def schema(self, depth=0):
        r = self.r
        kinds = ["string", "integer", "number", "boolean", "null", "enum", "const", "pattern", "format", "types"]
        if depth < 3:
            kinds += ["object", "object", "object", "array", "array", "anyOf", "allOf", "tuple", "map", "oneOf"]
        return getattr(self, r.choice(kinds) + "_")(depth)

    def string_(self, depth):
        low = self.r.randint(0, 4)
        return {"type": "string", "minLength": low, "maxLength": low + self.r.randint(0, 12)}

    def pattern_(self, depth):
        r = self.r
        return {"type": "string", "pattern": r.choice([
            "^[a-z]{1,8}$", "^\\d{3}-\\d{4}$", "^(foo|bar|ba+z)$", "^[A-Z][a-z]{0,5}( [A-Z][a-z]{0,5}){0,2}$", "^\\w{2,6}\\.(png|jpe?g)$",
            "^[^\\s\"]{1,5}$", "^a?b?c?$", "^\\u00e4\\{[0-9a-f]{2}\\}$", "^(?:x|y){2,4}z$", "^.{1,4}$"])}

    def format_(self, depth):
        return {"type": "string", "format": self.r.choice(["date", "time", "date-time", "uuid", "ipv4", "email"])}

    def integer_(self, depth):
        r = self.r
        out = {"type": "integer"}
        low = r.choice([None, r.randint(-1000, 1000), r.randint(-9, 9)])
        if low is not None:
            out[r.choice(["minimum", "exclusiveMinimum"])] = low
        if r.random() < 0.5:
            out["maximum"] = (low if low is not None else r.randint(-50, 50)) + r.randint(2, 500)
        if low is None and r.random() < 0.3 and "maximum" not in out:
            out["multipleOf"] = r.choice([2, 3, 5, 7, 10, 25])
        return out

    def number_(self, depth):
        r = self.r
        out = {"type": "number"}
        low = r.choice([None, round(r.uniform(-20, 20), r.randint(0, 3)), r.randint(-5, 5)])
        if low is not None:
            out[r.choice(["minimum", "exclusiveMinimum"])] = low
        if r.random() < 0.6:
            out[r.choice(["maximum", "exclusiveMaximum"])] = round((low if low is not None else r.uniform(-9, 9)) + r.uniform(0.5, 30), r.randint(0, 3))
        return out

    def boolean_(self, depth):
        return {"type": "boolean"}

    def null_(self, depth):
        return {"type": "null"}

    def value(self):
        r = self.r
        return r.choice([r.randint(-99, 99), "".join(r.choice(string.printable + "äß€") for _ in range(r.randint(0, 8))), True, None, 1.5,
                         {"a": [1, "<b>"]}, []])

    def enum_(self, depth):
        return {"enum": [self.value() for _ in range(self.r.randint(1, 5))]}

    def const_(self, depth):
        return {"const": self.value()}

    def types_(self, depth):
        return {"type": self.r.sample(["boolean", "null", "integer"], 2), "maximum": 10, "minimum": -10}

    def names(self, n):
        return self.r.sample(["id", "name", "full name", "übung", "x", "tags", "a\"b", "price", "unit", "next", "kind", "note\n"], n)

    def object_(self, depth):
        r = self.r
        names = self.names(r.randint(0, 5))
        out = {"type": "object", "properties": {n: self.schema(depth + 1) for n in names},
               "required": [n for n in names if r.random() < 0.6]}
        k = r.random()
        if k < 0.5 or not names:
            out["additionalProperties"] = False
        return out

    def map_(self, depth):
        return {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0, "maximum": 9}, "maxProperties": 3}

    def array_(self, depth):
        low = self.r.randint(0, 2)
        return {"type": "array", "items": self.schema(depth + 1), "minItems": low, "maxItems": low + self.r.randint(0, 3)}

    def tuple_(self, depth):
        n = self.r.randint(1, 3)
        return {"type": "array", "prefixItems": [self.schema(depth + 1) for _ in range(n)], "minItems": self.r.randint(0, n), "items": False}

    def anyOf_(self, depth):
        return {"anyOf": [self.schema(depth + 1) for _ in range(self.r.randint(1, 3))]}

    def oneOf_(self, depth):
        return {"oneOf": [{"type": "object", "properties": {"kind": {"const": k}, "v": self.schema(depth + 1)}, "required": ["kind", "v"],
                           "additionalProperties": False} for k in ("a", "b")] + [{"type": "null"}]}

    def allOf_(self, depth):
        return {"allOf": [{"type": "object", "properties": {"a": self.schema(depth + 1)}, "required": ["a"]},
                          {"properties": {"b": {"type": "boolean"}}, "required": ["b"]}]}

    def recursive(self):
        r = self.r
        return r.choice([
            {"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties": {
                "v": self.schema(2), "next": {"anyOf": [{"type": "null"}, {"type": "null"}, {"$ref": "#/$defs/node"}]}},
                "required": ["v", "next"], "additionalProperties": False}}},
            {"type": "object", "properties": {"value": {"type": "integer", "minimum": 0, "maximum": 5},
                                              "children": {"type": "array", "items": {"$ref": "#"}, "maxItems": 1}},
             "required": ["value", "children"], "additionalProperties": False},
            {"definitions": {"e": {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 9}, {"type": "array", "items": {"$ref": "#/definitions/e"},
                                                                                         "minItems": 2, "maxItems": 2}]}},
             "$ref": "#/definitions/e"}])


def check_reply(schema, text, finish):
    assert finish in ("stop", "length"), finish
    value = json.loads(text)
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER).validate(value)
    return "valid" if finish == "stop" else "ended by the limit and valid"


def run_schemas(base, count, limits=(MAX_TOKENS,)):
    r = random.Random(20261125)
    make = Schemas(r)
    schemas = [make.recursive() if i % 5 == 4 else make.schema() for i in range(count)]

    def one(i):
        body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "temperature": 1.5, "top_p": 1, "seed": i,
                "max_tokens": limits[i % len(limits)],
                "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": schemas[i]}},
                "chat_template_kwargs": {"enable_thinking": False}}
        status, reply = post(base, body)
        if status == 400:
            return "refused " + reply["error"]["message"], schemas[i]
        assert status == 200, (status, reply, schemas[i])
        choice = reply["choices"][0]
        try:
            return check_reply(schemas[i], choice["message"]["content"] or "", choice["finish_reason"]), schemas[i]
        except json.JSONDecodeError:
            if choice["finish_reason"] == "length" and limits[0] < MAX_TOKENS:
                return "cut", schemas[i]  # there was not even room for the shortest reply
            raise AssertionError(f"schema {json.dumps(schemas[i])}\nreply {choice['message']['content']!r}") from None
        except Exception as error:
            raise AssertionError(f"{error!r}\nschema {json.dumps(schemas[i])}\nreply {choice['message']['content']!r}") from error

    # Of the limits that are hardly enough, a third may be too small for anything that is whole.
    return tally(f"schemas, at most {max(limits)} tokens", one, count, 0 if limits[0] == MAX_TOKENS else count / 3)


def run_calls(base, count):
    r = random.Random(7)
    make = Schemas(r)
    jobs = []
    for i in range(count):
        tools = []
        for name in r.sample(["get_weather", "add", "search.files", "f", "set-alarm"], r.randint(1, 3)):
            names = [n for n in make.names(r.randint(0, 4)) if n == n.strip()]
            parameters = {"type": "object", "properties": {n: make.schema(1) for n in names}, "required": [n for n in names if r.random() < 0.6]}
            tools.append({"type": "function", "function": {"name": name, "parameters": parameters}})
        named = r.random() < 0.4
        jobs.append((tools, {"type": "function", "function": {"name": tools[0]["function"]["name"]}} if named else "required", r.random() < 0.1))

    def one(i):
        tools, choice, parallel = jobs[i]
        body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "temperature": 1.5, "top_p": 1, "seed": i, "max_tokens": MAX_TOKENS,
                "tools": tools, "tool_choice": choice, "parallel_tool_calls": parallel, "chat_template_kwargs": {"enable_thinking": False}}
        status, reply = post(base, body)
        if status == 400:
            return "refused " + reply["error"]["message"], tools
        assert status == 200, (status, reply, tools)
        answer = reply["choices"][0]
        calls = answer["message"].get("tool_calls") or []
        try:
            assert answer["finish_reason"] in ("tool_calls", "length"), answer["finish_reason"]
            assert calls and (parallel or len(calls) == 1), calls
            assert not answer["message"].get("content"), answer["message"]
            for call in calls:
                known = {t["function"]["name"]: t["function"]["parameters"] for t in tools}
                name = call["function"]["name"]
                assert choice == "required" or name == tools[0]["function"]["name"], name
                arguments = json.loads(call["function"]["arguments"])
                jsonschema.Draft202012Validator(known[name], format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER).validate(arguments)
        except Exception as error:
            raise AssertionError(f"{error!r}\ntools {json.dumps(tools)}\nreply {json.dumps(answer)}") from error
        return "valid" if answer["finish_reason"] == "tool_calls" else "ended by the limit and valid", tools

    return tally("calls", one, count)


def tally(what, one, count, most_cut=0):
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(one, range(count)))
    valid = sum(r == "valid" for r, _ in results)
    ended = sum(r == "ended by the limit and valid" for r, _ in results)
    cut = sum(r == "cut" for r, _ in results)
    refused = {}
    for r, s in results:
        if r.startswith("refused"):
            refused.setdefault(r, s)
    n_refused = sum(r.startswith("refused") for r, _ in results)
    print(f"{what}: {count}, {valid} valid, {ended} ended by max_tokens and valid, {cut} cut, {n_refused} refused")
    for message, s in list(refused.items())[:12]:
        print("   ", message[:200], "|", json.dumps(s)[:160])
    assert valid + ended + cut == count and n_refused == 0
    assert cut <= most_cut, "replies are not whole"


def stream(base, body):
    """The calls of a streamed answer, put together as clients do, and its finish_reason."""
    request = urllib.request.Request(base + "/v1/chat/completions", json.dumps({**body, "stream": True}).encode(), {"Content-Type": "application/json"})
    calls, finish, content = {}, None, ""
    with urllib.request.urlopen(request, timeout=300) as response:
        for line in response:
            if not line.startswith(b"data: {"):
                continue
            choice = json.loads(line[6:])["choices"][0]
            content += choice["delta"].get("content") or ""
            finish = choice["finish_reason"] or finish
            for piece in choice["delta"].get("tool_calls") or []:
                call = calls.setdefault(piece["index"], {"name": "", "arguments": ""})
                call["name"] += piece["function"].get("name") or ""
                call["arguments"] += piece["function"].get("arguments") or ""
    return list(calls.values()), finish, content


def run_chosen_calls(base, count):
    """tool_choice auto: once a reply has begun a call, which a bias makes it do, that call is of a declared tool, its arguments are
    declared ones, each once, of their types, and the required ones are there. Streamed and whole are the same."""
    token = {}
    for marker in ("<tool_call>", "</arg_value>", "<|user|>", "<|observation|>", "<|endoftext|>"):
        request = urllib.request.Request(base + "/tokenize", json.dumps({"content": marker, "parse_special": True}).encode(),
                                         {"Content-Type": "application/json"})
        token[marker] = json.load(urllib.request.urlopen(request))["tokens"][0]
    bias = {str(i): -100 for i in token.values()} | {str(token["<tool_call>"]): 100, str(token["</arg_value>"]): 12}
    r = random.Random(11)
    make = Schemas(r)
    jobs = []
    for i in range(count):
        tools = []
        for name in r.sample(["get_weather", "get", "search.files", "f", "set-alarm"], r.randint(1, 4)):
            names = [n for n in make.names(r.randint(0, 4)) if n == n.strip()]
            parameters = {"type": "object", "properties": {n: make.schema(1) for n in names}, "required": [n for n in names if r.random() < 0.6]}
            if i % 7 == 0 and names:
                parameters["properties"][names[0]] = {"type": "array", "uniqueItems": True, "items": {"type": "boolean"}}  # cannot be honoured
            tools.append({"type": "function", "function": {"name": name, "parameters": parameters}})
        jobs.append(tools)

    def one(i):
        tools = {t["function"]["name"]: t["function"]["parameters"] for t in jobs[i]}
        body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "temperature": 1.5, "top_p": 1, "seed": i, "max_tokens": 250,
                "tools": jobs[i], "logit_bias": bias, "chat_template_kwargs": {"enable_thinking": False}}
        status, reply = post(base, body)
        assert status == 200, (status, reply)
        answer = reply["choices"][0]
        calls = [c["function"] for c in answer["message"].get("tool_calls") or []]
        streamed, finish, content = stream(base, body)
        assert (streamed, finish, content) == (calls, answer["finish_reason"], answer["message"].get("content") or ""), (streamed, calls)
        assert not content or finish == "length" and content.startswith("<tool_call>"), content  # cut in a name
        assert calls, answer
        cut = answer["finish_reason"] == "length"
        for call in calls[:-1] if cut else calls:
            pairs = json.loads(call["arguments"], object_pairs_hook=list)
            assert len({k for k, _ in pairs}) == len(pairs), call
            arguments = json.loads(call["arguments"])
            parameters = {**tools[call["name"]], "additionalProperties": False}
            for name, schema in list(parameters["properties"].items()):
                if schema.get("uniqueItems"):
                    parameters = {**parameters, "properties": {**parameters["properties"], name: {"type": "array"}}}
            jsonschema.Draft202012Validator(parameters, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER).validate(arguments)
        return len(calls) - cut, [list(json.loads(c["arguments"])) for c in (calls[:-1] if cut else calls)], tools

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(one, range(count)))
    whole = sum(n for n, _, _ in results)
    orders = sum(keys != [k for k in keys_of if k in keys] for _, calls, tools in results for keys in calls
                 for keys_of in [next((list(t["properties"]) for t in tools.values() if set(keys) <= set(t["properties"])), [])] if len(keys) > 1)
    print(f"calls that the model chose: {count} replies, {whole} whole calls, all of declared tools with arguments that fit; {orders} in another order")
    assert whole > count and orders > 0


REFUSED = [
    ({"type": "string", "pattern": "(?=a)b"}, "pattern"), ({"not": {}}, "not"), ({"type": "array", "uniqueItems": True}, "uniqueItems"),
    ({"$ref": "#/nowhere"}, "$ref"), ({"$ref": "http://example.com/s"}, "$ref"), ({"type": "strnig"}, "type"),
    ({"type": "array", "minItems": 400000000}, "minItems"), ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, ""),
    ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, ""), ({"enum": []}, ""), ({"type": []}, "type"),
    ({"type": "object", "patternProperties": {"^a": {}}}, "patternProperties"), ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "oneOf"),
    ({"type": "string", "minLength": 5, "maxLength": 3}, ""), ({"type": "number", "multipleOf": 0.7}, "multipleOf"), ([], ""), ("x", ""),
]


def run_refused(base):
    for schema, keyword in REFUSED:
        status, reply = post(base, {"model": "m", "messages": [{"role": "user", "content": "x"}], "max_tokens": 5,
                                    "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}})
        assert status == 400, (schema, status, reply)
        assert keyword in reply["error"]["message"], (schema, reply)
    deep = {}
    for _ in range(60):
        deep = {"type": "array", "items": deep}
    cases = [({"tool_choice": "required"}, 400), ({"grammar": "root ::= root \"a\""}, 400), ({"grammar": "x ::= \"a\""}, 400),
             ({"grammar": "root ::= [a-"}, 400), ({"grammar": "root ::= \"yes\" | \"no\""}, 200), ({"response_format": {"type": "xml"}}, 400),
             ({"response_format": {"type": "json_schema"}}, 400), ({"response_format": {"type": "json_object"}}, 200),
             ({"grammar": "root ::= (\"a\"*)* \"b\"{0,9999} \"c\""}, 200),
             ({"response_format": {"type": "json_schema", "json_schema": {"name": "d", "schema": deep}}}, 200)]
    for extra, wanted in cases:
        status, reply = post(base, {"model": "m", "messages": [{"role": "user", "content": "x"}], "max_tokens": 60, "seed": 1,
                                    "chat_template_kwargs": {"enable_thinking": False}, **extra})
        assert status == wanted, (extra, status, reply)
        if extra.get("grammar", "").startswith("root ::= \"yes\""):
            assert reply["choices"][0]["message"]["content"] in ("yes", "no"), reply
            assert reply["choices"][0]["finish_reason"] == "stop"
    # With thinking on, the thought is free and the answer is held to the schema.
    status, reply = post(base, {"model": "m", "messages": [{"role": "user", "content": "x"}], "max_tokens": 400, "seed": 3, "temperature": 1,
                                "logit_bias": {}, "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "boolean"}}}})
    assert status == 200, reply
    if reply["choices"][0]["finish_reason"] == "stop":
        assert reply["choices"][0]["message"]["content"] in ("true", "false"), reply


def main():
    program, model = sys.argv[1:3]
    schemas, calls = (int(a) for a in (sys.argv[3:5] + ["1000", "500"][len(sys.argv) - 3:]))
    server = subprocess.Popen([program, "serve", "-m", model, "--port", "0", "-c", "16384", "-np", "8"], stdout=subprocess.PIPE, text=True)
    try:
        base = server.stdout.readline().split()[-1]
        run_refused(base)
        run_schemas(base, schemas)
        run_schemas(base, schemas // 2, limits=(12, 25, 50, 100))
        run_calls(base, calls)
        run_chosen_calls(base, max(20, calls // 5))
        health = json.load(urllib.request.urlopen(base + "/health"))
        assert health["status"] == "ok", health
    finally:
        server.terminate()
        server.wait(30)


if __name__ == "__main__":
    main()
