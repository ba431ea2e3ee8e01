"""The network, as PyTorch code for training: GLM-4.7-Flash's architecture (MLA + mixture of experts) at toy size.

Formulas, letters and tensor shapes follow the GGUF file that export.py writes, so exporting is a copy. T tokens (conversations
laid end to end, none sees another), D hidden, H heads, L latent, N / R per-head query and key size without / with rotary part,
V per-head value, E experts, K experts used, F expert width. Weights and the residual stream are float32; products run in bfloat16
on a GPU and in float32 on a CPU, where bfloat16 is nine times slower (Zen 3).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

import attention


@dataclass(frozen=True)
class Config:
    """Hyper-parameters; names as in the GGUF keys where there is one."""
    vocab: int = 3072
    n_layer: int = 8
    n_dense: int = 1
    hidden: int = 256
    n_head: int = 5
    q_lora: int = 128
    kv_lora: int = 192
    nope: int = 64
    rope: int = 32
    v_dim: int = 64
    ff_dense: int = 768
    ff_expert: int = 96
    n_expert: int = 8
    n_expert_used: int = 2
    routed_scale: float = 1.8
    rope_base: float = 10000.0
    eps: float = 1e-5
    context: int = 8192


BF = torch.bfloat16 if torch.cuda.is_available() else torch.float32


def _matrix(*shape, gain=1.0):
    return nn.Parameter(torch.randn(*shape) * gain * shape[-1] ** -0.5)


# The four pieces between which attention runs. They take tensors and numbers only, so that each is compiled once for all layers.

def norm(x, weight, eps):
    """RMS norm over the last axis, in float32; the result is of the products' type."""
    x = x.float()
    return (x * torch.rsqrt((x * x).mean(-1, keepdim=True) + eps) * weight).to(BF)


def queries_keys_values(x, cos, sin, attn_norm, q_a, q_a_norm, q_b, kv_a, kv_a_norm, k_b, v_b, eps):
    """MLA in its expanded form; k_b (H, L, N) and v_b (H, V, L) are kept in the layout of the absorbed form."""
    t, heads, latent_size, nope = x.shape[0], *k_b.shape
    rope = 2 * cos.shape[1]
    h = norm(x, attn_norm, eps)
    q, latent, k_pe = (h @ torch.cat([q_a, kv_a]).to(BF).T).split([q_a.shape[0], latent_size, rope], -1)
    q = (norm(q, q_a_norm, eps) @ q_b.to(BF).T).view(t, heads, nope + rope)
    latent = norm(latent, kv_a_norm, eps)
    k = (latent @ k_b.to(BF).transpose(0, 1).reshape(latent_size, -1)).view(t, heads, nope)
    v = (latent @ v_b.to(BF).reshape(-1, latent_size).T).view(t, heads, -1)
    k_pe = attention.rotate(k_pe[:, None], cos, sin).expand(-1, heads, -1)
    q = torch.cat([q[..., :nope], attention.rotate(q[..., nope:], cos, sin)], -1)
    return q.contiguous(), torch.cat([k, k_pe], -1).contiguous(), v.contiguous()


def swiglu(h, gate, up, down):
    both = h @ torch.cat([gate, up]).to(BF).T
    g, u = both.float().chunk(2, -1)
    return (F.silu(g) * u).to(BF) @ down.to(BF).T


def dense(x, heads, out, ffn_norm, gate, up, down, eps):
    x = x + heads.flatten(1) @ out.to(BF).T
    return x + swiglu(norm(x, ffn_norm, eps), gate, up, down)


def experts(x, heads, out, ffn_norm, router, bias, gate, up, down, shared_gate, shared_up, shared_down, used, scale, eps):
    """K of E experts by sigmoid score + bias, weighted by the score alone (normalised, times scale), plus one shared expert.

    All experts are computed and most of them weighted with zero: at this size that is faster than gathering rows. Also returns
    how many tokens chose each."""
    x = x + heads.flatten(1) @ out.to(BF).T
    h = norm(x, ffn_norm, eps)
    scores = torch.sigmoid(h.float() @ router.T)
    ranked = scores.detach() + bias
    chosen = ((ranked[:, None, :] > ranked[:, :, None]).sum(-1) < used).float()
    weights = scores * chosen
    weights = weights / weights.sum(1, keepdim=True).clamp_min(2.0 ** -14) * scale
    both = h @ torch.cat([gate.flatten(0, 1), up.flatten(0, 1)]).to(BF).T
    g, u = both.float().chunk(2, -1)
    mid = (F.silu(g) * u).view(-1, gate.shape[0], gate.shape[1]) * weights[..., None]
    routed = mid.flatten(1).to(BF) @ down.to(BF).transpose(0, 1).flatten(1).T
    return x + routed + swiglu(h, shared_gate, shared_up, shared_down), chosen.sum(0)


