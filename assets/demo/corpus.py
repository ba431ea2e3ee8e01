"""Training batches: a mixture of tasks at chosen lengths, and the text from which the vocabulary was learned."""

import random
from pathlib import Path

import numpy as np

import chat
import dialog
import recall
import tools
import words


def vocabulary_text(r):
    """Texts for learning the merges: the manual, the template, every word of the lists, and generated documents."""
    manual = Path(__file__).with_name("manual.md").read_text(encoding="utf-8")
    for _ in range(20):
        yield manual
        yield chat.TOOLS_HEAD + chat.TOOLS_TAIL
        yield ('{"type": "function", "function": {"name": "get_", "description": "Get the", "parameters": {"type": "object", '
               '"properties": {"a": {"type": "string", "description": "The name of the city, e.g. "}, "b": {"type": "integer"}, '
               '"c": {"type": "number"}, "d": {"type": "boolean"}}, "required": ["a"]}}}\n')
    lists = [v for v in vars(words).values() if isinstance(v, list) and v and " " not in v[0]]
    for i in range(40):
        for words_ in lists:
            yield " ".join(r.sample(words_, len(words_)))
            if i % 4 == 0:
                yield " ".join(x.capitalize() for x in words_)
                yield "\n".join(words_)

    class NoVocab:
        encode = staticmethod(str.split)
    for _ in range(150):
        for m in recall.conversation(r, NoVocab, 150)["messages"]:
            yield m["content"]


TASKS = {
    "recall": lambda r, v, size: recall.conversation(r, v, size),
    "repeat": lambda r, v, size: recall.repeat(r, v, size),
    "manual": lambda r, v, size: dialog.conversation(r, v, size if r.random() < 0.8 else r.randint(30, size)),
    "manual_more": lambda r, v, size: dialog.conversation(r, v, size if r.random() < 0.6 else r.randint(30, size), 0.3, True),
    "tools": lambda r, v, size: tools.conversation(r, size),
    "tools_dense": lambda r, v, size: tools.conversation(r, size * r.choice([0.5, 1.3, 1.3, 1.3]), 0.45, 9, 0.85),
    "tools_strange": lambda r, v, size: tools.conversation(r, size * r.choice([0.5, 1.3, 1.3, 1.3]), 0.4, 9, 0.85, 0.5),
    "tools_once": lambda r, v, size: tools.once(r, size),
    "among": lambda r, v, size: recall.among(r, v, size),
}


def row(r, vocab, task, size):
    """One conversation of at most `size` tokens: ids and mask. Draws again when one comes out too long."""
    want = size
    while True:
        ids, mask = chat.encode(TASKS[task](r, vocab, int(want)), vocab)
        if len(ids) <= size + 1:
            return ids, mask
        want *= 0.9


def batch(seed, vocab, tasks, size, n_tokens, lead=1.0, marked=1.0):
    """tokens, targets (B, T) int64 and weights (B, T) float32 of about n_tokens tokens, rows of at most `size`.

    tasks: {name: share}. lead: weight of the first four tokens of what the assistant says, where the decisions are; all
    others have 1. marked: weight of what follows a special token (names, keys and values of calls). Everything follows from
    the seed.
    """
    r = random.Random(seed)
    names, shares = list(tasks), list(tasks.values())
    rows = [row(r, vocab, r.choices(names, shares)[0], size) for _ in range(max(1, n_tokens // size))]
    width = max(len(ids) for ids, _ in rows) - 1
    tokens = np.zeros((len(rows), width), np.int64)
    targets, weights = np.zeros_like(tokens), np.zeros(tokens.shape, np.float32)
    for i, (ids, mask) in enumerate(rows):
        n = len(ids) - 1
        tokens[i, :n], targets[i, :n], weights[i, :n] = ids[:-1], ids[1:], mask[1:]
        if lead != 1 or marked != 1:
            run = 0
            for t in range(n):
                run = run + 1 if mask[t + 1] else 0
                if 1 <= run <= 4:
                    weights[i, t] = lead
                elif run and ids[t] >= vocab.n_base:
                    weights[i, t] = marked
    return tokens, targets, weights
