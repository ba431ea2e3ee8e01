"""Training batches: a mixture of tasks at chosen lengths, and the text from which the vocabulary was learned."""

import math
import random
from pathlib import Path

import numpy as np

import chat
import dialog
import recall
import sessions
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


def echo(r, vocab, size):
    """Random pieces of text said two or three times: ids and mask, everything after the first time is learned."""
    ids, mask = [], []
    while len(ids) < size:
        n = r.choice([3, 6, 12, 25, 50])
        k = r.random()
        if k < 0.5:
            piece = [r.randrange(vocab.n_base) for _ in range(n)]
        elif k < 0.75:
            piece = vocab.encode(" ".join(recall.pseudo(r) for _ in range(n // 3 + 1)))
        else:
            piece = vocab.encode(" ".join(r.choice(words.NOUN + words.VERB + words.OBJECT + words.FIRST) for _ in range(n)))
        gap = [r.randrange(vocab.n_base) for _ in range(r.choice([0, 0, 3, 20]))]
        for i in range(r.choice([2, 2, 3])):
            ids += piece + gap
            mask += [0] * 2 + [int(i > 0)] * (len(piece) - 2) + [0] * len(gap) if len(piece) > 2 else [0] * (len(piece) + len(gap))
    return ids[:size], mask[:size]


# name: shortest and longest conversation in tokens, and the generator
TASKS = {
    "echo": (60, 250, echo),
    "recall": (60, 260, lambda r, v, size: recall.conversation(r, v, size)),
    "repeat": (60, 200, lambda r, v, size: recall.repeat(r, v, size)),
    "among": (60, 300, lambda r, v, size: recall.among(r, v, size)),
    "long": (300, 1300, lambda r, v, size: recall.among(r, v, size) if r.random() < 0.7 else recall.conversation(r, v, size)),
    "longest": (1300, 5000, lambda r, v, size: recall.among(r, v, size)),
    "once": (320, 950, lambda r, v, size: sessions.once(r, size, 0.6, 0.2)),
    "brief": (220, 800, lambda r, v, size: sessions.once(r, size, 0.5, 0.2, 0.5, 0.3)),
    "bind": (200, 800, lambda r, v, size: sessions.bind(r, size)),
    "choose": (150, 600, lambda r, v, size: sessions.choose(r, size)),
    "calls": (350, 900, lambda r, v, size: sessions.conversation(r, size, 0.5, 9, 0.85, 0.3)),
    "single": (250, 950, lambda r, v, size: sessions.single(r, size)),
    "forked": (550, 1350, lambda r, v, size: sessions.forked(r, size)),
    "usual": (550, 1350, lambda r, v, size: sessions.forked(r, size, thinking=0.6, usual=0.8)),
    "manual": (50, 180, lambda r, v, size: dialog.conversation(r, v, size)),
}


def positions(starts, branch):
    """Of every token in its conversation; a branch (attention.Forked) goes on from the end of the common beginning."""
    n = len(branch)
    new = np.zeros(n, bool)
    new[starts[:-1]] = True
    cuts = np.flatnonzero(new | (np.diff(branch, prepend=branch[:1]) != 0))
    heads = np.add.reduceat(branch == 0, starts[:-1], dtype=np.int64)
    begin = np.where(branch[cuts] > 0, heads[np.searchsorted(starts, cuts, "right") - 1], 0)
    return np.arange(n) - np.repeat(cuts - begin, np.diff(np.append(cuts, n)))


def batch(seed, vocab, tasks, n_tokens, lead=1.0, marked=1.0):
    """One step's tokens, targets, weights, the starts of its conversations, which lie end to end, and branches (attention.Forked); exactly n_tokens.

    tasks: {name: share of the tokens}. lead: weight of the first four tokens of what the assistant says, where the decisions are;
    marked: weight of what follows a special token (names, keys and values of calls); all others have 1. All follows from the seed.
    """
    r = random.Random(seed)
    tokens, targets, weights, starts, branch = [], [], [], [], []

    def put(ids, mask, task, number):
        nonlocal tokens, targets
        tokens += ids[:-1]
        targets += ids[1:]
        branch.extend([number] * (len(ids) - 1))
        run = 0
        for t, learned in enumerate(mask[1:]):
            run = run + 1 if learned else 0
            weights.append(lead if 1 <= run <= 4 and lead != 1 and task != "echo" else marked if run and ids[t] >= vocab.n_base else float(run > 0))

    # Shares are of tokens: long conversations are drawn less often than short ones.
    drawn = {task: share / (TASKS[task][1] - TASKS[task][0]) * math.log(TASKS[task][1] / TASKS[task][0]) for task, share in tasks.items()}
    while len(tokens) < n_tokens:
        room = n_tokens - len(tokens)
        task = r.choices(list(drawn), list(drawn.values()))[0]
        low, high, make = TASKS[task]
        made = make(r, vocab, min(int(low * (high / low) ** r.random()), max(room, 48)))
        starts.append(len(tokens))
        if isinstance(made, tuple):
            put(*made, task, 0)
            continue
        if "branches" not in made:
            put(*chat.encode(made, vocab), task, 0)
            continue
        ids, mask = chat.encode_pieces(chat.head(made) + chat.turns(made["messages"]), vocab)
        put(ids + [0], mask + [0], task, 0)
        for number, messages in enumerate(made["branches"], 1):
            put(*chat.encode_pieces(chat.turns(messages), vocab), task, number)
    return (np.array(tokens[:n_tokens], np.int64), np.array(targets[:n_tokens], np.int64), np.array(weights[:n_tokens], np.float32),
            np.array(starts + [n_tokens], np.int64), np.array(branch[:n_tokens], np.int64))
