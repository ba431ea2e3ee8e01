"""Fails if a question to train on equals a held-out one (letters and digits compared), in any reading of its pattern.

Requests to tools have values, mostly from open sets, and are compared two ways: those of situations.txt and everyday.txt must not have the
wording of a held-out one, whatever the values; of the older ones it says how many of the held-out requests share a wording with them.

    python heldout/check.py
"""

import itertools
import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import dialog
import families
import toolkit


def plain(text):
    return re.sub(r"[^a-z0-9]", "", text.lower())


def readings(pattern):
    """All readings of a pattern of questions.txt; the same brackets as in dialog.expand."""
    parts = re.split(r"\[([^\[\]]*)\]", pattern.replace("/v1/", "\1v1\2").replace("[/", "[\1"))
    choices = [part.split("/") if i % 2 else [part] for i, part in enumerate(parts)]
    return ("".join(x).replace("\1", "/").replace("\2", "/") for x in itertools.product(*choices))


def wording(request):
    """A hand-written request with any values; None if next to nothing of it is fixed."""
    parts = [plain(p) for p in re.split(r"{\d}", request)]
    return re.compile(".+".join(parts) + "$") if sum(map(len, parts)) >= 8 else None


def check_tools():
    """True if a request of situations.txt or everyday.txt has a held-out wording."""
    new, old = ([w for f in group for w in map(wording, f[3]) if w] for group in (
        toolkit.SITUATIONS + toolkit.EVERYDAY, families.FAMILIES + toolkit.TOOLKIT))
    found = False
    for name in ("tools", "tools_other"):
        lines = (HERE / f"{name}.jsonl").read_text(encoding="utf-8").split("\n")
        asked = [plain(json.loads(line)["messages"][-1]["content"]) for line in lines if line]
        counts = [sum(any(w.match(q) for w in group) for q in asked) for group in (new, old)]
        print(f"{name}: {len(asked)} requests, wordings of {counts[0]} are in situations.txt or everyday.txt, of {counts[1]} in toolkit.txt or families.py")
        found |= counts[0] > 0
    return found


def main():
    held = {}
    for name in ("manual", "small", "no_tool"):
        for line in (HERE / f"{name}.jsonl").read_text(encoding="utf-8").split("\n"):
            if line:
                item = json.loads(line)
                text = item.get("question") or item["messages"][-1]["content"]
                held[plain(text)] = f"{name}: {text}"
    trained = [q for t in dialog.TOPICS for p in t.questions for q in readings(p)]
    trained += [f.replace("{}", p) for t in dialog.TOPICS for kind, p in t.phrases for f in dialog.FRAMES[kind]]
    trained += [q for _, asks in dialog.SMALL for q in asks.split("|")] + dialog.ASK
    same = sorted({held[plain(q)] for q in trained if plain(q) in held})
    print(f"{len(trained)} questions to train on, {len(held)} held out, {len(same)} the same")
    for line in same:
        print("  " + line)
    return 1 if check_tools() or same else 0


if __name__ == "__main__":
    sys.exit(main())
