"""Attention: scaled dot product, and the multi-head form that nn.MultiheadAttention calls."""

from __future__ import annotations

import math

from ... import functional
from ...autograd.autocast import ACTIVE, cast
from ...device import CPU
from ...dtypes import BOOL, FLOAT, bool_
from ...errors import message
from ...functional import linear
from ...kernels.attention import attention
from ...tensor import Tensor
from .dropout import dropout

__all__ = ["multi_head_attention_forward", "scaled_dot_product_attention"]

CHOICES: list[bool] = []
"""Per active `nn.attention.sdpa_kernel`, the innermost last: does it allow what is here."""


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(q k^T * scale + mask) v (arXiv 1706.03762).

    Args:
        query: (..., H, L, E), floating.
        key: (..., G, S, E); G is H, or divides it with enable_gqa.
        value: (..., G, S, D).
        attn_mask: broadcasts to (..., H, L, S); bool (True takes part) or of query's dtype, added to the scores.
        dropout_p: probability that a weight becomes 0; default 0.
        is_causal: query i sees the keys 0..i; default False.
        scale: default 1 / sqrt(E).
        enable_gqa: query heads share key heads; default False.

    A row whose keys are all masked gives 0.

    Raises:
        RuntimeError: dtypes or sizes do not fit; a mask together with is_causal.

    >>> import tritorch as torch
    >>> q = torch.zeros(1, 1, 2, 4)
    >>> torch.nn.functional.scaled_dot_product_attention(q, q, torch.ones(1, 1, 2, 1)).reshape(2)
    tensor([1., 1.])
    """
    op = "scaled_dot_product_attention"
    if CHOICES and not CHOICES[-1]:
        raise RuntimeError(
            f"{op}: No viable backend for scaled_dot_product_attention was found: sdpa_kernel allows none of MATH, "
            "FLASH_ATTENTION and EFFICIENT_ATTENTION"
        )
    if ACTIVE:
        query, key, value, attn_mask = cast(op, query, key, value, attn_mask)
    if query.dtype is not key.dtype or query.dtype is not value.dtype or query.dtype.category != FLOAT:
        rule = "Expected query, key, and value to have the same floating dtype"
        raise RuntimeError(message(op, rule, query=query, key=key, value=value))
    qs, ks, vs = query._a.shape, key._a.shape, value._a.shape
    if len(qs) < 2 or len(ks) < 2 or len(vs) < 2:
        raise RuntimeError(
            message(
                op, "Expected query, key, and value to all be at least 2 dimensional", query=query, key=key, value=value
            )
        )
    if attn_mask is not None:
        if is_causal:
            raise RuntimeError(f"{op}: Explicit attn_mask should not be set when is_causal=True")
        if attn_mask.dtype.category != BOOL and attn_mask.dtype is not query.dtype:
            rule = "Expected attn_mask dtype to be bool or to match query dtype"
            raise RuntimeError(message(op, rule, attn_mask=attn_mask, query=query))
    if attn_mask is None and dropout_p == 0 and len(qs) == 4 and ks == vs and qs[:2] == ks[:2] and qs[3] == ks[3]:
        scale = 1 / math.sqrt(max(qs[3], 1)) if scale is None else float(scale)  # the everyday call, without detours
        return attention(query, key, value, None, scale, is_causal)[0]
    length, keys = query.shape[-2], key.shape[-2]
    if query.shape[-1] != key.shape[-1] or keys != value.shape[-2]:
        rule = "query and key need one last dim, key and value one number of keys"
        raise RuntimeError(message(op, rule, query=query, key=key, value=value))
    scale = 1 / math.sqrt(max(query.shape[-1], 1)) if scale is None else scale
    lead = _lead(op, query, key, value, enable_gqa)
    q, k, v = (_four(t, lead, enable_gqa) for t in (query, key, value))
    mask = None
    if attn_mask is not None:
        try:
            mask = attn_mask.expand((*lead, length, keys)) if attn_mask.ndim > 4 or len(lead) != 2 else attn_mask
        except RuntimeError:
            raise RuntimeError(
                message(op, f"attn_mask must broadcast to {(*lead, length, keys)}", attn_mask=attn_mask)
            ) from None
        mask = _mask_four(op, mask, lead, length, keys)
    if dropout_p > 0:
        y = _with_dropout(q, k, v, mask, dropout_p, is_causal, scale)
    else:
        y = attention(q, k, v, mask, float(scale), is_causal)[0]
    return y.reshape((*lead, length, value.shape[-1]))


def _lead(op: str, query: Tensor, key: Tensor, value: Tensor, gqa: bool) -> tuple[int, ...]:
    """The broadcast leading dims (..., H)."""
    drop = 3 if gqa else 2
    parts = [tuple(t.shape[:-drop]) for t in (query, key, value)]
    if gqa:
        if query.ndim < 3 or query.shape[-3] % max(key.shape[-3], 1) or key.shape[-3] != value.shape[-3]:
            rule = "Number of heads in key and value must be equal and divide the number of heads in query"
            raise RuntimeError(message(op, rule, query=query, key=key, value=value))
    try:
        lead = tuple(functional.broadcast_shapes(*parts))
    except RuntimeError:
        raise RuntimeError(message(op, "leading dims must broadcast", query=query, key=key, value=value)) from None
    return (*lead, query.shape[-3]) if gqa else lead


def _four(t: Tensor, lead: tuple[int, ...], gqa: bool) -> Tensor:
    """t with its leading dims broadcast and folded to (B, H)."""
    if t.ndim == 4 and len(lead) == 2 and t.shape[0] == lead[0] and (gqa or t.shape[1] == lead[1]):
        return t
    tail = t.shape[-3:] if gqa else t.shape[-2:]
    front = lead[:-1] if gqa else lead
    t = t.expand((*front, *tail))
    if gqa:
        return t.reshape((math.prod(front), *tail))
    if len(lead) == 2:
        return t
    return t.reshape((math.prod(lead[:-1]), lead[-1] if lead else 1, *tail))


def _mask_four(op: str, mask: Tensor, lead: tuple[int, ...], length: int, keys: int) -> Tensor:
    if len(lead) != 2:
        return mask.reshape((math.prod(lead[:-1]), lead[-1] if lead else 1, length, keys))
    mask = mask.reshape((1,) * (4 - mask.ndim) + tuple(mask.shape))
    full = (*lead, length, keys)
    if any(m not in (1, n) for m, n in zip(mask.shape, full, strict=True)):
        raise RuntimeError(message(op, f"attn_mask must broadcast to {full}", attn_mask=mask))
    return mask


def _with_dropout(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, p: float, causal: bool, scale: float) -> Tensor:
    """The weights spelled out, because the random mask covers them all; on the CPU half precision is rounded at the end."""
    if q.dtype.is_half and q.device is CPU:
        wide = mask if mask is None or mask.dtype.category == BOOL else mask.float()
        return _with_dropout(q.float(), k.float(), v.float(), wide, p, causal, scale).to(q.dtype)
    group = q.shape[1] // max(k.shape[1], 1)
    if group > 1:
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    s = (q * math.sqrt(scale)) @ (k * math.sqrt(scale)).mT if scale > 0 else (q @ k.mT) * scale
    never = float("-inf")
    if causal:
        hidden = functional.ones((s.shape[2], s.shape[3]), dtype=bool_, device=s.device).triu(1)
        s = s.masked_fill(hidden, never)
    if mask is not None:
        s = s.masked_fill(~mask, never) if mask.dtype.category == BOOL else s + mask
    dead = (s.detach() == never).all(-1, True)
    weights = s.masked_fill(dead, 0.0).softmax(-1).masked_fill(dead, 0.0)
    return dropout(weights, p, True) @ v


def _as_bias(op: str, name: str, mask: Tensor | None, like: Tensor) -> Tensor | None:
    """A mask (True is left out) as what is added to the scores."""
    if mask is None or mask.dtype.category == FLOAT:
        return mask
    if mask.dtype.category != BOOL:
        raise AssertionError(message(op, f"only bool and floating types of {name} are supported", **{name: mask}))
    return like.new_zeros(mask.shape).masked_fill(mask, float("-inf"))


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Multi-head attention with projections (arXiv 1706.03762); returns (output, weights or None).

    Args:
        query: (L, N, E) or (L, E).
        key, value: (S, N, E) or (S, E); other widths with use_separate_proj_weight.
        embed_dim_to_check: E.
        num_heads: divides E.
        in_proj_weight, in_proj_bias: (3 E, E) and (3 E,), for query, key and value.
        bias_k, bias_v: (1, 1, E), one more key and value.
        add_zero_attn: one more key and value of zeros.
        dropout_p: of the attention weights, in training.
        out_proj_weight, out_proj_bias: (E, E) and (E,).
        key_padding_mask: (N, S) or (S,); True leaves the key out, floats are added.
        need_weights: also return the weights, averaged over the heads with average_attn_weights.
        attn_mask: (L, S) or (N * num_heads, L, S); True leaves the pair out, floats are added.
        use_separate_proj_weight: take q_proj_weight, k_proj_weight and v_proj_weight.
        static_k, static_v: (N * num_heads, S, E / num_heads), used instead of the projections.
        is_causal: attn_mask is the causal mask.

    Raises:
        AssertionError, RuntimeError: sizes do not fit, as PyTorch.
    """
    op = "multi_head_attention_forward"
    batched = query.ndim == 3
    if query.ndim not in (2, 3):
        raise AssertionError(message(op, "query should be unbatched 2D or batched 3D tensor", query=query))
    if key.ndim != query.ndim or value.ndim != query.ndim:
        raise AssertionError(
            message(op, f"for {query.ndim}-D query expected key and value to be {query.ndim}-D", key=key, value=value)
        )
    if not batched:
        shared_qk, shared_kv = query is key, key is value
        query = query.unsqueeze(1)
        key = query if shared_qk else key.unsqueeze(1)
        value = key if shared_kv else value.unsqueeze(1)
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    length, n, width = query.shape
    keys = key.shape[0]
    if width != embed_dim_to_check:
        raise AssertionError(f"{op}: was expecting embedding dimension of {embed_dim_to_check}, but got {width}")
    if width % num_heads:
        raise AssertionError(f"{op}: embed_dim {width} not divisible by num_heads {num_heads}")
    head = width // num_heads
    if tuple(key.shape[:2]) != tuple(value.shape[:2]) or (not use_separate_proj_weight and key.shape != value.shape):
        raise AssertionError(message(op, "key's sequence and batch dims must match value's", key=key, value=value))
    if is_causal and attn_mask is None:
        raise RuntimeError(f"{op}: Need attn_mask if specifying the is_causal hint.")
    pad = _as_bias(op, "key_padding_mask", key_padding_mask, query)
    if is_causal and pad is None and not need_weights:
        attn_mask = None
    else:
        attn_mask = _as_bias(op, "attn_mask", attn_mask, query)
        is_causal = is_causal and pad is None and not need_weights
    q, k, v = _project(
        op,
        query,
        key,
        value,
        in_proj_weight,
        in_proj_bias,
        use_separate_proj_weight,
        q_proj_weight,
        k_proj_weight,
        v_proj_weight,
    )
    if attn_mask is not None:
        if attn_mask.ndim == 2:
            if tuple(attn_mask.shape) != (length, keys):
                raise RuntimeError(
                    message(op, f"the 2D attn_mask should be of shape {(length, keys)}", attn_mask=attn_mask)
                )
            attn_mask = attn_mask.unsqueeze(0)
        elif attn_mask.ndim != 3 or tuple(attn_mask.shape) != (n * num_heads, length, keys):
            raise RuntimeError(
                message(op, f"the 3D attn_mask should be of shape {(n * num_heads, length, keys)}", attn_mask=attn_mask)
            )
    if pad is not None and tuple(pad.shape) != (n, keys):
        raise AssertionError(message(op, f"expecting key_padding_mask shape of {(n, keys)}", key_padding_mask=pad))

    def grow(mask: Tensor | None) -> Tensor | None:
        return None if mask is None else functional.cat([mask, mask.new_zeros((*mask.shape[:-1], 1))], -1)

    if bias_k is not None and bias_v is not None:
        k, v = functional.cat([k, bias_k.repeat(1, n, 1)]), functional.cat([v, bias_v.repeat(1, n, 1)])
        attn_mask, pad = grow(attn_mask), grow(pad)

    def heads(t: Tensor) -> Tensor:
        return t.reshape((t.shape[0], n * num_heads, head)).transpose(0, 1)

    q = heads(q)
    k = heads(k) if static_k is None else static_k
    v = heads(v) if static_v is None else static_v
    if add_zero_attn:
        zero = k.new_zeros((n * num_heads, 1, head))
        k, v = functional.cat([k, zero], 1), functional.cat([v, zero], 1)
        attn_mask, pad = grow(attn_mask), grow(pad)
    keys = k.shape[1]
    if pad is not None:
        pad = pad.reshape((n, 1, 1, keys)).expand((n, num_heads, 1, keys)).reshape((n * num_heads, 1, keys))
        attn_mask = pad if attn_mask is None else attn_mask + pad
    p = dropout_p if training else 0.0
    if need_weights:
        scores = (q * math.sqrt(1.0 / head)) @ k.mT
        weights = (scores if attn_mask is None else scores + attn_mask).softmax(-1)
        weights = dropout(weights, p, True)
        y = weights @ v
    else:
        weights = None
        if attn_mask is not None:
            one = attn_mask.shape[0] == 1
            attn_mask = attn_mask.unsqueeze(0) if one else attn_mask.reshape((n, num_heads, -1, keys))
        q, k, v = (t.reshape((n, num_heads, t.shape[1], head)) for t in (q, k, v))
        y = scaled_dot_product_attention(q, k, v, attn_mask, p, is_causal).reshape((n * num_heads, length, head))
    y = linear(y.transpose(0, 1).reshape((length, n, width)), out_proj_weight, out_proj_bias)
    if not batched:
        y = y.squeeze(1)
    if weights is None:
        return y, None
    weights = weights.reshape((n, num_heads, length, keys))
    if average_attn_weights:
        weights = weights.mean(1)
    return y, weights if batched else weights.squeeze(0)


def _project(
    op: str,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    separate: bool,
    wq: Tensor | None,
    wk: Tensor | None,
    wv: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """query, key and value times their input projections; one product where they are the same tensor."""
    width = query.shape[-1]
    if separate:
        if wq is None or wk is None or wv is None:
            raise AssertionError(f"{op}: use_separate_proj_weight needs q_proj_weight, k_proj_weight and v_proj_weight")
        biases = (None, None, None) if bias is None else tuple(bias.narrow(0, i * width, width) for i in range(3))
        return linear(query, wq, biases[0]), linear(key, wk, biases[1]), linear(value, wv, biases[2])
    if weight is None:
        raise AssertionError(f"{op}: use_separate_proj_weight is False but in_proj_weight is None")
    if query is key and key is value:
        y = linear(query, weight, bias)
        return tuple(y.narrow(-1, i * width, width) for i in range(3))  # type: ignore[return-value]
    ws = [weight.narrow(0, i * width, width) for i in range(3)]
    bs = [None if bias is None else bias.narrow(0, i * width, width) for i in range(3)]
    return linear(query, ws[0], bs[0]), linear(key, ws[1], bs[1]), linear(value, ws[2], bs[2])
