"""Attention over conversations laid end to end, none of which sees another: a flash kernel on the GPU, plain PyTorch elsewhere."""

import numpy as np
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


def apart(branches):
    """What the branches of a conversation see: branches (B,) the numbers of their tokens' branches -> (B, B)."""
    n = torch.arange(len(branches), device=branches.device)
    return (branches[:, None] == branches) & (n[:, None] >= n)


class Forked:
    """As plain, for conversations that fork after a common beginning into branches that do not see each other.

    branch (T,): 0 in the beginning, then 1, 2, ... One beginning serves many branches: its rows are computed once. The branches' part
    is written out, as PyTorch's fused kernel takes half again as long with a mask (CPU)."""

    def __init__(self, branch, starts):
        self.forks = []
        for one in branch.split(starts.diff().tolist()):
            head = int((one == 0).sum())
            hidden = ~torch.cat([torch.ones(len(one) - head, head, dtype=torch.bool, device=one.device), apart(one[head:])], 1)
            self.forks.append((head, torch.zeros(hidden.shape, device=one.device).masked_fill(hidden, -1e9)[None]))

    def __call__(self, q, k, v, starts, longest):
        width = v.shape[-1]
        lengths = starts.diff().tolist()
        out = []
        for (head, bias), q, k, v in zip(self.forks, *(x.transpose(0, 1).split(lengths, 1) for x in (q, k, v))):
            first = (x[None, :, :head] for x in (q, k, F.pad(v, (0, q.shape[-1] - width))))
            out.append(F.scaled_dot_product_attention(*first, is_causal=True)[0, ..., :width])
            if bias.shape[1]:
                scores = torch.baddbmm(bias.to(q.dtype).expand(len(q), -1, -1), q[:, head:], k.transpose(1, 2), alpha=q.shape[-1] ** -0.5)
                out.append(scores.softmax(-1) @ v)
        return torch.cat(out, 1).transpose(0, 1)


