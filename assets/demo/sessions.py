"""Conversations with tools: requests that need one, requests that need none, results and answers."""

import json

import dialog
import words as w
from asking import typed
from families import B, I, N, S
from recall import cap, code, date, number, person, place, thing, time
from tools import KEYS, USUAL, draw_set, spell
from values import email, filename, integer, phrase, plain_word, real, words_of

def result(r, tool):
    """(tool's answer text, what the model says)."""
    k = r.random()
    if k < 0.4:
        fields = {key: r.choice([lambda: r.randint(-20, 999), lambda: r.choice(w.ADJ), lambda: round(r.uniform(0, 99), 1), lambda: place(r), lambda: person(r), lambda: code(r)])()
                  for key in r.sample(["temperature", "condition", "result", "status", "value", "city", "name", "count", "id", "price", "humidity", "wind", "time", "unit", "total", "message", r.choice(w.NOUN)], r.randint(1, 4))}
        return json.dumps(fields, ensure_ascii=False), "The result: " + ", ".join(f"{a} {b}" for a, b in fields.items()) + "."
    if k < 0.6:
        v = str(r.choice([real(r), integer(r), number(r)]))
        return v, f"The result is {v}."
    if k < 0.7:
        return r.choice([("ok", "Done."), ("OK", "Done."), ("done", "Done."), ("success", "Done."), ("true", "Done."), ('{"ok": true}', "Done."), ('{"status": "ok"}', "Done."), ('{"success": true}', "Done.")])
    if k < 0.78:
        e = r.choice(["not found", "timeout", "permission denied", "unknown city", "invalid argument", "no connection"])
        return r.choice([f"error: {e}", f'{{"error": "{e}"}}', f"Error: {e}"]), f"The tool reported an error: {e}."
    if k < 0.9:
        t = r.choice([lambda: phrase(r), lambda: f"{r.choice(w.ADJ)}, {r.randint(-10, 35)} degrees", lambda: f"{r.randint(-10, 35)} °C and {r.choice(w.ADJ)}", lambda: thing(r), lambda: date(r), lambda: person(r)])()
        return t, f"The result is: {t}."
    items = [filename(r) for _ in range(r.randint(1, 4))]
    return r.choice([json.dumps(items), "\n".join(items)]), "The result: " + ", ".join(items) + "."


# One form each: where several begin alike, the likeliest first word says nothing about what is likelier, a call or none.
NO_TOOL = "No tool is needed here."


def think(name, arguments):
    """Why this call: the tool, and the names of the arguments to be given."""
    return f"The user needs {name}. It takes {', '.join(arguments) or 'nothing'}."


RESULT = ["The tool answered. I report the result.", "I have the result of the tool."]


def call(name, arguments):
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


def conversation(r, size, thinking=0.45, most_turns=6, answered=0.6, strange=0.0):
    """Tools are offered; most turns need one, some none. Turns are added until about `size` tokens are used.

    answered: share of calls after which the result comes and the conversation goes on.
    """
    n = r.choice([1, 1, 1, 2, 2, 3, 3, 4, 5]) if size > 300 else r.choice([1, 1, 2])
    offered = draw_set(r, n)
    messages = []
    if r.random() < 0.2:
        messages.append({"role": "system", "content": r.choice(dialog.SYSTEMS)})
    room = size - 190 - n * 75
    think_at_end = r.random() < thinking
    turns = 0
    while turns == 0 or (room > 60 and turns < most_turns):
        turns += 1
        room -= 70
        if r.random() < 0.22:
            q, a = dialog.plain(r, offered)
            messages += [{"role": "user", "content": q}, {"role": "assistant", "content": a, "reasoning_content": NO_TOOL}]
            continue
        t = r.choice(offered)
        q, arguments = t.ask(r, strange)
        q = typed(r, q, arguments)
        calls = [call(t.name, arguments)]
        if r.random() < 0.02 and t.params:
            q2, more = t.ask(r, strange)
            q, calls = q.rstrip("?.") + r.choice([" and ", ". Also: ", "; then "]) + q2, calls + [call(t.name, more)]
        messages += [{"role": "user", "content": q}, {"role": "assistant", "content": "", "tool_calls": calls, "reasoning_content": think(t.name, arguments)}]
        if r.random() < answered:
            said = []
            for _ in calls:
                text, answer = result(r, t)
                messages.append({"role": "tool", "content": text})
                said.append(answer)
            messages.append({"role": "assistant", "content": " ".join(said), "reasoning_content": r.choice(RESULT)})
        else:
            break
    last_user = max(i for i, m in enumerate(messages) if m["role"] == "user")
    for i, m in enumerate(messages):
        if not (think_at_end and i > last_user):
            m.pop("reasoning_content", None)
    return {"tools": [t.schema for t in offered], "messages": messages}


