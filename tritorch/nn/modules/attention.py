"""MultiheadAttention."""

from __future__ import annotations

from typing import Any

from ...functional import empty
from ...tensor import Parameter, Tensor
from .. import functional as F
from .. import init
from .linear import NonDynamicallyQuantizableLinear
from .module import Module

__all__ = ["MultiheadAttention"]


class MultiheadAttention(Module):
    """concat(head_1, ...) W_O with head_i = softmax(q W_q (k W_k)^T / sqrt(d)) v W_v. Vaswani et al., arXiv:1706.03762.

    Args:
        embed_dim: E, the size of queries and outputs.
        num_heads: a divisor of E; d = E / num_heads.
        dropout: of the attention weights, in training. Default: 0.
        bias: in the projections. Default: True.
        add_bias_kv: one learned key and value more. Default: False.
        add_zero_attn: one key and value of zeros more. Default: False.
        kdim, vdim: sizes of keys and values. Default: E.
        batch_first: tensors are `(N, L, E)` instead of `(L, N, E)`. Default: False.

    Attributes:
        in_proj_weight: `(3 E, E)`, or q_proj_weight, k_proj_weight, v_proj_weight when kdim or vdim is not E.
        in_proj_bias: `(3 E)`. out_proj: a Linear(E, E). bias_k, bias_v: `(1, 1, E)` with add_bias_kv.

    Raises:
        ValueError: a size that is not positive.
        AssertionError: num_heads does not divide embed_dim.

    >>> import tritorch as torch
    >>> attention, x = torch.nn.MultiheadAttention(8, 2, batch_first=True), torch.zeros(3, 5, 8)
    >>> y, weights = attention(x, x, x)
    >>> y.shape, weights.shape
    (torch.Size([3, 5, 8]), torch.Size([3, 5, 5]))
    """

    bias_k: Tensor | None
    bias_v: Tensor | None
    in_proj_weight: Tensor | None
    in_proj_bias: Tensor | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ):
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                f"embed_dim and num_heads must be greater than 0, got embed_dim={embed_dim} and num_heads={num_heads} "
                "instead"
            )
        super().__init__()
        if embed_dim % num_heads:
            raise AssertionError(f"embed_dim must be divisible by num_heads; got {embed_dim} and {num_heads}")
        self.embed_dim, self.num_heads, self.dropout, self.batch_first = embed_dim, num_heads, dropout, batch_first
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.head_dim = embed_dim // num_heads
        self.add_zero_attn = add_zero_attn

        def make(*shape: int) -> Parameter:
            return Parameter(empty(shape, device=device, dtype=dtype))

        if self._qkv_same_embed_dim:
            self.in_proj_weight = make(3 * embed_dim, embed_dim)
            for name in ("q_proj_weight", "k_proj_weight", "v_proj_weight"):
                self.register_parameter(name, None)
        else:
            self.q_proj_weight = make(embed_dim, embed_dim)
            self.k_proj_weight = make(embed_dim, self.kdim)
            self.v_proj_weight = make(embed_dim, self.vdim)
            self.register_parameter("in_proj_weight", None)
        self.register_parameter("in_proj_bias", make(3 * embed_dim) if bias else None)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias=bias, device=device, dtype=dtype)
        self.bias_k = make(1, 1, embed_dim) if add_bias_kv else None
        self.bias_v = make(1, 1, embed_dim) if add_bias_kv else None
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        weights = [self.in_proj_weight]
        if not self._qkv_same_embed_dim:
            weights = [self.q_proj_weight, self.k_proj_weight, self.v_proj_weight]
        for weight in weights:
            init.xavier_uniform_(weight)  # type: ignore[arg-type]
        if self.in_proj_bias is not None:
            init.constant_(self.in_proj_bias, 0.0)
            init.constant_(self.out_proj.bias, 0.0)  # type: ignore[arg-type]
        for extra in (self.bias_k, self.bias_v):
            if extra is not None:
                init.xavier_normal_(extra)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """The output and the attention weights.

        Args:
            query: `(L, N, E)`, with batch_first `(N, L, E)`, or `(L, E)`.
            key, value: `(S, N, kdim)` and `(S, N, vdim)`, or in the query's layout.
            key_padding_mask: `(N, S)` or `(S)`; True leaves a key out, floats are added to its scores.
            need_weights: also return the weights; without them less memory is needed. Default: True.
            attn_mask: `(L, S)` or `(N num_heads, L, S)`; True leaves a pair out, floats are added to the scores.
            average_attn_weights: the mean over the heads `(N, L, S)`, else `(N, num_heads, L, S)`. Default: True.
            is_causal: `attn_mask` is the causal mask (a hint, which needs the mask itself too). Default: False.
        """
        batched = query.dim() == 3
        if self.batch_first and batched:
            if key is value:
                same = query is key
                query, key = query.transpose(1, 0), key.transpose(1, 0)
                key = query if same else key
                value = key
            else:
                query, key, value = (x.transpose(1, 0) for x in (query, key, value))
        separate = {}
        if not self._qkv_same_embed_dim:
            separate = {
                "use_separate_proj_weight": True,
                "q_proj_weight": self.q_proj_weight,
                "k_proj_weight": self.k_proj_weight,
                "v_proj_weight": self.v_proj_weight,
            }
        output, weights = F.multi_head_attention_forward(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout,
            self.out_proj.weight,
            self.out_proj.bias,
            training=self.training,
            key_padding_mask=key_padding_mask,
            need_weights=need_weights,
            attn_mask=attn_mask,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
            **separate,
        )
        return output.transpose(1, 0) if self.batch_first and batched else output, weights