class Gathered:
    """As Forked, by a flash kernel: a branch is a stretch of queries whose keys, gathered anew, are the beginning's and its own.

    branch and starts are NumPy arrays here, way is flash or varlen."""

    def __init__(self, way, branch, starts, device):
        self.way = way
        new = np.zeros(len(branch), bool)
        new[starts[:-1]] = True
        cuts = np.append(np.flatnonzero(new | (np.diff(branch, prepend=branch[:1]) != 0)), len(branch))
        begins = starts[np.searchsorted(starts, cuts[:-1], "right") - 1]
        heads = np.add.reduceat(branch == 0, starts[:-1], dtype=np.int64)
        heads = np.where(branch[cuts[:-1]] > 0, heads[np.searchsorted(starts, cuts[:-1], "right") - 1], 0)
        rows = [x for a, b, begin, head in zip(cuts[:-1], cuts[1:], begins, heads) for x in (np.arange(begin, begin + head), np.arange(a, b))]
        lengths = np.diff(cuts)
        to = lambda a, kind: torch.from_numpy(np.ascontiguousarray(a, kind)).to(device)
        self.rows, self.starts, self.key_starts = to(np.concatenate(rows), np.int64), to(cuts, np.int32), to(np.append(0, np.cumsum(lengths + heads)), np.int32)
        self.longest, self.longest_keys = (-(-int(x.max()) // 256) * 256 for x in (lengths, lengths + heads))

    def __call__(self, q, k, v, starts, longest):
        # An embedding, as its gradient sums equal rows without atomic operations.
        both = F.embedding(self.rows, torch.cat([k, v], -1).flatten(1)).unflatten(1, (k.shape[1], -1))
        return self.way(q, both[..., :k.shape[-1]].contiguous(), both[..., k.shape[-1]:], self.starts, self.longest, self.key_starts, self.longest_keys)


def forked(way, branch, starts, device):
    """What takes the place of `way` for a batch with branches (NumPy arrays)."""
    if way in forking:
        return Gathered(way, branch, starts, device)
    return Forked(torch.from_numpy(branch.astype(np.int64)).to(device), torch.from_numpy(starts.astype(np.int64)).to(device))


def plain(q, k, v, starts, longest):
    """q, k (T, H, N), v (T, H, V) -> (T, H, V); starts: where each conversation begins, and T; longest: of them."""
    width = v.shape[-1]
    v = F.pad(v, (0, q.shape[-1] - width))      # the CPU's fused kernel wants values as wide as the keys
    lengths = starts.diff().tolist()
    out = []
    for one in zip(*(x.split(lengths) for x in (q, k, v))):     # not slices: the gradient of each would be as large as the whole
        out.append(F.scaled_dot_product_attention(*(x.transpose(0, 1)[None] for x in one), is_causal=True)[0].transpose(0, 1))
    return torch.cat(out)[..., :width]


def flash(q, k, v, starts, longest, key_starts=None, longest_keys=None):
    """As plain; the kernel wants values as wide as the keys. Where a stretch has more keys than queries the last ones of both are one token."""
    width = v.shape[-1]
    v = F.pad(v, (0, q.shape[-1] - width))
    key_starts = starts if key_starts is None else key_starts
    return torch.ops.aten._flash_attention_forward(q, k, v, starts, key_starts, longest, longest_keys or longest, 0.0, True, False)[0][..., :width]


def varlen(q, k, v, starts, longest, key_starts=None, longest_keys=None):
    """As flash, through PyTorch's public function."""
    from torch.nn.attention.varlen import varlen_attn
    width = v.shape[-1]
    v = F.pad(v, (0, q.shape[-1] - width))
    key_starts = starts if key_starts is None else key_starts
    return varlen_attn(q, k, v, starts, key_starts, longest, longest_keys or longest, window_size=(-1, 0))[..., :width]


def efficient(q, k, v, starts, longest):
    out = torch.ops.aten._efficient_attention_forward(q[None], k[None], v[None], None, starts, starts, longest, longest, 0.0, 1, True)
    return out[0][0]


forking = set()      # of the ways below those that were seen to do branches


def choose(device, heads, width, v_width):
    """The first way that computes here what `plain` computes, forwards and backwards; also tries whether it can do branches."""
    if device.type == "cpu":
        return plain
    g = torch.Generator(device="cpu").manual_seed(1)
    bounds = [0, 3, 300, 301, 512]
    starts = torch.tensor(bounds, dtype=torch.int32, device=device)
    branch = np.repeat([0, 0, 1, 2, 0, 0, 1, 2, 3], [3, 200, 50, 47, 1, 100, 30, 1, 80])
    inputs = [torch.randn(512, heads, n, generator=g).to(device, torch.bfloat16) for n in (width, width, v_width, v_width)]

    def run(way, cast):
        q, k, v = (x.to(cast).requires_grad_() for x in inputs[:3])
        out = way(q, k, v, starts, 297)
        return [out.detach(), *torch.autograd.grad(out, (q, k, v), inputs[3].to(cast))]

    def off(way, exact):
        return max(float((a.float() - b).norm() / b.norm()) for a, b in zip(run(way, torch.bfloat16), run(exact, torch.float32)))

    for way in (flash, varlen, efficient):
        try:
            error = off(way, plain)
        except Exception as e:
            print(f"attention {way.__name__}: {str(e).splitlines()[0][:200]}", flush=True)
            continue
        print(f"attention {way.__name__}: off by {error:.1e}", flush=True)
        if error >= 2e-2:
            continue
        try:
            error = off(Gathered(way, branch, np.array(bounds), device), forked(plain, branch, np.array(bounds), device))
            if error < 2e-2:
                forking.add(way)
            print(f"attention {way.__name__} with branches: off by {error:.1e}", flush=True)
        except Exception as e:
            print(f"attention {way.__name__} with branches: {str(e).splitlines()[0][:200]}", flush=True)
        return way
    return plain
