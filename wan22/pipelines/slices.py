"""Runs a transformer's blocks over slices of the sequence: less memory at equal results.

In 16 bits the most that a block of Wan holds at once is eleven times its input, and it is in no single place: the
feed-forward's inner numbers, the residuals in fp32 and the rotation of queries and keys each take nine or more. Slices
of attention and of the feed-forward alone save nothing there. So everything that a token does by itself, all but the
keys and values that every token looks at, is done for one slice after the other, by the block's own code. What is left
is four times the input (what comes in, keys, values, what goes out), and a slice's share of the rest. diffusers'
`enable_attention_slicing` does nothing for Wan.

How many tokens a slice has, and whether there are slices at all, is for whoever plans the run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wan22.pipelines.held import held

if TYPE_CHECKING:
    import torch


@contextmanager
def in_slices(blocks: Iterable[Any], tokens: int, *, queries: int | None = None) -> Iterator[None]:
    """Inside, each of the blocks (WanTransformerBlock) runs over at most `tokens` tokens of the sequence at once.

    `queries` of them at most attend at once, usually all. Fewer are for devices whose attention keeps a matrix of
    scores, heads x queries x tokens of the whole sequence. Sequences that are no longer than either are run as always.
    A thousand tokens cost no time on a CPU; with 512 attention took a fifth more (`scripts/bench/slices.py`).

    Results are the same but for the order in which a matrix product sums: a pass is within 1e-5 in fp32. LoRAs, narrow
    weights, group offloading and hooks on the blocks work as without, put on before or inside; but layers that are
    streamed one by one are on the device a block at a time. Only where one device has the whole sequence.

    Raises ValueError for slices without a token.
    """
    queries = tokens if queries is None else queries
    if min(tokens, queries) < 1:
        raise ValueError("a slice has at least one token")
    with ExitStack() as stack:
        for block in blocks:
            stack.enter_context(_sliced(block, tokens, queries))
        yield


@contextmanager
def _sliced(block: Any, tokens: int, queries: int) -> Iterator[None]:
    before = getattr(*_innermost(block))
    _put_innermost(block, _Slices(block, tokens, queries).forward)
    try:
        yield
    finally:
        _put_innermost(block, before)


def _innermost(block: Any) -> tuple[Any, str]:
    """Whose attribute the block's own forward is, and which: the block's, or that of the first of diffusers' hooks.

    Inside the hooks, since some bring the block's weights. It is looked for again at the end, because hooks come and
    go with LoRAs.
    """
    registry = getattr(block, "_diffusers_hook", None)
    if not registry or not registry._fn_refs:
        return block, "forward"
    first = registry._fn_refs[0]
    return first, "forward" if first.original_forward is None else "original_forward"


def _put_innermost(block: Any, forward: Callable[..., Any]) -> None:
    holder, name = _innermost(block)
    setattr(holder, name, forward)
    if holder is block and forward == _own_forward(block):
        del block.forward  # the class has it


def _own_forward(block: Any) -> Callable[..., Any]:
    """As the class has it, whatever is around it."""
    forward: Callable[..., Any] = type(block).forward.__get__(block)
    return forward


@dataclass(frozen=True, eq=False)
class _Slices:
    """One block's pass, slice by slice."""

    block: Any
    tokens: int
    queries: int

    def forward(
        self, hidden_states: torch.Tensor, encoder_hidden_states: torch.Tensor, temb: torch.Tensor, rotary_emb: Any
    ) -> torch.Tensor:
        """What the block's own forward gives: (B, S, width) as `hidden_states`.

        `temb` (B, 6, width), or (B, S, 6, width) where tokens are at timesteps of their own; `rotary_emb` cosines and
        sines, (1, S, 1, head) each.
        """
        import torch

        length, plain = hidden_states.shape[1], _own_forward(self.block)
        if length <= min(self.tokens, self.queries):
            return plain(hidden_states, encoder_hidden_states, temb, rotary_emb)
        given = _Given(hidden_states, temb, rotary_emb)
        out = torch.empty_like(hidden_states)
        with held(self.block), self._attending_to_all(given):
            for part in _parts(length, self.tokens):
                hidden, temb, rotary_emb = given.of(part)
                out[:, part] = plain(hidden, encoder_hidden_states, temb, rotary_emb)
        return out

    @contextmanager
    def _attending_to_all(self, given: _Given) -> Iterator[None]:
        """Inside, the block's self-attention is that of the slice it is given over the whole sequence."""
        attention = self.block.attn1
        before = attention.processor
        keys, values = self._keys_and_values(given)
        attention.set_processor(_Queries(keys, values, self.queries, before._attention_backend))
        try:
            yield
        finally:
            attention.set_processor(before)

    def _keys_and_values(self, given: _Given) -> tuple[torch.Tensor, torch.Tensor]:
        """Of all tokens, (B, S, heads, head) each, as WanTransformerBlock and WanAttnProcessor make them."""
        import torch

        attention = self.block.attn1
        whole = given.hidden.unflatten(2, (attention.heads, -1))
        keys, values = torch.empty_like(whole), torch.empty_like(whole)
        for part in _parts(whole.shape[1], self.tokens):
            hidden, temb, rotary_emb = given.of(part)
            normed = _modulated(self.block, hidden, temb)
            key = attention.norm_k(attention.to_k(normed)).unflatten(2, (attention.heads, -1))
            keys[:, part] = _rotated(key, *rotary_emb)
            values[:, part] = attention.to_v(normed).unflatten(2, (attention.heads, -1))
        return keys, values


