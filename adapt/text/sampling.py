"""Which documents of a text are used: drawn by keys that depend on the seed and the document's number alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pretrain.base.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def hash_keys(seed: int, purpose: str, indices: NDArray[Any]) -> NDArray[np.uint64]:
    """A pseudo-random 64-bit key for each index, from (seed, purpose, index) alone: stable on every machine."""
    start = hashlib.sha256(f"{purpose}:{seed}".encode()).digest()[:8]
    with np.errstate(over="ignore"):
        x = np.asarray(indices).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(int.from_bytes(start))
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)  # the finaliser of splitmix64
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


@dataclass
class Selection:
    """Splits documents into train and valid, and fits the training part to a token budget.

    Each document has two keys drawn from (seed, number). Valid are the documents whose valid key lies below the
    fraction (or, by count, the smallest valid keys; always at least one). Of the others, those with the smallest train
    keys make up the budget. While the text streams by, the part of a key's range that can no longer be chosen is
    known, so that most of a large corpus is not encoded for a small budget.
    """

    seed: int
    fraction: float
    count: int
    budget: int | None
    _low_valid: Any = field(init=False)  # the smallest valid keys so far
    _train: list[Any] = field(default_factory=list)  # (keys, sizes) of documents that are surely not valid
    _train_tokens: int = 0
    _train_limit: int | None = None  # larger train keys are out of reach

    def __post_init__(self) -> None:
        self._low_valid = np.zeros(0, dtype=np.uint64)

    def _keys(self, indices: NDArray[Any]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        return hash_keys(self.seed, "valid", indices), hash_keys(self.seed, "train", indices)

    def _is_valid(self, valid_keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """What may still be a validation document."""
        low = valid_keys < np.uint64(min(int(self.fraction * 2.0**64), 2**64 - 1))
        if len(self._low_valid) < self.count:
            return np.ones(len(valid_keys), dtype=bool)
        return low | (valid_keys <= self._low_valid[-1])

    def wanted(self, indices: NDArray[Any]) -> NDArray[np.bool_]:
        """Which of these documents (numbers not seen before) may end up in a part and so must be encoded."""
        if self._train_limit is None:
            return np.ones(len(indices), dtype=bool)
        valid_keys, train_keys = self._keys(indices)
        return self._is_valid(valid_keys) | (train_keys <= np.uint64(self._train_limit))

    def add(self, indices: NDArray[Any], sizes: NDArray[Any]) -> None:
        """Takes in the sizes (tokens) of encoded documents, to know what is out of reach."""
        if self.budget is None:
            return
        valid_keys, train_keys = self._keys(indices)
        self._low_valid = np.sort(np.concatenate([self._low_valid, valid_keys[sizes > 0]]))[:self.count]
        sure = ~self._is_valid(valid_keys)
        self._train.append((train_keys[sure], sizes[sure].astype(np.int64)))
        self._train_tokens += int(sizes[sure].sum())
        if self._train_tokens > self.budget + self.budget // 4:
            keys = np.concatenate([keys for keys, _ in self._train])
            held = np.concatenate([held for _, held in self._train])
            order = np.argsort(keys, kind="stable")
            last = int(np.searchsorted(np.cumsum(held[order]), self.budget))
            order = order[:last + 1]
            self._train = [(keys[order], held[order])]
            self._train_tokens = int(held[order].sum())
            self._train_limit = int(keys[order[-1]])

    def parts(self, indices: NDArray[Any], sizes: NDArray[Any],
              joined: bool = True) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Masks (train, valid) over the encoded documents, given in their order.

        Args:
            joined: whether lines stand together in documents, as the error then advises.

        Raises:
            UserError: fewer than two documents, or fewer tokens than the budget.
        """
        some = sizes > 0
        if np.count_nonzero(some) < 2:
            found = "1 document" if np.count_nonzero(some) else "no document with a token"
            raise UserError(f"the text has {found}, expected at least 2 (one is held out for validation); pass more text, or "
                            + ("--documents line to count each line as one" if joined else "break it into lines"))
        valid_keys, train_keys = self._keys(indices)
        self._low_valid = np.sort(valid_keys[some])[:self.count]
        if self.count >= np.count_nonzero(some):
            raise UserError(f"--valid-documents {self.count}: expected fewer than the {np.count_nonzero(some)} "
                            "documents of the text; hold out fewer")
        valid = some & self._is_valid(valid_keys)
        train = some & ~valid
        if not train.any():
            raise UserError(f"--valid-fraction {self.fraction} leaves no document for training; hold out less")
        if self.budget is not None:
            candidates = np.flatnonzero(train)
            order = candidates[np.argsort(train_keys[candidates], kind="stable")]
            totals = np.cumsum(sizes[order], dtype=np.int64)
            if totals[-1] < self.budget:
                held = "1 document" if len(order) == 1 else f"{len(order)} documents"
                raise UserError(f"--tokens {self.budget}: the training part of the text has {totals[-1]} tokens in {held}; pass "
                                f"more text or ask for at most {totals[-1]}")
            last = int(np.searchsorted(totals, self.budget))
            if last and self.budget - totals[last - 1] < totals[last] - self.budget:
                last -= 1  # without the last document the sum is nearer
            train = np.zeros(len(indices), dtype=bool)
            train[order[:last + 1]] = True
        return train, valid
