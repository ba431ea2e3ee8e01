"""Writes vocabulary.txt and tokenizer_cases.txt from the reference oracle (vocab.py, golden/tokenizer_cases.json).

    python3 tokenizer_cases.py REFERENCE_FOLDER

vocabulary.txt: fields "type token" for each of its 384 tokens, an empty field, then the merges.
tokenizer_cases.txt: three fields a case: text; ids with special tokens recognised; ids with none recognised.
The ids of the oracle's cases are llama.cpp's, and the second implementation below must give the same, with one
difference on purpose: with special tokens off, llama.cpp still recognises user-defined ones and Keyhole none. More
texts, seeded, get their ids from the second implementation alone.
"""

import json
import random
import sys
from pathlib import Path

import regex

from fields import write_fields
from split_cases import RULE, SPICE

reference = Path(sys.argv[1])
sys.path.insert(0, str(reference))
import vocab  # noqa: E402

V = vocab.build_vocab(384)
SYMBOL = vocab.byte_symbols()
RANK = {tuple(m.split(" ")): i for i, m in reversed(list(enumerate(V.merges)))}
SPECIAL = [t for t, kind in zip(V.tokens, V.types) if kind in (vocab.CONTROL, vocab.USER_DEFINED)]
USER_DEFINED = [t for t, kind in zip(V.tokens, V.types) if kind == vocab.USER_DEFINED]


def bpe(piece):
    parts = [SYMBOL[b] for b in piece.encode()]
    while True:
        pairs = [(RANK[p], i) for i, p in enumerate(zip(parts, parts[1:])) if p in RANK]
        if not pairs:
            return [V.ids[p] for p in parts]
        _, i = min(pairs)
        parts[i:i + 2] = [parts[i] + parts[i + 1]]


def plain(text):
    return [i for match in RULE.finditer(text) for i in bpe(match.group())]


def encode(text, special):
    if not special:
        return plain(text)
    pattern = "|".join(regex.escape(t) for t in sorted(special, key=len, reverse=True))
    ids = []
    for n, part in enumerate(regex.split(f"({pattern})", text)):
        ids += [V.ids[part]] if n % 2 else plain(part)
    return ids


def main():
    fields = []
    texts = []
    for case in json.loads((reference / "golden" / "tokenizer_cases.json").read_text()):
        assert encode(case["text"], SPECIAL) == case["ids"], case["text"]
        assert encode(case["text"], USER_DEFINED) == case["ids_plain"], case["text"]
        texts.append(case["text"])
    rng = random.Random(21)
    words = vocab.CORPUS.split() + SPICE + SPECIAL + [" ", " ", "\n", "  ", "345", "999", "'t", "n't"]
    for _ in range(400):
        texts.append("".join(rng.choices(words, k=rng.randint(1, 25))))
    for word in ("the", "er", "  ", "\n", "!", "12345", "ééé", "ん", ".", "thethere"):
        texts.append(word * 97)              # pieces above the length where the merge algorithm changes
    for text in texts:
        fields += [text, " ".join(map(str, encode(text, SPECIAL))), " ".join(map(str, plain(text)))]
    write_fields("tokenizer_cases.txt", fields)
    tokens = [f"{kind} {token}" for token, kind in zip(V.tokens, V.types)]
    write_fields("vocabulary.txt", tokens + [""] + V.merges)


main()
