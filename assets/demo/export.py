"""Weights of train.py -> GGUF (architecture `deepseek2`, the dialect of GLM-4.7-Flash): python export.py OUT_DIR... FILE.gguf [--type f32]

Of several runs that began with the same weights the mean is written. Matrices become Q8_0; norms, router and router bias stay F32.
"""

import argparse
import struct
from pathlib import Path

import numpy as np
import torch

import decode
from model import Config
from vocab import Vocab

ARCH = "deepseek2"
U32, I32, F32, BOOL, STR, ARR = 4, 5, 6, 7, 8, 9
TYPE_F32, TYPE_Q8_0 = 0, 8
ALIGNMENT = 32
HERE = Path(__file__).parent
DESCRIPTION = ("A demo: a tiny network in the architecture of GLM-4.7-Flash, trained from scratch so that Keyhole can be tried without a "
               "download. It knows Keyhole's short manual, reads facts back from the text before it, and makes simple tool calls; nothing "
               "else. For the real model download a GLM-4.7-Flash GGUF and start `keyhole MODEL.gguf`, or choose the file in the window.")


def q8_0(a):
    """Rows of float32 -> bytes: blocks of 32 weights, a half-precision scale and 32 signed bytes."""
    b = np.ascontiguousarray(a, np.float32).reshape(-1, 32)
    d = np.abs(b).max(1, keepdims=True) / 127
    q = np.rint(b / np.where(d == 0, 1, d)).astype(np.int8)
    return np.concatenate([d.astype(np.float16).view(np.uint8), q.view(np.uint8)], 1).tobytes()


def _string(s):
    data = s.encode()
    return struct.pack("<Q", len(data)) + data


class Writer:
    def __init__(self):
        self.keys, self.tensors = [], []

    def key(self, name, kind, value, element=None):
        if kind == ARR:
            body = struct.pack("<IQ", element, len(value))
            body += b"".join(map(_string, value)) if element == STR else np.asarray(value, "<i4").tobytes()
        elif kind == STR:
            body = _string(value)
        else:
            body = struct.pack({U32: "<I", F32: "<f", BOOL: "<?"}[kind], value)
        self.keys.append(_string(name) + struct.pack("<I", kind) + body)

    def tensor(self, name, array, quantise):
        """array in row-major order, rows last; quantise only if a row is whole blocks."""
        array = array.detach().float().numpy()
        quantise = quantise and array.ndim > 1
        assert not quantise or array.shape[-1] % 32 == 0, name
        data = q8_0(array) if quantise else np.ascontiguousarray(array, "<f4").tobytes()
        self.tensors.append((name, array.shape, TYPE_Q8_0 if quantise else TYPE_F32, data))

    def write(self, path):
        head = [b"GGUF", struct.pack("<IQQ", 3, len(self.tensors), len(self.keys)), *self.keys]
        offset = 0
        for name, shape, kind, data in self.tensors:
            head.append(_string(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *reversed(shape))
                        + struct.pack("<IQ", kind, offset))
            offset += len(data) + -len(data) % ALIGNMENT
        head = b"".join(head)
        with open(path, "wb") as f:
            f.write(head + bytes(-len(head) % ALIGNMENT))
            for *_, data in self.tensors:
                f.write(data + bytes(-len(data) % ALIGNMENT))


def names(c):
    """(name in the state_dict, name in the file, whether it is a matrix to quantise), in the order of the file."""
    yield from (("embedding", "token_embd.weight", True), ("norm", "output_norm.weight", False), ("head", "output.weight", True))
    for i in range(c.n_layer):
        s, p = f"blocks.{i}.", f"blk.{i}."
        yield s + "attn_norm", p + "attn_norm.weight", False
        for ours, theirs in (("q_a", "attn_q_a"), ("q_a_norm", "attn_q_a_norm"), ("q_b", "attn_q_b"), ("kv_a", "attn_kv_a_mqa"),
                             ("kv_a_norm", "attn_kv_a_norm"), ("k_b", "attn_k_b"), ("v_b", "attn_v_b"), ("out", "attn_output")):
            yield f"{s}attn.{ours}", f"{p}{theirs}.weight", not ours.endswith("norm")
        yield s + "ffn_norm", p + "ffn_norm.weight", False
        if i < c.n_dense:
            yield from ((f"{s}ffn.{name}", f"{p}ffn_{name}.weight", True) for name in ("gate", "up", "down"))
            continue
        yield s + "ffn.router", p + "ffn_gate_inp.weight", False
        yield s + "ffn.bias", p + "exp_probs_b.bias", False
        yield from ((f"{s}ffn.{name}", f"{p}ffn_{name}_exps.weight", True) for name in ("gate", "up", "down"))
        yield from ((f"{s}ffn.shared.{name}", f"{p}ffn_{name}_shexp.weight", True) for name in ("gate", "up", "down"))