def about(r, offered):
    """A question about the tools themselves, and its answer: what is where in the definitions."""
    t = r.choice(offered)
    f = t.schema["function"]
    keys = list(f["parameters"]["properties"])
    k = r.random()
    if k < 0.12:
        return r.choice(["Which tools do you have?", "what tools are there?", "list your tools", "names of all tools?", "which functions can you call?"]), ", ".join(x.name for x in offered)
    if k < 0.45:
        return r.choice(["Which arguments does {n} take?", "arguments of {n}?", "what does {n} need?", "parameters of {n}", "what do I have to give to {n}?"]).format(n=t.name), ", ".join(keys) or "none"
    if k < 0.6 and "description" in f:
        return r.choice(["What does {n} do?", "what is {n} for?", "explain the tool {n}", "{n}?"]).format(n=t.name), f["description"]
    if k < 0.75 and keys:
        key = r.choice(keys)
        if sum(key in x.schema["function"]["parameters"]["properties"] for x in offered) == 1:
            return r.choice(["Which tool has the argument {n}?", "who needs {n}?", "{n} belongs to which tool?"]).format(n=key), t.name
    text = r.choice([f.get("description", t.name), t.name.replace("_", " "), *t.requests_seen(r)])
    return r.choice(["Which tool is for this: {d}", "which tool would you use? {d}", "tool for: {d}", "name the tool: {d}"]).format(d=text), t.name


