"""Attention over conversations laid end to end, none of which sees another: a flash kernel on the GPU, plain PyTorch elsewhere."""

import torch
import torch.nn.functional as F


def rotate(x, cos, sin):
    """x (T, ..., R), the pairs side by side; cos and sin (T, R/2)."""
    for _ in range(x.dim() - 2):
        cos, sin = cos[:, None], sin[:, None]
    a, b = x[..., 0::2].float(), x[..., 1::2].float()
    return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2).to(x.dtype)


def angles(positions, r, base):
    """Cosines and sines (T, R/2) of the positions (T,)."""
    f = base ** (-torch.arange(0, r, 2, dtype=torch.float32, device=positions.device) / r)
    angle = positions.float()[:, None] * f
    return angle.cos(), angle.sin()


def plain(q, k, v, starts, longest):
    """q, k (T, H, N), v (T, H, V) -> (T, H, V); starts: where each conversation begins, and T; longest: of them."""
    width = v.shape[-1]
    v = F.pad(v, (0, q.shape[-1] - width))      # the CPU's fused kernel wants values as wide as the keys
    lengths = starts.diff().tolist()
    out = []
    for one in zip(*(x.split(lengths) for x in (q, k, v))):     # not slices: the gradient of each would be as large as the whole
        out.append(F.scaled_dot_product_attention(*(x.transpose(0, 1)[None] for x in one), is_causal=True)[0].transpose(0, 1))
    return torch.cat(out)[..., :width]


def flash(q, k, v, starts, longest):
    """As plain; the kernel wants values as wide as the keys."""
    width = v.shape[-1]
    v = F.pad(v, (0, q.shape[-1] - width))
    return torch.ops.aten._flash_attention_forward(q, k, v, starts, starts, longest, longest, 0.0, True, False)[0][..., :width]


def varlen(q, k, v, starts, longest):
    """As flash, through PyTorch's public function."""
    from torch.nn.attention.varlen import varlen_attn
    width = v.shape[-1]
    v = F.pad(v, (0, q.shape[-1] - width))
    return varlen_attn(q, k, v, starts, starts, longest, longest, window_size=(-1, 0))[..., :width]


def efficient(q, k, v, starts, longest):
    out = torch.ops.aten._efficient_attention_forward(q[None], k[None], v[None], None, starts, starts, longest, longest, 0.0, 1, True)
    return out[0][0]


def choose(device, heads, width, v_width):
    """The first way that computes here what `plain` computes, forwards and backwards."""
    if device.type == "cpu":
        return plain
    g = torch.Generator(device="cpu").manual_seed(1)
    bounds = [0, 3, 300, 301, 512]
    starts = torch.tensor(bounds, dtype=torch.int32, device=device)
    inputs = [torch.randn(512, heads, n, generator=g).to(device, torch.bfloat16) for n in (width, width, v_width, v_width)]

    def run(way, cast):
        q, k, v = (x.to(cast).requires_grad_() for x in inputs[:3])
        out = way(q, k, v, starts, 297)
        return [out.detach(), *torch.autograd.grad(out, (q, k, v), inputs[3].to(cast))]

    wanted = run(plain, torch.float32)
    for way in (flash, varlen, efficient):
        try:
            off = max(float((a.float() - b).norm() / b.norm()) for a, b in zip(run(way, torch.bfloat16), wanted))
        except Exception as e:
            print(f"attention {way.__name__}: {str(e).splitlines()[0][:200]}", flush=True)
            continue
        print(f"attention {way.__name__}: off by {off:.1e}", flush=True)
        if off < 2e-2:
            return way
    return plain
