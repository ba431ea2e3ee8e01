"""Conversations as token ids: the same bytes as GLM-4.7-Flash's chat template, plus a mask of what is to be learned.

A conversation is {"tools": [...] or absent, "messages": [...]} with OpenAI's fields; tool call arguments are objects.
For training, "short" leaves out the template's words around the tools; an assistant message may say "given" (nothing of it is learned) or "open" (its stop token is not learned).
Only the template's own markers become special tokens; text of messages, tools and results is always plain.
"""

import json
import re

TOOLS_HEAD = """
# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
"""
TOOLS_TAIL = """</tools>

For each function call, output the function name and arguments within the following XML format:
<tool_call>{function-name}<arg_key>{arg-key-1}</arg_key><arg_value>{arg-value-1}</arg_value><arg_key>{arg-key-2}</arg_key><arg_value>{arg-value-2}</arg_value>...</tool_call>"""
MARKER = re.compile(r"(</?tool_call>|</?arg_key>|</?arg_value>)")


def _json(value):
    return json.dumps(value, ensure_ascii=False)


def head(conversation):
    """What precedes the messages: list of (text, is_special, learned)."""
    out = [("[gMASK]", True, False), ("<sop>", True, False)]

    def add(text, special=False, learned=False):
        if text:
            out.append((text, special, learned))

    if conversation.get("tools"):
        add("<|system|>", True)
        short = conversation.get("short")
        add(("" if short else TOOLS_HEAD) + "".join(_json(t) + "\n" for t in conversation["tools"]))
        # The tail names the call's tags; inside the template's own text they are special tokens.
        for part in MARKER.split("" if short else TOOLS_TAIL):
            add(part, bool(MARKER.fullmatch(part)))
    return out


def turns(messages, thinking=None):
    """The messages, as head() lists its pieces. With thinking True or False a generation prompt ends the list."""
    out = []

    def add(text, special=False, learned=False):
        if text:
            out.append((text, special, learned))

    last_user = max((i for i, m in enumerate(messages) if m["role"] == "user"), default=-1)
    for i, m in enumerate(messages):
        role, content = m["role"], m.get("content") or ""
        if role == "user":
            add("<|user|>", True)
            add(content)
        elif role == "system":
            add("<|system|>", True)
            add(content)
        elif role == "tool":
            if i == 0 or messages[i - 1]["role"] != "tool":
                add("<|observation|>", True)
            add("<tool_response>", True)
            add(content)
            add("</tool_response>", True)
        else:
            learned = not m.get("given")
            add("<|assistant|>", True)
            reasoning = (m.get("reasoning_content") or "").strip() if i > last_user else ""
            if reasoning:
                add("<think>", True)
                add(reasoning, False, learned)
            add("</think>", True, learned and bool(reasoning))
            add(content.strip(), False, learned)
            for call in m.get("tool_calls") or []:
                f = call.get("function", call)
                add("<tool_call>", True, learned)
                add(f["name"], False, learned)
                for key, value in f["arguments"].items():
                    add("<arg_key>", True, learned)
                    add(key, False, learned)
                    add("</arg_key>", True, learned)
                    add("<arg_value>", True, learned)
                    add(value if isinstance(value, str) else _json(value), False, learned)
                    add("</arg_value>", True, learned)
                add("</tool_call>", True, learned)
            follows = messages[i + 1]["role"] if i + 1 < len(messages) else None
            if follows is None and thinking is None:
                add("<|observation|>" if m.get("tool_calls") else "<|user|>", True, learned)
            elif follows in ("user", "tool") and learned and not m.get("open"):
                out.append(("", False, True))       # the next role token is this turn's stop token: learn it
    if thinking is not None:
        add("<|assistant|>", True)
        add("<think>" if thinking else "</think>", True)
    return out


def encode(conversation, vocab, thinking=None):
    """(ids, mask): mask[i] is 1 where token i is to be predicted."""
    return encode_pieces(head(conversation) + turns(conversation["messages"], thinking), vocab)


def encode_pieces(pieces, vocab):
    ids, mask, pending = [], [], 0
    for text, special, learned in pieces:
        if special:
            ids.append(vocab.special[text])
            mask.append(1 if learned or pending else 0)
            pending = 0
        elif text:
            new = vocab.encode(text)
            ids += new
            mask += [int(learned)] * len(new)
        else:
            pending = 1
    return ids, mask
