"""The network, as PyTorch code for training: GLM-4.7-Flash's architecture (MLA + mixture of experts) at toy size.

Formulas, letters and tensor shapes follow the GGUF file that export.py writes, so exporting is a copy. T tokens,
D hidden, H heads, L latent, N / R per-head query and key size without / with rotary part, V per-head value,
E experts, K experts used. Weights are float32; products run in bfloat16, norms, router and softmax input in float32.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass(frozen=True)
class Config:
    """Hyper-parameters; names as in the GGUF keys where there is one."""
    vocab: int = 3072
    n_layer: int = 4
    n_dense: int = 1
    hidden: int = 256
    n_head: int = 5
    q_lora: int = 128
    kv_lora: int = 128
    nope: int = 64
    rope: int = 32
    v_dim: int = 64
    ff_dense: int = 768
    ff_expert: int = 128
    n_expert: int = 8
    n_expert_used: int = 2
    routed_scale: float = 1.8
    rope_base: float = 10000.0
    eps: float = 1e-5
    context: int = 8192


ATTENTION_CHUNK = 128       # queries per product: skips most of the masked half of the scores


def _matrix(*shape, gain=1.0):
    return nn.Parameter(torch.randn(*shape) * gain * shape[-1] ** -0.5)


# Element-wise chains, compiled: fused they cost a third of what single operations do.

@torch.compile(dynamic=True)
def norm(x, weight, eps):
    """RMS norm over the last axis, in float32; result bfloat16."""
    x = x.float()
    return (x * torch.rsqrt((x * x).mean(-1, keepdim=True) + eps) * weight).to(torch.bfloat16)


@torch.compile(dynamic=True)
def swish(gate, up):
    return F.silu(gate) * up


@torch.compile(dynamic=True)
def rotate(x, cos, sin):
    """Rotary position on interleaved pairs of the last axis; cos and sin are (T, R/2)."""
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)


class Attention(nn.Module):
    """MLA in its expanded form; k_b and v_b are kept in the layout of the absorbed form, (H, L, N) and (H, V, L)."""

    def __init__(self, c):
        super().__init__()
        self.c = c
        self.q_a = _matrix(c.q_lora, c.hidden)
        self.q_a_norm = nn.Parameter(torch.ones(c.q_lora))
        self.q_b = _matrix(c.n_head * (c.nope + c.rope), c.q_lora)
        self.kv_a = _matrix(c.kv_lora + c.rope, c.hidden)
        self.kv_a_norm = nn.Parameter(torch.ones(c.kv_lora))
        self.k_b = nn.Parameter(torch.randn(c.n_head, c.kv_lora, c.nope) * c.kv_lora ** -0.5)
        self.v_b = _matrix(c.n_head, c.v_dim, c.kv_lora)
        self.out = _matrix(c.hidden, c.n_head * c.v_dim, gain=0.2)

    def forward(self, h, cos, sin):
        """h (B, T, D) bfloat16, normed -> (B, T, D)."""
        c = self.c
        b, t, _ = h.shape
        bf = torch.bfloat16
        q = norm(h @ self.q_a.to(bf).T, self.q_a_norm, c.eps) @ self.q_b.to(bf).T
        q = q.view(b, t, c.n_head, c.nope + c.rope).transpose(1, 2)
        kv = h @ self.kv_a.to(bf).T
        latent = norm(kv[..., :c.kv_lora], self.kv_a_norm, c.eps)
        k_b = self.k_b.to(bf).transpose(0, 1).reshape(c.kv_lora, -1)               # (L, H*N)
        v_b = self.v_b.to(bf).reshape(-1, c.kv_lora)                               # (H*V, L)
        k = (latent @ k_b).view(b, t, c.n_head, c.nope).transpose(1, 2)
        v = (latent @ v_b.T).view(b, t, c.n_head, c.v_dim).transpose(1, 2).contiguous()
        k_pe = rotate(kv[..., c.kv_lora:], cos, sin)[:, None].expand(b, c.n_head, t, c.rope)
        scale = (c.nope + c.rope) ** -0.5
        q = torch.cat([q[..., :c.nope], rotate(q[..., c.nope:], cos, sin)], -1) * scale
        k = torch.cat([k, k_pe], -1).transpose(-1, -2).contiguous()
        heads = []
        size = ATTENTION_CHUNK if t <= 1024 else 2 * ATTENTION_CHUNK
        for s in range(0, t, size):
            e = min(s + size, t)
            scores = q[:, :, s:e] @ k[..., :e]
            scores = scores + torch.full((e - s, e), -1e9, dtype=bf).triu(s + 1)
            heads.append(torch.softmax(scores, -1) @ v[:, :, :e])
        heads = torch.cat(heads, 2).transpose(1, 2).reshape(b, t, -1)
        return heads @ self.out.to(bf).T


def glu(x, gate, up, down):
    return swish(x @ gate.T, x @ up.T) @ down.T


class Dense(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.gate, self.up = _matrix(c.ff_dense, c.hidden), _matrix(c.ff_dense, c.hidden)
        self.down = _matrix(c.hidden, c.ff_dense, gain=0.2)

    def forward(self, h):
        bf = torch.bfloat16
        return glu(h, self.gate.to(bf), self.up.to(bf), self.down.to(bf))


class Experts(nn.Module):
    """K of E experts by sigmoid score + bias, weighted by the score alone (normalised, times routed_scale), plus
    one shared expert. The bias has no gradient: `balance` moves it against the load of the last batches."""

    def __init__(self, c):
        super().__init__()
        self.c = c
        self.router = _matrix(c.n_expert, c.hidden)
        self.register_buffer("bias", torch.zeros(c.n_expert))
        self.register_buffer("load", torch.zeros(c.n_expert))
        self.gate, self.up = _matrix(c.n_expert, c.ff_expert, c.hidden), _matrix(c.n_expert, c.ff_expert, c.hidden)
        self.down = _matrix(c.n_expert, c.hidden, c.ff_expert, gain=0.2)
        self.shared_gate, self.shared_up = _matrix(c.ff_expert, c.hidden), _matrix(c.ff_expert, c.hidden)
        self.shared_down = _matrix(c.hidden, c.ff_expert, gain=0.2)

    def forward(self, h):
        c = self.c
        bf = torch.bfloat16
        shape = h.shape
        h = h.reshape(-1, c.hidden)
        scores = torch.sigmoid(h.float() @ self.router.T)
        chosen = (scores.detach() + self.bias).topk(c.n_expert_used, dim=-1).indices
        weights = scores.gather(1, chosen)
        weights = (weights / weights.sum(1, keepdim=True).clamp_min(2.0 ** -14) * c.routed_scale).to(bf)
        out = glu(h, self.shared_gate.to(bf), self.shared_up.to(bf), self.shared_down.to(bf))
        gate, up, down = self.gate.to(bf), self.up.to(bf), self.down.to(bf)
        flat = chosen.flatten()
        order = flat.argsort(stable=True)
        counts = torch.bincount(flat, minlength=c.n_expert)
        token = order // c.n_expert_used
        rows = h[token]
        parts = [glu(x, gate[e], up[e], down[e]) for e, x in enumerate(rows.split(counts.tolist()))]
        mixed = torch.cat(parts) * weights.flatten()[order][:, None]
        if self.training:
            self.load += counts
        return out.index_add(0, token, mixed).view(shape)

    def balance(self, rate):
        self.bias += rate * torch.sign(self.load.mean() - self.load)
        self.bias -= self.bias.mean()
        self.load.zero_()


class Block(nn.Module):
    def __init__(self, c, index):
        super().__init__()
        self.c = c
        self.attn_norm = nn.Parameter(torch.ones(c.hidden))
        self.attn = Attention(c)
        self.ffn_norm = nn.Parameter(torch.ones(c.hidden))
        self.ffn = Dense(c) if index < c.n_dense else Experts(c)

    def forward(self, x, cos, sin):
        x = x + self.attn(norm(x, self.attn_norm, self.c.eps), cos, sin)
        return x + self.ffn(norm(x, self.ffn_norm, self.c.eps))


class Model(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.embedding = nn.Parameter(torch.randn(c.vocab, c.hidden) * 0.5)
        self.blocks = nn.ModuleList(Block(c, i) for i in range(c.n_layer))
        self.norm = nn.Parameter(torch.ones(c.hidden))
        self.head = nn.Parameter(torch.zeros(c.vocab, c.hidden))
        self._look_back()

    @torch.no_grad()
    def _look_back(self):
        """Start some heads of the first two layers as heads that look 1, 2 or 3 tokens back.

        Copying needs such heads, and finding them costs a from-scratch model most of its first steps. Channel 0 of
        every embedding starts as the same constant; from it the rotary parts of query and key get a fixed direction,
        so that the score is a sum of cos(f * (distance - back)), largest at the wanted distance.
        """
        c = self.c
        self.embedding[:, 0] = 2.0
        f = c.rope_base ** (-torch.arange(0, c.rope, 2) / c.rope)[:6]
        for layer, distances in ((0, (1, 2, 3)), (1, (1,))):
            a = self.blocks[layer].attn
            a.kv_a[c.kv_lora:] *= 0.3
            a.kv_a[c.kv_lora:c.kv_lora + 12:2, 0] = 1.0
            a.q_a[0] = 0
            a.q_a[0, 0] = 3.0
            q_b = a.q_b.view(c.n_head, c.nope + c.rope, c.q_lora)
            for head, back in enumerate(distances):
                q_b[head] *= 0.3
                q_b[head, c.nope:c.nope + 12:2, 0] = 2.0 * torch.cos(-f * back)
                q_b[head, c.nope + 1:c.nope + 13:2, 0] = 2.0 * torch.sin(-f * back)

    def hidden_states(self, tokens):
        """tokens (B, T) -> (B, T, D), after the last norm."""
        c = self.c
        t = tokens.shape[1]
        f = c.rope_base ** (-torch.arange(0, c.rope, 2, dtype=torch.float64) / c.rope)
        angle = torch.arange(t, dtype=torch.float64)[:, None] * f
        cos, sin = angle.cos().to(torch.bfloat16), angle.sin().to(torch.bfloat16)
        x = F.embedding(tokens, self.embedding)
        for block in self.blocks:
            x = block(x, cos, sin)
        return norm(x, self.norm, c.eps)

    def loss(self, tokens, targets, weights):
        """Mean cross-entropy over the positions whose weight is not zero; also the share of exact argmax hits."""
        x = self.hidden_states(tokens)
        where = weights > 0
        w = weights[where]
        logits = (x[where] @ self.head.to(torch.bfloat16).T).float()
        wanted = targets[where]
        loss = (F.cross_entropy(logits, wanted, reduction="none") * w).sum() / w.sum()
        return loss, (logits.argmax(-1) == wanted).float().mean()
