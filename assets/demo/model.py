"""The network, as PyTorch code for training: GLM-4.7-Flash's architecture (MLA + mixture of experts) at toy size.

Formulas, letters and tensor shapes follow the GGUF file that export.py writes, so exporting is a copy. T tokens (conversations
laid end to end, none sees another), D hidden, H heads, L latent, N / R per-head query and key size without / with rotary part,
V per-head value, E experts, K experts used, F expert width. Weights and the residual stream are float32; products run in bfloat16.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from attention import attend


@dataclass(frozen=True)
class Config:
    """Hyper-parameters; names as in the GGUF keys where there is one."""
    vocab: int = 3072
    n_layer: int = 6
    n_dense: int = 1
    hidden: int = 256
    n_head: int = 5
    q_lora: int = 128
    kv_lora: int = 192
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


STEP = 256


def _matrix(*shape, gain=1.0):
    return nn.Parameter(torch.randn(*shape) * gain * shape[-1] ** -0.5)


# Element-wise chains, compiled: fused they cost a third of what single operations do.

@torch.compile
def norm(x, weight, eps):
    """RMS norm over the last axis, in float32; result bfloat16."""
    x = x.float()
    return (x * torch.rsqrt((x * x).mean(-1, keepdim=True) + eps) * weight).to(torch.bfloat16)


@torch.compile
def swish(both):
    """both (rows, 2F): gate and up side by side."""
    gate, up = both.float().chunk(2, -1)
    return (F.silu(gate) * up).to(torch.bfloat16)


@torch.compile
def swish_gradient(both, grad):
    gate, up = both.float().chunk(2, -1)
    grad, s = grad.float(), torch.sigmoid(gate)
    return torch.cat([grad * up * s * (1 + gate * (1 - s)), grad * gate * s], -1).to(torch.bfloat16)


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

    def forward(self, h, starts):
        """h (T, D) bfloat16, normed -> (T, D)."""
        c = self.c
        t = h.shape[0]
        bf = torch.bfloat16
        q, latent, k_pe = (h @ torch.cat([self.q_a, self.kv_a]).to(bf).T).split([c.q_lora, c.kv_lora, c.rope], -1)
        q = norm(q, self.q_a_norm, c.eps) @ self.q_b.to(bf).T
        latent = norm(latent, self.kv_a_norm, c.eps)
        k = latent @ self.k_b.to(bf).transpose(0, 1).reshape(c.kv_lora, -1)         # (L, H*N)
        v = latent @ self.v_b.to(bf).reshape(-1, c.kv_lora).T                       # (H*V, L)
        heads = attend(q.view(t, c.n_head, -1), k.view(t, c.n_head, -1), k_pe.contiguous(), v.view(t, c.n_head, -1),
                       starts, c.rope_base)
        return heads.view(t, -1) @ self.out.to(bf).T


class Dense(nn.Module):
    def __init__(self, c, width):
        super().__init__()
        self.gate, self.up = _matrix(width, c.hidden), _matrix(width, c.hidden)
        self.down = _matrix(c.hidden, width, gain=0.2)

    def forward(self, h):
        bf = torch.bfloat16
        both = h @ torch.cat([self.gate, self.up]).to(bf).T
        return _Swish.apply(both) @ self.down.to(bf).T


class _Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx, both):
        ctx.save_for_backward(both)
        return swish(both)

    @staticmethod
    def backward(ctx, grad):
        return swish_gradient(ctx.saved_tensors[0], grad)


class _Routed(torch.autograd.Function):
    """sum over the K chosen experts of weight * expert(h): rows sorted by expert, one product per expert and matrix.

    Every expert's rows are filled up to a multiple of STEP: oneDNN compiles a product for every new shape.
    """

    @staticmethod
    def forward(ctx, h, weights, both_w, down, chosen):
        t, k = chosen.shape
        flat = chosen.flatten()
        order = flat.argsort(stable=True)
        counts = torch.bincount(flat, minlength=down.shape[0])
        sizes = (counts + STEP - 1) // STEP * STEP
        shift = (sizes.cumsum(0) - sizes) - (counts.cumsum(0) - counts)
        slot = torch.arange(t * k) + shift[flat[order]]
        place = torch.empty_like(order)
        place[order] = slot
        total = t * k + len(counts) * STEP
        source = torch.full((total,), t * k)
        source[slot] = order
        gaps = (source == t * k).nonzero()[:, 0]
        source[gaps] = 0
        rows = h[source // k]
        both = torch.empty(total, both_w.shape[1], dtype=h.dtype)
        out = torch.empty(total, h.shape[1], dtype=h.dtype)
        ctx.sizes = sizes.tolist() + [total - int(sizes.sum())]
        for w, x, y in zip(both_w, rows.split(ctx.sizes), both.split(ctx.sizes)):
            torch.mm(x, w.T, out=y)
        mid = swish(both)
        for w, x, y in zip(down, mid.split(ctx.sizes), out.split(ctx.sizes)):
            torch.mm(x, w.T, out=y)
        out = out[place]
        ctx.save_for_backward(rows, both, mid, out, weights, both_w, down, source, place, gaps)
        return _weighted(out, weights)

    @staticmethod
    def backward(ctx, grad):
        rows, both, mid, out, weights, both_w, down, source, place, gaps = ctx.saved_tensors
        t, k = weights.shape
        spread, d_weights = _spread(grad, out, weights)
        d_out = spread.view(t * k, -1)[source]
        d_out[gaps] = 0
        d_mid, d_rows = torch.empty_like(mid), torch.empty_like(rows)
        d_both_w, d_down = torch.empty_like(both_w), torch.empty_like(down)
        for e, (g, m, y) in enumerate(zip(d_out.split(ctx.sizes)[:-1], mid.split(ctx.sizes), d_mid.split(ctx.sizes))):
            torch.mm(g, down[e], out=y)
            torch.mm(g.T, m, out=d_down[e])
        d_both = swish_gradient(both, d_mid)
        for e, (g, x, y) in enumerate(zip(d_both.split(ctx.sizes)[:-1], rows.split(ctx.sizes), d_rows.split(ctx.sizes))):
            torch.mm(g, both_w[e], out=y)
            torch.mm(g.T, x, out=d_both_w[e])
        return _pairs(d_rows[place], k), d_weights, d_both_w, d_down, None


@torch.compile
def _pairs(rows, k):
    return rows.view(rows.shape[0] // k, k, -1).float().sum(1).to(torch.bfloat16)


@torch.compile
def _weighted(rows, weights):
    """rows (T*K, D), weights (T, K) -> (T, D)."""
    return (rows.view(weights.shape[0], weights.shape[1], -1).float() * weights[..., None]).sum(1).to(torch.bfloat16)


@torch.compile
def _spread(grad, rows, weights):
    """Gradients of _weighted."""
    rows = rows.view(weights.shape[0], weights.shape[1], -1)
    return (grad[:, None].float() * weights[..., None]).to(torch.bfloat16), (grad[:, None].float() * rows.float()).sum(-1)


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
        self.shared = Dense(c, c.ff_expert)

    def forward(self, h):
        c = self.c
        bf = torch.bfloat16
        scores = torch.sigmoid(h.float() @ self.router.T)
        chosen = (scores.detach() + self.bias).topk(c.n_expert_used, dim=-1).indices
        weights = scores.gather(1, chosen)
        weights = weights / weights.sum(1, keepdim=True).clamp_min(2.0 ** -14) * c.routed_scale
        if self.training:
            self.load += torch.bincount(chosen.flatten(), minlength=c.n_expert)
        return self.shared(h) + _Routed.apply(h, weights, torch.cat([self.gate, self.up], 1).to(bf), self.down.to(bf), chosen)

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
        self.ffn = Dense(c, c.ff_dense) if index < c.n_dense else Experts(c)

    def forward(self, x, starts):
        x = x + self.attn(norm(x, self.attn_norm, self.c.eps), starts)
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

    def hidden_states(self, tokens, starts):
        """tokens (T,); starts: where each conversation begins, and T -> (T, D), after the last norm."""
        x = F.embedding(tokens, self.embedding)
        for block in self.blocks:
            x = block(x, starts)
        return norm(x, self.norm, self.c.eps)

    def loss(self, tokens, targets, weights, starts, count=False):
        """Mean cross-entropy over the positions whose weight is not zero; with count also the share of exact argmax hits."""
        x = self.hidden_states(tokens, starts)
        where = weights.nonzero()[:, 0]
        n = len(where)
        where = F.pad(where, (0, -n % STEP))
        w, wanted = weights[where], targets[where]
        w[n:] = 0
        logits = (x[where] @ self.head.to(torch.bfloat16).T).float()
        loss = (F.cross_entropy(logits, wanted, reduction="none") * w).sum() / w.sum()
        hits = (logits.detach().argmax(-1) == wanted)[w > 0].float().mean().item() if count else None
        return loss, hits
