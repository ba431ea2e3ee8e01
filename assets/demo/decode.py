"""Runs a GGUF of export.py one sequence at a time, with a cache of latent rows, in float32: what evaluate.py uses when no server
is given. Own reader, own forward pass in absorbed form; independent of the training code."""

import struct

import numpy as np
import torch
import torch.nn.functional as F

SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}


def read_gguf(path):
    """(metadata, {name: float32 tensor}); types F32 and Q8_0."""
    data = open(path, "rb").read()
    position = 4

    def take(fmt):
        nonlocal position
        value = struct.unpack_from(fmt, data, position)[0]
        position += struct.calcsize(fmt)
        return value

    def string():
        nonlocal position
        n = take("<Q")
        position += n
        return data[position - n:position].decode()

    def value(kind):
        if kind == 8:
            return string()
        if kind == 9:
            element = take("<I")
            return [value(element) for _ in range(take("<Q"))]
        return take(SCALARS[kind])

    assert data[:4] == b"GGUF" and take("<I") == 3
    n_tensors, n_keys = take("<Q"), take("<Q")
    meta = {}
    for _ in range(n_keys):
        name = string()
        meta[name] = value(take("<I"))
    infos = []
    for _ in range(n_tensors):
        name = string()
        dims = [take("<Q") for _ in range(take("<I"))]
        infos.append((name, dims[::-1], take("<I"), take("<Q")))
    start = position + -position % 32
    tensors = {}
    for name, shape, kind, offset in infos:
        n = int(np.prod(shape))
        if kind == 0:
            a = np.frombuffer(data, "<f4", n, start + offset)
        else:
            assert kind == 8, kind
            b = np.frombuffer(data, np.uint8, n // 32 * 34, start + offset).reshape(-1, 34)
            a = b[:, 2:].view(np.int8) * b[:, :2].copy().view(np.float16).astype(np.float32)
        tensors[name] = torch.from_numpy(np.array(a, np.float32).reshape(shape))
    return meta, tensors


class Decoder:
    def __init__(self, path):
        self.meta, self.t = read_gguf(path)
        m = {k.removeprefix("deepseek2."): v for k, v in self.meta.items()}
        self.n_layer, self.n_dense, self.n_head = m["block_count"], m["leading_dense_block_count"], m["attention.head_count"]
        self.latent, self.rope, self.eps = m["attention.kv_lora_rank"], m["rope.dimension_count"], m["attention.layer_norm_rms_epsilon"]
        self.scale, self.used, self.routed = m["attention.key_length_mla"] ** -0.5, m["expert_used_count"], m["expert_weights_scale"]
        self.frequency = m["rope.freq_base"] ** (-torch.arange(0, self.rope, 2, dtype=torch.float64) / self.rope)

    def norm(self, x, name):
        return F.rms_norm(x, x.shape[-1:], self.t[name], self.eps)

    def rotate(self, x, cos, sin):
        a, b = x[..., 0::2], x[..., 1::2]
        return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)

    def glu(self, x, p, suffix, e=None):
        gate, up, down = (self.t[f"{p}ffn_{n}{suffix}.weight"] for n in ("gate", "up", "down"))
        if e is not None:
            gate, up, down = gate[e], up[e], down[e]
        return (F.silu(x @ gate.T) * (x @ up.T)) @ down.T

    @torch.no_grad()
    def forward(self, ids, cache):
        """Logits after the last id; cache is a list (one row tensor per layer, or empty) and is extended."""
        x = self.t["token_embd.weight"][torch.tensor(ids)]
        past = cache[0].shape[0] if cache else 0
        n = len(ids)
        angle = torch.arange(past, past + n, dtype=torch.float64)[:, None] * self.frequency
        cos, sin = angle.cos().float(), angle.sin().float()
        mask = torch.full((n, past + n), -torch.inf).triu(past + 1) if n > 1 else 0
        for i in range(self.n_layer):
            p = f"blk.{i}."
            w = lambda name: self.t[p + name + ".weight"]
            h = self.norm(x, p + "attn_norm.weight")
            q = (self.norm(h @ w("attn_q_a").T, p + "attn_q_a_norm.weight") @ w("attn_q_b").T).view(n, self.n_head, -1)
            q = torch.cat([torch.einsum("thn,hln->thl", q[..., :-self.rope], w("attn_k_b")),
                           self.rotate(q[..., -self.rope:], cos[:, None], sin[:, None])], -1)
            kv = h @ w("attn_kv_a_mqa").T
            row = torch.cat([self.norm(kv[:, :self.latent], p + "attn_kv_a_norm.weight"), self.rotate(kv[:, self.latent:], cos, sin)], -1)
            if len(cache) == i:
                cache.append(row)
            else:
                cache[i] = torch.cat([cache[i], row])
            scores = torch.einsum("thk,sk->hts", q, cache[i]) * self.scale + mask
            mixed = torch.softmax(scores, -1) @ cache[i][:, :self.latent]
            heads = torch.einsum("htl,hvl->thv", mixed, w("attn_v_b")).reshape(n, -1)
            x = x + heads @ w("attn_output").T
            h = self.norm(x, p + "ffn_norm.weight")
            if i < self.n_dense:
                x = x + self.glu(h, p, "")
                continue
            s = torch.sigmoid(h @ w("ffn_gate_inp").T)
            chosen = (s + self.t[p + "exp_probs_b.bias"]).topk(self.used, dim=-1).indices
            weight = s.gather(1, chosen)
            weight = weight / weight.sum(1, keepdim=True) * self.routed
            out = self.glu(h, p, "_shexp")
            for e in chosen.unique().tolist():
                t, k = (chosen == e).nonzero(as_tuple=True)
                out[t] += weight[t, k, None] * self.glu(h[t], p, "_exps", e)
            x = x + out
        return self.norm(x[-1], "output_norm.weight") @ self.t["output.weight"].T

    def generate(self, ids, stop, limit=160, temperature=0.0, top_p=0.95, generator=None, never=None):
        """Token ids after the prompt, without the stop token."""
        cache, out = [], []
        logits = self.forward(ids, cache)
        while len(out) < limit:
            if never is not None:
                logits[never:] = -torch.inf
            if temperature == 0:
                token = int(logits.argmax())
            else:
                p, order = torch.softmax(logits / temperature, -1).sort(descending=True)
                p[(p.cumsum(0) - p) > top_p] = 0
                token = int(order[torch.multinomial(p / p.sum(), 1, generator=generator)])
            if token in stop:
                break
            out.append(token)
            logits = self.forward([token], cache)
        return out
