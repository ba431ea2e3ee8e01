"""Writes chat_cases.txt: seeded conversations and the prompts that jinja2 makes of them with the model's own template.

    python3 chat_cases.py

Fields of a case: "thinking clear generate" (0 or 1 each); number of tools, each tool's JSON; number of messages, for each:
role, content (lists flattened as the template's visible_text does), 0 or 1 and reasoning, number of calls (name, number of
arguments, key and value of each), -1 or the number of responses, each response; last the prompt, in which every token
that the template itself writes stands between U+E100 and U+E101.
"""

import json
import random
import re

from jinja2 import Environment

from fields import write_fields

OPEN, CLOSE = "\ue100", "\ue101"
MARKERS = ["[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>", "<think>", "</think>", "<tool_call>",
           "</tool_call>", "<tool_response>", "</tool_response>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"]
SPECIAL = MARKERS + ["<|endoftext|>", "/nothink", "<eop>", "[MASK]", "<|begin_of_box|>", "<|image|>"]


def environment():
    env = Environment(trim_blocks=True, lstrip_blocks=True)
    env.filters["tojson"] = lambda value, ensure_ascii=False: json.dumps(value, ensure_ascii=ensure_ascii)
    return env


def marked(template):
    """The template with its own tokens marked where it writes them, not where it looks for them."""
    lines = []
    for line in template.split("\n"):
        if "content.split(" not in line and "in content %}" not in line:
            line = re.sub("|".join(map(re.escape, MARKERS)), lambda m: OPEN + m.group() + CLOSE, line)
        lines.append(line)
    return "\n".join(lines)


SOURCE = open("chat_template.jinja", newline="").read()
PLAIN, MARKED = (environment().from_string(t) for t in (SOURCE, marked(SOURCE)))

WORDS = ["hello", "What is", "the weather", "in Tōkyō?", "日本語", "naïve", "\U0001f642", "\U0001f468\u200d\U0001f469", "привет", "code: `x < y && z`", "{\"a\": 1}",
         "line\nline", "\n", "\n\n", " ", "  ", "\t", "\u3000", "\u00a0", "\x1c", "\x1f", "\u0085", "\u2028", "\u200b", "\ufeff", "\r\n", "'s", "12345", "</tools>", "<tools>",
         "&lt;", "\"quoted\"", "\\n", "None", "e\u0301", "end."]
EDGES = ["", "", "", " ", "\n", "\n\n", "\t ", "\u3000", "\x1d\n", "\u00a0", "\u200b"]


def text(rng, most=6):
    if rng.random() < 0.08:
        return rng.choice(["", " ", "\n", "\u3000\n ", "\x1f"])
    parts = [rng.choice(WORDS) if rng.random() < 0.85 else rng.choice(SPECIAL) for _ in range(rng.randint(1, most))]
    return rng.choice(EDGES) + rng.choice([" ", "", "\n"]).join(parts) + rng.choice(EDGES)


def content(rng):
    if rng.random() < 0.75:
        return text(rng)
    items = []
    for _ in range(rng.randint(0, 4)):
        items.append(rng.choice([
            {"type": "text", "text": text(rng, 3)}, {"type": "text", "text": text(rng, 3)}, text(rng, 2),
            {"type": "image_url", "image_url": {"url": "data:,"}}]))
    return items


def visible(value):
    if isinstance(value, str):
        return value
    return "".join(i if isinstance(i, str) else i["text"] if i["type"] == "text" else "" for i in value)


def value(rng):
    return rng.choice([
        lambda: text(rng, 3), lambda: text(rng, 1), lambda: "", lambda: rng.randint(-5, 10**12), lambda: rng.random() * 1e-5, lambda: 2.0,
        lambda: True, lambda: None, lambda: [1, "é", None], lambda: {"k": text(rng, 1), "n": [True, {}]}, lambda: [], lambda: {}])()


def thought_inside(rng):
    body = [text(rng, 3) for _ in range(4)]
    return rng.choice([
        "<think>{0}</think>{1}", "<think>\n{0}\n</think>\n\n{1}", "{0}</think>{1}", "</think>{1}", "<think></think>{1}", "<think>\n\n</think>\n{1}",
        "{2}<think>{0}</think>{1}", "<think>{0}<think>{2}</think>{1}", "<think>{0}</think>{1}</think>{2}", "<think>{0}</think>{1}<think>{2}</think>\n{3}",
        "<think>{0}", "{0}<think>{1}", "<think>\n \n{0}\n \n</think>\n \n{1}", "<think> </think>{1}", "<think>{0}\n</think>"]).format(*body)


