"""The one transformer encoder of the toolkit: RoBERTa, ELECTRA's generator and its discriminator are built on it.

Post-LayerNorm blocks as in BERT/RoBERTa (Vaswani et al. 2017; Liu et al. 2019), batch-first, fused query-key-value
projection, `scaled_dot_product_attention`, optional bucketed relative-position bias (Raffel et al. 2020, §2.1).
Shapes in names: B batch, T time (tokens), D width, E embedding width, V vocabulary, M masked positions.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pretrain.base.errors import UserError
from pretrain.base.records import Record
from pretrain.base.vocabulary import PAD

INIT_STD = 0.02


@dataclass(frozen=True)
class EncoderConfig:
    """What fixes the shape of a body. Saved in `body.json` as `architecture`."""

    layers: int = 12
    """Number of transformer layers."""
    width: int = 768
    """Width D of the layers."""
    heads: int = 12
    """Attention heads; must divide `width`."""
    ffn: int = 3072
    """Inner width of the feed-forward layers."""
    embedding_width: int = 768
    """Width E of token and position embeddings; a projection E -> D follows where it differs from `width`."""
    max_positions: int = 512
    """Longest input in tokens."""
    relative_buckets: int = 0
    """Buckets of the relative-position bias; 0 turns it off."""
    relative_distance: int = 128
    """Distance in tokens from which on the last bucket is shared."""
    norm_eps: float = 1e-5
    """Epsilon of every LayerNorm (fairseq and Hugging Face RoBERTa: 1e-5; ELECTRA: 1e-12)."""
    segments: int = 1
    """2: a vector is added to the tokens of a first text, another to those of a second one (Devlin et al. 2019, §3.1)."""

    def __post_init__(self) -> None:
        for name in ("layers", "width", "heads", "ffn", "embedding_width", "max_positions"):
            if getattr(self, name) < 1:
                raise UserError(f"encoder {name} must be at least 1, got {getattr(self, name)}")
        if self.segments not in (1, 2):
            raise UserError(f"encoder segments must be 1 or 2, got {self.segments}")
        if self.width % self.heads:
            raise UserError(f"encoder width {self.width} is not divisible by heads {self.heads}")

    def to_dict(self) -> dict[str, Any]:
        """The fields; `segments` only where there are two, so that records of bodies without stay as they were."""
        return {name: value for name, value in asdict(self).items() if name != "segments" or value != 1}

    @classmethod
    def from_record(cls, values: Record) -> EncoderConfig:
        """The shape in a record's `architecture`; a missing field has its default.

        Raises:
            UserError: a field that is unknown, or whose value no encoder can have.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise UserError(f"{values.place}: unknown fields {unknown}; written by a newer version of relexify?")
        for name in values:
            if name == "norm_eps":
                values.number(name)
            else:
                values.integer(name, 0 if name.startswith("relative") else 1, 2**31 - 1)
        try:
            return cls(**values)
        except UserError as error:
            raise UserError(f"{values.place}: {error}") from None


@dataclass
class Dropout:
    """Dropout probabilities: training settings, not part of a body's shape."""

    hidden: float = 0.1
    attention: float = 0.1
    activation: float = 0.0


def autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """Autocast for `precision` with fp32 master weights; nothing for fp32."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16 if precision == "bf16" else torch.float16)


def relative_bucket(distance: Tensor, buckets: int, max_distance: int) -> Tensor:
    """Bucket of a signed distance (key - query): half for each sign, exact when near, logarithmic when far.

    Source: Raffel et al. 2020, T5, §2.1 (bidirectional variant).
    """
    half = buckets // 2
    side = (distance > 0).long() * half
    distance = distance.abs()
    exact = half // 2
    far = exact + (torch.log(distance.clamp(min=1).float() / exact) / math.log(max_distance / exact)
                   * (half - exact)).long()
    return side + torch.where(distance < exact, distance, far.clamp(max=half - 1))


def plain_cpu(x: Tensor) -> bool:
    """Whether the shortcuts below apply: fp32 on a CPU, neither autocast nor compiled."""
    return (x.device.type == "cpu" and x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
            and not torch.compiler.is_compiling())


_ONEDNN_FROM = 2**27  # multiplications; below, oneDNN's set-up for each new shape may cost more than it saves


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`F.linear` by oneDNN, where torch has it: a tenth faster than MKL on AMD, and the bias costs no pass."""
    onednn = getattr(torch.ops.mkldnn, "_linear_pointwise", None) if torch.backends.mkldnn.is_available() else None
    return F.linear(x, weight, bias) if onednn is None else onednn(x, weight, bias, "none", [], "")