@dataclass(frozen=True, eq=False)
class _Given:
    """What a block is given for each token."""

    hidden: torch.Tensor
    temb: torch.Tensor
    rotary_emb: tuple[torch.Tensor, torch.Tensor]

    def of(self, part: slice) -> tuple[torch.Tensor, torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """The same for the tokens of one slice."""
        cosines, sines = self.rotary_emb
        temb = self.temb[:, part] if self.temb.ndim == 4 else self.temb
        return self.hidden[:, part], temb, (cosines[:, part], sines[:, part])


@dataclass(frozen=True, eq=False)
class _Queries:
    """An attention processor for a slice of the queries; in all else WanAttnProcessor's self-attention."""

    keys: torch.Tensor
    values: torch.Tensor
    at_once: int
    backend: Any

    def __call__(
        self, attention: Any, hidden_states: torch.Tensor, _text: None, _mask: None, rotary_emb: Any
    ) -> torch.Tensor:
        """The attention's output for the slice, (B, n, width) as `hidden_states`."""
        import torch

        query = attention.norm_q(attention.to_q(hidden_states)).unflatten(2, (attention.heads, -1))
        query = _rotated(query, *rotary_emb)
        attended = torch.cat([self._attend(some) for some in query.split(self.at_once, dim=1)], dim=1)
        project, drop = attention.to_out
        return drop(project(attended.flatten(2, 3).type_as(query)))

    def _attend(self, query: torch.Tensor) -> torch.Tensor:
        from diffusers.models.attention_dispatch import dispatch_attention_fn

        return dispatch_attention_fn(query, self.keys, self.values, backend=self.backend)


def _parts(length: int, tokens: int) -> Iterator[slice]:
    """All of `length` in as few slices as `tokens` allows, equally long but for the last."""
    each = math.ceil(length / math.ceil(length / tokens))
    for begin in range(0, length, each):
        yield slice(begin, min(begin + each, length))


def _modulated(block: Any, hidden: torch.Tensor, temb: torch.Tensor) -> torch.Tensor:
    """What a block's self-attention is given; the first two of the six modulations are its shift and scale."""
    shift, scale = (block.scale_shift_table[:, :2] + temb[..., :2, :].float()).unbind(-2)
    if temb.ndim == 3:
        shift, scale = shift.unsqueeze(1), scale.unsqueeze(1)
    normed: torch.Tensor = block.norm1(hidden.float()) * (1 + scale) + shift
    return normed.type_as(hidden)


def _rotated(states: torch.Tensor, cosines: torch.Tensor, sines: torch.Tensor) -> torch.Tensor:
    """The rotary embedding of (B, n, heads, head), which inside WanAttnProcessor has no name to call it by."""
    import torch

    even, odd = states.unflatten(-1, (-1, 2)).unbind(-1)
    cosines, sines = cosines[..., 0::2], sines[..., 1::2]
    rotated = torch.empty_like(states)
    rotated[..., 0::2] = even * cosines - odd * sines
    rotated[..., 1::2] = even * sines + odd * cosines
    return rotated
