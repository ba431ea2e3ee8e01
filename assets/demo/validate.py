"""How well calls to tools are made that nobody trained on: the H lines of situations.txt, and tools put together anew.

    python validate.py WEIGHTS_DIR|FILE.gguf [--show N]

A reply counts as right when the model's first choice is right at every token of it, which is what greedy decoding gives. The names and
types of a call are not enforced here, as the server does: it says less than evaluate.py, but costs a single forward pass. train.py
calls it now and then and keeps the best weights.
"""

import argparse
import random
from pathlib import Path

import numpy as np
import torch

import attention
import chat
import corpus
import sessions
import toolkit
from asking import typed
from model import Config, Model, Parts, norm
from tools import Composed, Written, draw
from vocab import Vocab


def questions(r, per_request=1, composed=70):
    """(tools offered, request, name, arguments) with tools from the held lines, then with composed ones."""
    for family in toolkit.HELD:
        for i in range(len(family[3]) * per_request):
            t = Written(r, family)
            t.bare = 0.0
            t.requests, t.stated = [family[3][i // per_request]], [t.stated[i // per_request]]
            q, arguments = t.ask(r, 0.3)
            yield t, q if r.random() < 0.5 else typed(r, q, arguments), arguments
    for _ in range(composed):
        t = Composed(r, strange=0.4)
        q, arguments = t.ask(r, 0.3)
        yield t, typed(r, q, arguments), arguments


def conversations(seed=5):
    """Each has a branch without a thought, and one with it."""
    r = random.Random(seed)
    out = []
    for t, q, arguments in questions(r):
        others = [x for x in (Written(r, r.choice(toolkit.HELD)) if r.random() < 0.3 else draw(r) for _ in range(r.choice([0, 1, 2, 3]))) if x.name != t.name]
        others = [x for x in others if not isinstance(t, Written) or getattr(x, "requests", None) != t.requests]
        offered = r.sample([t, *others], len(others) + 1)
        asked = {"role": "user", "content": q}
        made = {"role": "assistant", "content": "", "tool_calls": [sessions.call(t.name, arguments)]}
        thoughts = [None, sessions.think(t.name, arguments)]
        out.append({"tools": [x.schema for x in offered], "messages": [], "branches": [[asked, made | ({"reasoning_content": s} if s else {})] for s in thoughts],
                    "held": isinstance(t, Written)})
    return out


@torch.no_grad()
def validate(model, vocab, show=0, every=1):
    """{"off", "on", "composed off", "composed on"}: shares of right replies of the held tools and of the others."""
    hits = {}
    asked = conversations()[::every]
    before = model.attend
    for c in asked:
        ids, mask = chat.encode_pieces(chat.head(c), vocab)
        tokens, targets, learned, branch = list(ids), [0] * len(ids), [0] * len(ids), [0] * len(ids)
        for number, messages in enumerate(c["branches"], 1):
            ids, mask = chat.encode_pieces(chat.turns(messages), vocab)
            tokens, targets, learned, branch = tokens + ids[:-1], targets + ids[1:], learned + mask[1:], branch + [number] * (len(ids) - 1)
        starts, branch = np.array([0, len(tokens)]), np.array(branch)
        model.attend = attention.Forked(torch.from_numpy(branch), torch.from_numpy(starts))
        x = model.hidden(torch.tensor(tokens), torch.from_numpy(corpus.positions(starts, branch)), torch.from_numpy(starts), len(tokens))
        where = np.flatnonzero(learned)
        best = (norm(x[where], model.norm, model.c.eps).float() @ model.head.T).argmax(-1).numpy()
        wrong = set(branch[where[best != np.array(targets)[where]]].tolist())
        kind = "" if c["held"] else "composed "
        hits.setdefault(kind + "off", []).append(1 not in wrong)
        hits.setdefault(kind + "on", []).append(2 not in wrong)
        if show > 0 and 1 in wrong:
            show -= 1
            bad = [(vocab.decode([targets[i]]), vocab.decode([int(b)])) for i, b in zip(where, best) if branch[i] == 1 and b != targets[i]]
            print(c["branches"][0][0]["content"], "|", c["branches"][0][1]["tool_calls"][0]["function"], "|", [t["function"]["name"] for t in c["tools"]], "| wanted, got:", bad)
    model.attend = before
    return {k: sum(v) / len(v) for k, v in hits.items()}


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("weights", type=Path)
    ap.add_argument("--show", type=int, default=0)
    a = ap.parse_args()
    import train
    torch.set_num_threads(1)
    trainer = train.Trainer(Model(Config()), torch.device("cpu"))
    trainer.load(a.weights)
    trainer.model.parts = Parts(False, gathered=True)
    for k, v in validate(trainer.model, Vocab(), a.show).items():
        print(f"{k:14s} {100 * v:.1f} %")


if __name__ == "__main__":
    main()