def experts_gathered(x, heads, out, ffn_norm, router, bias, gate, up, down, shared_gate, shared_up, shared_down, used, scale, eps):
    """As experts, but each expert computes only the tokens that chose it: on the CPU that is faster."""
    x = x + heads.flatten(1) @ out.to(BF).T
    h = norm(x, ffn_norm, eps)
    scores = torch.sigmoid(h.float() @ router.T)
    chosen = (scores.detach() + bias).topk(used, -1).indices
    weights = scores.gather(1, chosen)
    weights = weights / weights.sum(1, keepdim=True).clamp_min(2.0 ** -14) * scale
    order = chosen.flatten().argsort(stable=True)
    load = chosen.flatten().bincount(minlength=gate.shape[0])
    token, parts = order // used, load.tolist()
    both = torch.cat([rows @ w.T for rows, w in zip(h[token].split(parts), torch.cat([gate, up], 1).to(BF).unbind())])
    g, u = both.float().chunk(2, -1)
    mid = (F.silu(g) * u * weights.flatten()[order][:, None]).to(BF)
    routed = torch.cat([rows @ w.T for rows, w in zip(mid.split(parts), down.to(BF).unbind())])
    return x.index_add(0, token, routed.float()) + swiglu(h, shared_gate, shared_up, shared_down), load.float()


def loss(x, last_norm, head, where, wanted, weights, eps):
    """Weighted mean cross-entropy at the positions `where`, and the share of exact hits among those whose weight is not zero."""
    logits = (norm(x[where], last_norm, eps) @ head.to(BF).T).float()
    each = F.cross_entropy(logits, wanted, reduction="none")
    counted = (weights > 0).float()
    hits = (logits.detach().argmax(-1) == wanted).float() * counted
    return (each * weights).sum() / weights.sum(), hits.sum() / counted.sum()


class Parts:
    """The pieces above, compiled or as they are; gathered: experts_gathered in the place of experts."""

    def __init__(self, compiled, gathered=False):
        wrap = (lambda f: torch.compile(f, dynamic=False)) if compiled else (lambda f: f)
        self.compiled = compiled
        self.queries_keys_values, self.dense, self.experts, self.loss = map(wrap, (queries_keys_values, dense, experts_gathered if gathered else experts, loss))


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.q_a = _matrix(c.q_lora, c.hidden)
        self.q_a_norm = nn.Parameter(torch.ones(c.q_lora))
        self.q_b = _matrix(c.n_head * (c.nope + c.rope), c.q_lora)
        self.kv_a = _matrix(c.kv_lora + c.rope, c.hidden)
        self.kv_a_norm = nn.Parameter(torch.ones(c.kv_lora))
        self.k_b = nn.Parameter(torch.randn(c.n_head, c.kv_lora, c.nope) * c.kv_lora ** -0.5)
        self.v_b = _matrix(c.n_head, c.v_dim, c.kv_lora)
        self.out = _matrix(c.hidden, c.n_head * c.v_dim, gain=0.2)


class Dense(nn.Module):
    def __init__(self, c, width):
        super().__init__()
        self.gate, self.up = _matrix(width, c.hidden), _matrix(width, c.hidden)
        self.down = _matrix(c.hidden, width, gain=0.2)


class Experts(nn.Module):
    """The router's bias has no gradient: `balance` moves it against the load of the last batch."""

    def __init__(self, c):
        super().__init__()
        self.router = _matrix(c.n_expert, c.hidden)
        self.register_buffer("bias", torch.zeros(c.n_expert))
        self.load = None
        self.gate, self.up = _matrix(c.n_expert, c.ff_expert, c.hidden), _matrix(c.n_expert, c.ff_expert, c.hidden)
        self.down = _matrix(c.n_expert, c.hidden, c.ff_expert, gain=0.2)
        self.shared = Dense(c, c.ff_expert)

    @torch.no_grad()
    def balance(self, rate):
        self.bias += rate * torch.sign(self.load.mean() - self.load)
        self.bias -= self.bias.mean()


class Block(nn.Module):
    def __init__(self, c, index):
        super().__init__()
        self.attn_norm = nn.Parameter(torch.ones(c.hidden))
        self.attn = Attention(c)
        self.ffn_norm = nn.Parameter(torch.ones(c.hidden))
        self.ffn = Dense(c, c.ff_dense) if index < c.n_dense else Experts(c)


class Model(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.parts, self.attend = Parts(False), attention.plain
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

    def loss(self, tokens, positions, starts, longest, where, wanted, weights):
        """tokens and positions (T,); the rest as in attention.py and in loss() above. Returns loss and hits, both on the device."""
        return self.parts.loss(self.hidden(tokens, positions, starts, longest), self.norm, self.head, where, wanted, weights, self.c.eps)

    def hidden(self, tokens, positions, starts, longest):
        """The residual stream (T, D) above the last layer."""
        c, parts = self.c, self.parts
        cos, sin = attention.angles(positions, c.rope, c.rope_base)
        x = F.embedding(tokens, self.embedding)
        for block in self.blocks:
            a, f = block.attn, block.ffn
            q, k, v = parts.queries_keys_values(x, cos, sin, block.attn_norm, a.q_a, a.q_a_norm, a.q_b, a.kv_a, a.kv_a_norm, a.k_b, a.v_b, c.eps)
            heads = self.attend(q, k, v, starts, longest)
            if isinstance(f, Dense):
                x = parts.dense(x, heads, a.out, block.ffn_norm, f.gate, f.up, f.down, c.eps)
            else:
                x, f.load = parts.experts(x, heads, a.out, block.ffn_norm, f.router, f.bias, f.gate, f.up, f.down,
                                          f.shared.gate, f.shared.up, f.shared.down, c.n_expert_used, c.routed_scale, c.eps)
        return x