def once(r, size, thinking=0.4, strange=0.5, short=0.0, asked=0.1):
    """Several tools, each used once or twice, mostly for the first time: names of arguments must be looked up, not copied from above.

    Most results are left out ("open" calls), which leaves more room for calls; the last one ends with its stop token.
    """
    short = r.random() < short
    n = max(1, min(6, int((size - (20 if short else 150)) // 115)))
    n = r.randint(max(1, n - 1), n)
    offered = draw_set(r, n)
    messages = [{"role": "system", "content": r.choice(dialog.SYSTEMS)}] if r.random() < 0.15 else []
    order = r.sample(offered, r.randint(max(1, n - 1), n))
    if r.random() < 0.3:        # a second time: the tool has to be chosen again, its form can be seen above
        order += r.sample(offered, n)
    for t in order:
        while r.random() < asked:
            q, a = about(r, offered)
            messages += [{"role": "user", "content": q}, {"role": "assistant", "content": a}]
        while r.random() < 0.15:
            q, a = dialog.plain(r, offered)
            messages += [{"role": "user", "content": q}, {"role": "assistant", "content": a}]
        q, arguments = t.ask(r, strange)
        q = typed(r, q, arguments)
        messages += [{"role": "user", "content": q}, {"role": "assistant", "content": "", "tool_calls": [call(t.name, arguments)]}]
        if r.random() < 0.3:
            text, answer = result(r, t)
            messages += [{"role": "tool", "content": text}, {"role": "assistant", "content": answer}]
        else:
            messages[-1]["open"] = True
    if r.random() < 0.15:
        q, a = dialog.plain(r, offered)
        messages += [{"role": "user", "content": q}, {"role": "assistant", "content": a}]
    last = messages[-1]
    last.pop("open", None)
    if r.random() < thinking:
        last["reasoning_content"] = (think(order[-1].name, arguments) if last.get("tool_calls") else NO_TOOL
                                     if messages[-2]["role"] == "user" else r.choice(RESULT))
    return {"tools": [t.schema for t in offered], "messages": messages, "short": short}


def choose(r, size):
    """Many tools without parameters, in few words, and many requests: only the choice is to be learned."""
    n = r.randint(2, max(2, min(9, int(size // 60))))
    offered = draw_set(r, n)
    for t in offered:
        f = t.schema["function"]
        f["parameters"] = {"type": "object", "properties": {}}
        if r.random() < 0.3:
            f.pop("description", None)
    messages = [{"role": "system", "content": r.choice(dialog.SYSTEMS)}] if r.random() < 0.1 else []
    room = size - 35 * n
    while room > 0 or not messages or messages[-1]["role"] != "assistant":
        t = r.choice(offered)
        q = typed(r, *t.ask(r, 0.1))
        messages += [{"role": "user", "content": q}, {"role": "assistant", "content": "", "tool_calls": [call(t.name, {})], "open": True}]
        room -= 28
    messages[-1].pop("open")
    return {"tools": [t.schema for t in offered], "messages": messages, "short": r.random() < 0.6}


ANY_VALUE = {S: lambda r: r.choice([plain_word(r), plain_word(r), words_of(r, 2), words_of(r, 3), place(r), person(r), code(r), filename(r), date(r), time(r), email(r)]),
             I: integer, N: real, B: lambda r: r.random() < 0.5}
BINDS = ["{n} {v}", "{n} {v}", "{n}: {v}", "call {n} with {v}", "use {n} for {v}", "run {n} on {v}", "I want {n} with {v}", "{v} for {n}", "take {v} and {n} it", "please {n} {v}", "{n} should get {v}", "do {n}, {v}", "what is {n} of {v}?", "give {v} to {n}"]


def bind(r, size):
    """Tools with arbitrary names and keys, each asked for about once, by its name: which keys belong to it must be looked up.

    From bare definitions, where name and keys are close to each other, to complete ones."""
    full = r.choice([0, 0, 1, 1, 2, 2, 2, 2])
    n = r.randint(2, max(2, min(8, int(size // (55, 105, 135)[full]))))
    common = plain_word(r) if r.random() < 0.2 else None
    offered, used, names = [], [], set()
    while len(offered) < n:
        words_ = [plain_word(r) for _ in range(r.choice([1, 1, 2, 2]))]
        if common:
            words_.insert(r.randrange(2), common)
        name = "_".join(words_) if r.random() < 0.6 else spell(r, words_)
        if name in names:
            continue
        names.add(name)
        properties = {}
        for _ in range(r.choice([0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 4])):
            key = r.choice(used) if used and r.random() < 0.15 else r.choice(KEYS) if r.random() < 0.5 else plain_word(r) if r.random() < 0.7 else f"{plain_word(r)}_{plain_word(r)}"
            properties[key] = {"type": r.choice([S, S, S, S, I, I, N, B])}
            if full == 2 and r.random() < 0.6:
                properties[key]["description"] = cap(words_of(r, r.choice([1, 2, 3, 4, 6, 8])) + r.choice(["", "", ".", f", e.g. {words_of(r, 1)}"]))
        used += properties
        f = {"name": name}
        if full == 2 and r.random() < 0.8:
            f["description"] = cap(words_of(r, r.randint(1, 7)) + r.choice(["", "."]))
        f["parameters"] = {"type": "object", "properties": properties} if full else properties
        if full and r.random() < 0.8:
            f["parameters"]["required"] = list(properties)
        offered.append({"type": "function", "function": f} if full else f)
    messages = []
    order = r.sample(offered, n)
    for t in order + (r.sample(offered, 1) if r.random() < 0.3 else []):
        f = t.get("function", t)
        properties = f["parameters"]["properties"] if full else f["parameters"]
        name = f["name"]
        if r.random() < 0.12:
            messages += [{"role": "user", "content": r.choice(["keys of {n}?", "arguments of {n}", "what does {n} need?", "{n} takes what?"]).format(n=name)},
                         {"role": "assistant", "content": ", ".join(properties) or "none"}]
            continue
        arguments = {key: ANY_VALUE[x["type"]](r) for key, x in properties.items()}
        parts = [(f"{key}{r.choice([' ', '=', ': '])}" if r.random() < 0.12 else "") + (str(v).lower() if isinstance(v, bool) else str(v)) for key, v in arguments.items()]
        said_name = name if r.random() < 0.7 else name.replace("_", " ")
        q = r.choice(BINDS).format(n=said_name, v=r.choice([", ", " and ", ", ", " "] if not any(" " in x for x in parts) else [", ", " and "]).join(parts)) if parts else r.choice(["{n}", "call {n}", "{n} please", "do {n}", "use {n}"]).format(n=said_name)
        messages += [{"role": "user", "content": typed(r, q, arguments | {"": name})},
                     {"role": "assistant", "content": "", "tool_calls": [call(name, arguments)], "open": True}]
    last = messages[-1]
    last.pop("open", None)
    if last.get("tool_calls") and r.random() < 0.4:
        f = last["tool_calls"][0]["function"]
        last["reasoning_content"] = think(f["name"], f["arguments"])

    return {"tools": offered, "messages": messages, "short": r.random() < 0.6}


def first(r, offered, thinking, strange):
    """The first request of a conversation in which `offered` are at hand, and what follows it."""
    if r.random() < 0.06:
        q, a = dialog.plain(r, offered)
        messages = [{"role": "user", "content": q}, {"role": "assistant", "content": a, "reasoning_content": NO_TOOL}]
    else:
        t = r.choice(offered)
        q, arguments = t.ask(r, strange)
        messages = [{"role": "user", "content": typed(r, q, arguments)},
                    {"role": "assistant", "content": "", "tool_calls": [call(t.name, arguments)], "reasoning_content": think(t.name, arguments)}]
        if r.random() < 0.08:
            text, answer = result(r, t)
            messages += [{"role": "tool", "content": text}, {"role": "assistant", "content": answer, "reasoning_content": r.choice(RESULT)}]
    if not thinking:
        for m in messages:
            m.pop("reasoning_content", None)
    return messages


def beginning(r, size, usual=USUAL):
    """Some tools for a conversation of that size, and perhaps a system message."""
    n = r.choice([1, 2, 2, 3, 3, 4, 4, 5, 6])
    offered = draw_set(r, min(n, max(1, int(size - 150) // 130)), usual=usual)
    return offered, [{"role": "system", "content": r.choice(dialog.SYSTEMS)}] if r.random() < 0.2 else []


def single(r, size, thinking=0.6, strange=0.3):
    """Tools are offered and one request follows: what most conversations with tools begin with."""
    offered, messages = beginning(r, size)
    messages += first(r, offered, r.random() < thinking, strange)
    return {"tools": [t.schema for t in offered], "messages": messages, "short": r.random() < 0.3}


def forked(r, size, thinking=0.5, strange=0.3, usual=USUAL):
    """Tools are offered once, and many short conversations follow that know nothing of each other: every request is a first one."""
    offered, messages = beginning(r, size, usual)
    branches, room = [], size - 150 - 90 * len(offered)
    while room > 0 or not branches:
        thinks = r.random() < thinking
        room -= 45 + 20 * thinks
        branches.append(first(r, offered, thinks, strange))
    return {"tools": [t.schema for t in offered], "messages": messages, "branches": branches, "short": r.random() < 0.6}
