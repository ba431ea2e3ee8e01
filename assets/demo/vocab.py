"""The vocabulary: byte-level BPE with GLM's pre-tokenizer, GLM's special tokens and id layout.

Ids: 256 bytes | merges | 36 special tokens | 24 padding rows. The merges are in merges.txt beside this file; `python
vocab.py` learns them anew from the generators' text. No merge joins digits, so that a number is copied digit by digit.
"""

import random
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

SIZE = 3072
MERGES = Path(__file__).with_name("merges.txt")
NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5      # tokenizer.ggml.token_type
N_PADDING = 24

SPECIAL = [(t, CONTROL) for t in (
    "<|endoftext|>", "[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>", "<|system|>", "<|user|>", "<|assistant|>",
    "<|observation|>", "<|begin_of_image|>", "<|end_of_image|>", "<|begin_of_video|>", "<|end_of_video|>",
    "<|begin_of_audio|>", "<|end_of_audio|>", "<|begin_of_transcription|>", "<|end_of_transcription|>",
    "<|code_prefix|>", "<|code_middle|>", "<|code_suffix|>")]
SPECIAL += [(t, USER_DEFINED) for t in (
    "<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<arg_key>",
    "</arg_key>", "<arg_value>", "</arg_value>")]
SPECIAL += [("/nothink", CONTROL)]
SPECIAL += [(t, USER_DEFINED) for t in ("<|begin_of_box|>", "<|end_of_box|>", "<|image|>", "<|video|>")]

SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")


def byte_symbols():
    """The 256 printable characters that stand for bytes, in byte order of GPT-2's alphabet."""
    keep = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [b for b in range(256) if b not in keep]
    return [chr(b) for b in keep] + [chr(256 + i) for i in range(len(rest))]


def _pipeline(tokenizer):
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


class Vocab:
    """encode(text) takes plain text only; special tokens are added by id (`special["<think>"]`)."""

    def __init__(self):
        self.merges = [tuple(line.split(" ")) for line in MERGES.read_text(encoding="utf-8").split("\n") if line]
        self.tokens = byte_symbols() + [a + b for a, b in self.merges]
        self.n_base = len(self.tokens)
        assert self.n_base == SIZE - len(SPECIAL) - N_PADDING, self.n_base
        self.special = {t: self.n_base + i for i, (t, _) in enumerate(SPECIAL)}
        self.types = [NORMAL] * self.n_base + [kind for _, kind in SPECIAL] + [UNUSED] * N_PADDING
        ids = {t: i for i, t in enumerate(self.tokens)}
        self.tokens += [t for t, _ in SPECIAL]
        self.tokens += [f"[PAD{i}]" for i in range(len(self.tokens), SIZE)]
        self._bpe = _pipeline(Tokenizer(models.BPE(ids, self.merges)))
        self._names = {i: t for t, i in self.special.items()}

    def encode(self, text):
        return self._bpe.encode(text, add_special_tokens=False).ids

    def decode(self, ids):
        """Text of ids; special tokens appear by name."""
        out, run = [], []
        for i in ids:
            if i < self.n_base:
                run.append(i)
                continue
            out += [self._bpe.decode(run), self._names.get(i, "")]
            run = []
        return "".join(out + [self._bpe.decode(run)])


def learn(texts, size=SIZE):
    """Learn the merges from an iterator of texts and write merges.txt."""
    import json
    tokenizer = _pipeline(Tokenizer(models.BPE()))
    trainer = trainers.BpeTrainer(vocab_size=size - len(SPECIAL) - N_PADDING, initial_alphabet=byte_symbols(),
                                  min_frequency=1, show_progress=False)
    no_digits = str.maketrans("0123456789", " " * 10)
    tokenizer.train_from_iterator((t.translate(no_digits) for t in texts), trainer)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    MERGES.write_text("".join(f"{a} {b}\n" for a, b in merges), encoding="utf-8")


if __name__ == "__main__":
    import corpus
    learn(corpus.vocabulary_text(random.Random(1)))