def assistant(rng):
    message = {"role": "assistant", "content": content(rng) if rng.random() < 0.6 else thought_inside(rng)}
    if rng.random() < 0.4:
        message["reasoning_content"] = rng.choice([text(rng), " ", "", "\n", "a </think> b <think> c"])
    elif rng.random() < 0.2:
        message["reasoning_content"] = None
    if rng.random() < 0.35:
        calls = []
        for _ in range(rng.randint(0, 3)):
            function = {"name": rng.choice(["get_weather", "f", "a.b-c", "名前"]),
                        "arguments": {rng.choice(["city", "n", "o", "путь", "a b", "x" * i]): value(rng) for i in range(rng.randint(0, 4))}}
            calls.append(rng.choice([{"id": "call_1", "type": "function", "function": function}, function]))
        message["tool_calls"] = calls
    return message


def tool(rng):
    if rng.random() < 0.7:
        return {"role": "tool", "content": text(rng), "tool_call_id": "call_1"}
    items = [{"output": text(rng, 3)} if rng.random() < 0.5 else text(rng, 3) for _ in range(rng.randint(0, 3))]
    return {"role": "tool", "content": items}


def conversation(rng):
    messages = []
    style = rng.random()
    if style < 0.55:                          # as people talk
        if rng.random() < 0.5:
            messages.append({"role": "system", "content": content(rng)})
        for _ in range(rng.randint(1, 3)):
            messages.append({"role": "user", "content": content(rng)})
            if rng.random() < 0.8:
                messages.append(assistant(rng))
                while messages[-1].get("tool_calls") and rng.random() < 0.9:
                    messages += [tool(rng) for _ in range(rng.randint(1, 3))]
                    messages.append(assistant(rng))
        if rng.random() < 0.5:
            messages.append({"role": "user", "content": content(rng)})
    elif style < 0.97:                        # in any order
        for _ in range(rng.randint(1, 6)):
            role = rng.choice(["system", "user", "assistant", "assistant", "tool", "tool"])
            messages.append({"assistant": assistant, "tool": tool}.get(
                role, lambda r: {"role": role, "content": content(r)})(rng))
    return messages


def tools(rng):
    out = []
    for _ in range(rng.randint(1, 2)):
        function = {"name": rng.choice(["get_weather", "f"]), "description": text(rng, 2),
                    "parameters": {"type": "object", "properties": {"city": {"type": "string", "enum": ["é", "<&>'\""]}, "n": {"default": 1.0}}}}
        out.append(rng.choice([{"type": "function", "function": function}, function]))
    return out


def fields_of(messages):
    out = [len(messages)]
    for m in messages:
        is_list = m["role"] == "tool" and not isinstance(m["content"], str)
        out += [m["role"], "" if is_list else visible(m["content"])]
        reasoning = m.get("reasoning_content")
        out += [int(reasoning is not None), reasoning or ""]
        calls = [c.get("function", c) for c in m.get("tool_calls", [])]
        out.append(len(calls))
        for call in calls:
            out += [call["name"], len(call["arguments"])]
            for k, v in call["arguments"].items():
                out += [k, v if isinstance(v, str) else json.dumps(v, ensure_ascii=False)]
        out.append(len(m["content"]) if is_list else -1)
        out += [i["output"] if isinstance(i, dict) else i for i in m["content"]] if is_list else []
    return out


def main():
    rng = random.Random(22)
    fields = []
    for _ in range(500):
        messages = conversation(rng)
        declared = tools(rng) if rng.random() < 0.2 else []
        thinking, clear, generate = rng.random() < 0.7, rng.random() < 0.6, rng.random() < 0.9
        variables = {"messages": messages, "tools": declared, "add_generation_prompt": generate}
        if not thinking or rng.random() < 0.3:        # left out means true
            variables["enable_thinking"] = thinking
        if not clear or rng.random() < 0.3:
            variables["clear_thinking"] = clear
        prompt = MARKED.render(**variables)
        assert prompt.replace(OPEN, "").replace(CLOSE, "") == PLAIN.render(**variables)
        fields.append(f"{int(thinking)} {int(clear)} {int(generate)}")
        fields += [len(declared)] + [json.dumps(t, ensure_ascii=False) for t in declared]
        fields += fields_of(messages) + [prompt]
    write_fields("chat_cases.txt", fields)


main()