def restore(path, c):
    """The state_dict of a file that export() wrote, as exactly as its types allow."""
    tensors = decode.read_gguf(path)[1]
    return {ours: tensors[theirs] for ours, theirs, _ in names(c)}


def export(state, path, c, quantised=True):
    """state: the model's state_dict."""
    vocab = Vocab()
    w = Writer()
    w.key("general.architecture", STR, ARCH)
    w.key("general.type", STR, "model")
    w.key("general.name", STR, "Keyhole demo")
    w.key("general.description", STR, DESCRIPTION)
    w.key("general.license", STR, "mit")
    w.key("general.size_label", STR, f"{c.n_expert}x{sum(p.numel() for n, p in state.items() if not n.endswith('load')) / 1e6:.1f}M")
    w.key("general.quantization_version", U32, 2)
    w.key("general.file_type", U32, 7 if quantised else 0)
    for name, value in {
            "block_count": c.n_layer, "context_length": c.context, "embedding_length": c.hidden, "feed_forward_length": c.ff_dense,
            "attention.head_count": c.n_head, "attention.head_count_kv": 1, "attention.q_lora_rank": c.q_lora,
            "attention.kv_lora_rank": c.kv_lora, "attention.key_length": c.kv_lora + c.rope, "attention.value_length": c.kv_lora,
            "attention.key_length_mla": c.nope + c.rope, "attention.value_length_mla": c.v_dim, "rope.dimension_count": c.rope,
            "leading_dense_block_count": c.n_dense, "expert_count": c.n_expert, "expert_used_count": c.n_expert_used,
            "expert_shared_count": 1, "expert_feed_forward_length": c.ff_expert, "expert_group_count": 1,
            "expert_group_used_count": 1, "expert_gating_func": 2, "vocab_size": c.vocab}.items():
        w.key(f"{ARCH}.{name}", U32, value)
    w.key(f"{ARCH}.rope.freq_base", F32, c.rope_base)
    w.key(f"{ARCH}.attention.layer_norm_rms_epsilon", F32, c.eps)
    w.key(f"{ARCH}.expert_weights_scale", F32, c.routed_scale)
    w.key(f"{ARCH}.expert_weights_norm", BOOL, True)
    w.key("tokenizer.ggml.model", STR, "gpt2")
    w.key("tokenizer.ggml.pre", STR, "glm4")
    w.key("tokenizer.ggml.tokens", ARR, vocab.tokens, STR)
    w.key("tokenizer.ggml.token_type", ARR, vocab.types, I32)
    w.key("tokenizer.ggml.merges", ARR, [f"{a} {b}" for a, b in vocab.merges], STR)
    for key, token in {"eos": "<|endoftext|>", "padding": "<|endoftext|>", "bos": "[gMASK]", "eot": "<|user|>",
                       "unknown": "<|endoftext|>", "eom": "<|observation|>"}.items():
        w.key(f"tokenizer.ggml.{key}_token_id", U32, vocab.special[token])
    w.key("tokenizer.chat_template", STR, (HERE / "chat_template.jinja").read_text(encoding="utf-8"))

    for ours, theirs, matrix in names(c):
        w.tensor(theirs, state[ours], quantised and matrix)
    w.write(path)


if __name__ == "__main__":
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("runs", type=Path, nargs="+", help="folders with weights-0.pt and weights-1.pt")
    ap.add_argument("out", type=Path)
    ap.add_argument("--type", choices=["q8_0", "f32"], default="q8_0")
    a = ap.parse_args()
    state = {}
    for run in a.runs:
        for part in sorted(run.glob("weights-*.pt")):
            for name, x in torch.load(part, map_location="cpu").items():
                state[name] = state.get(name, 0) + x.float() / len(a.runs)
    export(state, a.out, Config(), a.type == "q8_0")
    print(f"{a.out}: {a.out.stat().st_size / 1e6:.2f} MB")
