"""Scores the demo model on heldout/*.jsonl, directly or through a running server.

    python evaluate.py --model keyhole-demo.gguf [--sampled] [--thinking on|off|both] [--sets manual,recall_1000] [--limit N]
    python evaluate.py --url http://127.0.0.1:8080/v1 [--api-key KEY] ...        (needs nothing but Python's own library)

A line of a set is {"messages": [...], "tools": [...]?} or {"question": ...}, and what makes the reply right: "must" is a list of
groups, of each group one spelling must occur in the answer (letter case ignored); "must_not" may not occur; "call" is the one tool
call expected (name and arguments, numbers compared as numbers; strings exactly), null for none. With thinking on a reply counts
only if it has a non-empty thought, with thinking off only if it has none. --sampled: temperature 1.0, top-p 0.95, fixed seeds.
"""

import argparse
import json
import re
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
SETS = ["manual", "small", "recall_250", "recall_1000", "recall_4000", "tools", "tools_other", "no_tool", "tool_result"]


class Reply:
    """thought, content, calls [(name, {argument: value})], well_formed."""

    def __init__(self, thought, content, calls, well_formed=True):
        self.thought, self.content, self.calls, self.well_formed = thought, content, calls, well_formed


class Local:
    """The GGUF itself, through decode.py."""

    def __init__(self, path):
        import torch

        import chat
        import decode
        from vocab import Vocab
        self.torch, self.chat, self.vocab, self.decoder = torch, chat, Vocab(), decode.Decoder(path)
        self.stop = {self.vocab.special[t] for t in ("<|endoftext|>", "<|user|>", "<|observation|>")}

    def ask(self, messages, tools, thinking, sampled, seed):
        ids, _ = self.chat.encode({"messages": messages, "tools": tools}, self.vocab, thinking)
        generator = self.torch.Generator().manual_seed(seed)
        never = self.vocab.n_base + len(self.vocab.special)
        out = self.decoder.generate(ids, self.stop, temperature=float(sampled), generator=generator, never=never)
        return parse(self.vocab.decode(out), thinking, tools)


def parse(text, thinking, tools):
    """The reply's parts; the same rules as the program's own parser, only stricter."""
    thought = ""
    if thinking:
        thought, end, text = text.partition("</think>")
        if not end:
            return Reply(thought, "", [], False)
    calls = []
    types = {t["function"]["name"]: t["function"]["parameters"]["properties"] for t in tools or []}
    well_formed = True
    for name, body in re.findall(r"<tool_call>(.*?)((?:<arg_key>.*?)?)</tool_call>", text, re.S):
        arguments = {}
        for key, value in re.findall(r"<arg_key>(.*?)</arg_key><arg_value>(.*?)</arg_value>", body, re.S):
            if types.get(name, {}).get(key, {}).get("type") != "string":
                try:
                    value = json.loads(value)
                except ValueError:
                    well_formed = False
            arguments[key] = value
        calls.append((name, arguments))
    rest = re.sub(r"<tool_call>.*?</tool_call>", "", text, flags=re.S)
    return Reply(thought, rest.strip(), calls, well_formed and "<tool_call>" not in rest and "arg_" not in rest)


class Server:
    """keyhole serve, or anything that speaks the OpenAI API."""

    def __init__(self, url, key):
        self.url, self.key = url.rstrip("/"), key

    def ask(self, messages, tools, thinking, sampled, seed):
        wire = []
        for m in messages:
            m = dict(m)
            if m.get("tool_calls"):
                m["tool_calls"] = [{"id": f"call_{i}", "type": "function", "function": {"name": c["function"]["name"],
                                    "arguments": json.dumps(c["function"]["arguments"], ensure_ascii=False)}} for i, c in enumerate(m["tool_calls"])]
            if m["role"] == "tool":
                m.setdefault("tool_call_id", "call_0")
            wire.append(m)
        body = {"model": "keyhole-demo", "messages": wire, "max_tokens": 160, "temperature": 1.0 if sampled else 0.0, "top_p": 0.95,
                "seed": seed, "chat_template_kwargs": {"enable_thinking": thinking}}
        if tools:
            body["tools"] = tools
        headers = {"Content-Type": "application/json"}
        if self.key:
            headers["Authorization"] = "Bearer " + self.key
        request = urllib.request.Request(self.url + "/chat/completions", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=300) as response:
            message = json.load(response)["choices"][0]["message"]
        content, calls, well_formed = message.get("content") or "", [], True
        for c in message.get("tool_calls") or []:
            try:
                calls.append((c["function"]["name"], json.loads(c["function"]["arguments"] or "{}")))
            except ValueError:
                well_formed = False
        return Reply(message.get("reasoning_content") or "", content, calls, well_formed and "<tool_call>" not in content)


def same(a, b):
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return abs(a - b) < 1e-9
    return type(a) is type(b) and a == b


def right(item, reply, thinking):
    if bool(reply.thought.strip()) != thinking or not reply.well_formed:
        return False
    if "call" in item:
        if item["call"] is None and reply.calls:
            return False
        if item["call"] is not None:
            if len(reply.calls) != 1 or reply.calls[0][0] != item["call"]["name"]:
                return False
            wanted, got = item["call"]["arguments"], reply.calls[0][1]
            if set(wanted) != set(got) or not all(same(wanted[k], got[k]) for k in wanted):
                return False
    text = " ".join(reply.content.lower().split())
    if any(bad.lower() in text for bad in item.get("must_not", [])):
        return False
    return all(any(x.lower() in text for x in group) for group in item.get("must", []))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--model", type=Path, default=HERE / "keyhole-demo.gguf")
    ap.add_argument("--url")
    ap.add_argument("--api-key")
    ap.add_argument("--sets", default=",".join(SETS))
    ap.add_argument("--thinking", choices=["on", "off", "both"], default="both")
    ap.add_argument("--sampled", action="store_true")
    ap.add_argument("--limit", type=int)
    ap.add_argument("--show", type=int, default=0, help="print this many wrong replies per set")
    a = ap.parse_args()
    engine = Server(a.url, a.api_key) if a.url else Local(a.model)
    for name in a.sets.split(","):
        items = [json.loads(line) for line in (HERE / "heldout" / f"{name}.jsonl").read_text(encoding="utf-8").split("\n") if line]
        items = items[:a.limit]
        for thinking in {"on": [True], "off": [False], "both": [False, True]}[a.thinking]:
            began, good, shown = time.time(), 0, 0
            for i, item in enumerate(items):
                messages = item.get("messages") or [{"role": "user", "content": item["question"]}]
                reply = engine.ask(messages, item.get("tools"), thinking, a.sampled, 1000 + i)
                ok = right(item, reply, thinking)
                good += ok
                if not ok and shown < a.show:
                    shown += 1
                    print(f"   wrong: {messages[-1]['content'][-120:]!r} -> {reply.content!r} {reply.calls} thought {reply.thought!r}; wanted {item.get('must')} {item.get('call', '')}")
            print(f"{name:12s} thinking {'on ' if thinking else 'off'} {'sampled' if a.sampled else 'greedy '} {good}/{len(items)} = {100 * good / len(items):.1f} %"
                  f"   {time.time() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