class _CpuLinear(torch.autograd.Function):
    """`F.linear` by `_product`, with a weight gradient that owns its memory.

    `F.linear`'s is a view, and autograd adds in place only to what is none: for a tied table, which gets a second
    gradient from its lookup, that saves one [V, E] tensor a step.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x if ctx.needs_input_grad[1] else None, weight)  # a frozen body keeps no inputs
        return _product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        (x, weight), needed, gradient = ctx.saved_tensors, ctx.needs_input_grad, gradients[0].contiguous()
        flat = gradient.view(-1, gradient.size(-1))
        return (_product(gradient, weight.t(), None) if needed[0] else None,
                flat.t() @ x.reshape(-1, x.size(-1)) if needed[1] else None,
                flat.sum(0) if needed[2] else None)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`F.linear`, faster where x is large, fp32 and on a CPU."""
    fast = plain_cpu(x) and x.numel() * weight.size(0) >= _ONEDNN_FROM
    return _CpuLinear.apply(x, weight, bias) if fast else F.linear(x, weight, bias)


class Linear(nn.Linear):
    """`nn.Linear` by way of `linear`."""

    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.weight, self.bias)


class _CpuDropout(torch.autograd.Function):
    """Dropout whose draws cost a sixth of `bernoulli_`'s: 16 random bits decide about each value.

    The probability is exact to 2**-16, the scale is that of the probability drawn with. The bits come from torch's
    global generator, which fairseq saves and restores, so resume stays bit-exact.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float) -> Tensor:
        count, threshold = x.numel(), min(round(p * 2**16), 2**16 - 1)
        bits = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
        # written as floats at once: a product with a bool tensor is many times slower
        keep = torch.ge(bits[:count].view(x.shape), threshold - 2**15, out=x.new_empty(x.shape))
        keep.mul_(2**16 / (2**16 - threshold))
        ctx.save_for_backward(keep)
        return x * keep

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * ctx.saved_tensors[0], None


def drop(x: Tensor, p: float, training: bool) -> Tensor:
    """`F.dropout`, with cheaper draws on a CPU."""
    if not training or not p:
        return x
    return _CpuDropout.apply(x, p) if plain_cpu(x) and p < 1 else F.dropout(x, p)


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, p: float) -> Tensor:
    """Attention of queries [B, heads, Q, d] over keys and values [B, heads, T, d]; `p` drops attention weights.

    With dropout on a CPU, `scaled_dot_product_attention` has no fused kernel; the same steps are written out here with
    fewer copies and the cheaper draws. A row that may attend to nothing gives finite values.
    """
    if not p or not plain_cpu(query):
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=p)
    batch, heads, queries, size = query.shape
    flat_query, flat_key, flat_value = (x.reshape(batch * heads, -1, size) for x in (query, key, value))
    scores = torch.baddbmm(query.new_zeros(1), flat_query, flat_key.transpose(1, 2), beta=0, alpha=size**-0.5)
    if mask is not None:
        scores = scores.view(batch, heads, queries, -1)
        scores = scores + mask if mask.is_floating_point() else scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
        scores = scores.view(batch * heads, queries, -1)
    return torch.bmm(drop(scores.softmax(-1), p, True), flat_value).view(batch, heads, queries, size)


class SelfAttention(nn.Module):
    """Multi-head self-attention; `mask` is a bool or additive mask broadcast to [B, heads, Q, T]."""

    def __init__(self, config: EncoderConfig, dropout: Dropout):
        super().__init__()
        self.heads = config.heads
        self.dropout = dropout.attention
        self.qkv = Linear(config.width, 3 * config.width)
        self.out = Linear(config.width, config.width)

    def forward(self, x_BTD: Tensor, mask: Tensor | None, at_BQD: Tensor | None = None) -> Tensor:
        """Mixes over all of `x_BTD` for each position, or for each of the states `at_BQD` chosen from it."""
        batch, _, width = x_BTD.shape
        if at_BQD is None:
            query, key, value = self._heads(self.qkv(x_BTD), 3)
        else:
            sizes = [width, 2 * width]
            (weight_q, weight_kv), (bias_q, bias_kv) = self.qkv.weight.split(sizes), self.qkv.bias.split(sizes)
            (query,) = self._heads(linear(at_BQD, weight_q, bias_q), 1)
            key, value = self._heads(linear(x_BTD, weight_kv, bias_kv), 2)
        mixed = attend(query, key, value, mask, self.dropout if self.training else 0.0)
        return self.out(mixed.transpose(1, 2).reshape(batch, -1, width))

    def _heads(self, x: Tensor, parts: int) -> tuple[Tensor, ...]:
        """[B, T, parts * D] -> that many of [B, heads, T, D / heads]."""
        batch, time, width = x.shape
        return x.view(batch, time, parts, self.heads, width // parts // self.heads).permute(2, 0, 3, 1, 4).unbind(0)


class Layer(nn.Module):
    """One post-LayerNorm transformer layer."""

    def __init__(self, config: EncoderConfig, dropout: Dropout):
        super().__init__()
        self.attention = SelfAttention(config, dropout)
        self.attention_norm = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.ffn_in = Linear(config.width, config.ffn)
        self.ffn_out = Linear(config.ffn, config.width)
        self.ffn_norm = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.dropout = dropout

    def forward(self, x_BTD: Tensor, mask: Tensor | None, at_BQD: Tensor | None = None) -> Tensor:
        """States [B, T, D] -> [B, T, D]; only those of `at_BQD`, chosen from `x_BTD`, where that is given."""
        mixed = drop(self.attention(x_BTD, mask, at_BQD), self.dropout.hidden, self.training)
        x = self.attention_norm((x_BTD if at_BQD is None else at_BQD) + mixed)
        inner = drop(F.gelu(self.ffn_in(x)), self.dropout.activation, self.training)
        return self.ffn_norm(x + drop(self.ffn_out(inner), self.dropout.hidden, self.training))


class Encoder(nn.Module):
    """Token ids [B, T] -> states [B, T, D].

    Everything but `embed_tokens` belongs to the body. Position rows are numbered as in fairseq and Hugging Face
    RoBERTa: the first real token has row PAD + 1, padding has row PAD.
    """

    def __init__(self, config: EncoderConfig, vocabulary_size: int, dropout: Dropout | None = None):
        super().__init__()
        dropout = dropout or Dropout()
        self.config = config
        self.embed_tokens = nn.Embedding(vocabulary_size, config.embedding_width, padding_idx=PAD)
        self.embed_positions = nn.Embedding(config.max_positions + PAD + 1, config.embedding_width, padding_idx=PAD)
        self.embed_segments: nn.Embedding | None = None
        if config.segments > 1:
            self.embed_segments = nn.Embedding(config.segments, config.embedding_width)
        self.embed_norm = nn.LayerNorm(config.embedding_width, eps=config.norm_eps)
        self.embed_project: nn.Linear | None = None
        if config.embedding_width != config.width:
            self.embed_project = nn.Linear(config.embedding_width, config.width)
        self.relative_bias: nn.Embedding | None = None
        if config.relative_buckets:
            self.relative_bias = nn.Embedding(config.relative_buckets, config.heads)
        self.layers = nn.ModuleList(Layer(config, dropout) for _ in range(config.layers))
        self.dropout = dropout.hidden
        self.apply(init_weights)
        if self.relative_bias is not None:
            init_relative(self.relative_bias, config)

    def forward(self, tokens_BT: Tensor, full: bool = False, rows_BQ: Tensor | None = None,
                segments_BT: Tensor | None = None) -> Tensor:
        """Encodes a batch.

        Args:
            tokens_BT: ids, padded on the right with PAD.
            full: the caller knows that nothing is padded (packed blocks): the padding mask is left out.
            rows_BQ: flat indices into B*T, Q of each row's own positions: only these leave the last layer, which then
                computes queries, output and feed-forward for them alone. States [B, Q, D] are returned.
            segments_BT: 0 or 1, the text of a pair that a token belongs to; all 0 where None. Without effect on a body of
                one segment.

        Raises:
            UserError: the batch is longer than `max_positions`.
        """
        time = tokens_BT.size(1)
        if time > self.config.max_positions:
            raise UserError(f"input of {time} tokens, but this body has {self.config.max_positions} positions; "
                            "shorten the input")
        mask: Tensor | None = None
        if full:
            positions = torch.arange(PAD + 1, PAD + 1 + time, device=tokens_BT.device)
        else:
            real = tokens_BT.ne(PAD)
            positions = real.cumsum(1) * real + PAD
            mask = real[:, None, None, :]
        if self.relative_bias is not None:
            mask = self._relative_mask(time, self.relative_bias, mask)
        x = self.embed_tokens(tokens_BT) + self.embed_positions(positions)
        if self.embed_segments is not None:
            x = x + (self.embed_segments.weight[0] if segments_BT is None else self.embed_segments(segments_BT))
        x = self.embed_norm(x)
        x = drop(x, self.dropout, self.training)
        if self.embed_project is not None:
            x = self.embed_project(x)
        for layer in self.layers[:-1]:
            x = layer(x, mask)
        if rows_BQ is None:
            return self.layers[-1](x, mask)
        if mask is not None and mask.size(2) > 1:  # [1 or B, heads, T, T] -> the rows of the chosen queries
            columns = rows_BQ % time
            mask = mask.expand(len(x), -1, -1, -1).gather(
                2, columns[:, None, :, None].expand(-1, mask.size(1), -1, mask.size(3)))
        at_BQD = x.reshape(-1, x.size(-1)).index_select(0, rows_BQ.reshape(-1)).view(*rows_BQ.shape, -1)
        return self.layers[-1](x, mask, at_BQD)

    def _relative_mask(self, time: int, table: nn.Embedding, mask: Tensor | None) -> Tensor:
        steps = torch.arange(time, device=table.weight.device)
        bucket = relative_bucket(
            steps[None, :] - steps[:, None], self.config.relative_buckets, self.config.relative_distance
        )
        bias = table(bucket).permute(2, 0, 1)[None]  # [1, heads, T, T]
        return bias if mask is None else bias.masked_fill(~mask, torch.finfo(bias.dtype).min)


def init_weights(module: nn.Module) -> None:
    """BERT's initialisation: N(0, 0.02) for matrices and tables, zero biases, zero padding rows."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=INIT_STD)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
    if isinstance(module, nn.Embedding) and module.padding_idx is not None:
        with torch.no_grad():
            module.weight[module.padding_idx].zero_()


@torch.no_grad()
def init_relative(table: nn.Embedding, config: EncoderConfig) -> None:
    """Starts the relative-position bias from local, directed attention; it is trained from there.

    Heads come in pairs, one favouring what stands left, one what stands right; a pair's bias falls with the distance by
    a slope of its own (1, 1/2, 1/4, …, the idea of Press et al. 2022, ALiBi), and never below -8. From N(0, 0.02), as
    everything else starts, the steps of Adam need hundreds of updates to move these few numbers far enough to matter,
    and a small body stays for so long at predicting words by their frequency (docs/miniature-world.md has the curves).
    """
    steps = torch.arange(-config.max_positions, config.max_positions + 1)
    buckets = relative_bucket(steps, config.relative_buckets, config.relative_distance)
    sums, counts = torch.zeros(2, config.relative_buckets)
    sums.index_add_(0, buckets, steps.float())
    counts.index_add_(0, buckets, torch.ones(len(steps)))
    distance = sums / counts.clamp(min=1)  # the mean signed distance of each bucket
    for head in range(config.heads):
        away = distance > 0 if head % 2 else distance < 0
        table.weight[:, head] = (-distance.abs() * 2.0 ** -(head // 2) - 4.0 * away).clamp(min=-8)
