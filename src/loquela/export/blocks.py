"""Weights in blocks: every 32 numbers of a row share one scale, and each is a small integer.

    weight ≈ (code - 2^(bits-1)) · scale,   code in 0 .. 2^bits - 1

The scale is the one, of several near the usual, that leaves the smallest squared error in its block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLOCK = 32
# Factors on the scale that sends the largest number of a block to the end of the range. Clipping it a little makes
# the steps of the others finer; at 8 bits there is nothing to win.
SCALE_FACTORS = {4: (1.0, 0.95, 0.9, 0.85, 0.8, 1.05), 8: (1.0,)}

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Blocks:
    """A matrix [M, K] in blocks: `codes` [M, blocks, 32] below 2^bits, `scales` [M, blocks]; K padded with zeros."""

    codes: Bytes
    scales: Floats
    bits: int
    columns: int

    @property
    def packed(self) -> Bytes:
        """[M, blocks, bytes]; of two 4-bit codes in a byte the first is the low half."""
        if self.bits == 8:
            return self.codes
        return np.bitwise_or(self.codes[..., 0::2], np.left_shift(self.codes[..., 1::2], np.uint8(4)), dtype=np.uint8)

    @property
    def values(self) -> Floats:
        """The matrix that the blocks stand for [M, K]."""
        centred = self.codes.astype(np.float32) - 2 ** (self.bits - 1)
        whole: Floats = (centred * self.scales[..., None]).reshape(len(self.codes), -1)
        return whole[:, : self.columns]


def in_blocks(weight: Floats, bits: int) -> Blocks:
    """`weight` [M, K] in blocks of 32 along K, `bits` (4 or 8) a number."""
    rows, columns = weight.shape
    padded = np.zeros((rows, -(-columns // BLOCK) * BLOCK), dtype=np.float32)
    padded[:, :columns] = weight
    blocks = padded.reshape(rows, -1, BLOCK)
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=-1)[..., None], axis=-1)[..., 0]
    usual: Floats = (largest / -(2.0 ** (bits - 1))).astype(np.float32)
    best_codes, best_scales = _coded(blocks, usual, bits), usual
    best_error = _error(blocks, best_codes, best_scales, bits)
    for factor in SCALE_FACTORS[bits][1:]:
        scales: Floats = (usual * factor).astype(np.float32)
        codes = _coded(blocks, scales, bits)
        error = _error(blocks, codes, scales, bits)
        better = error < best_error
        best_codes = np.where(better[..., None], codes, best_codes)
        best_scales = np.where(better, scales, best_scales)
        best_error = np.minimum(error, best_error)
    return Blocks(best_codes, best_scales, bits, columns)


def _coded(blocks: Floats, scales: Floats, bits: int) -> Bytes:
    divisor = np.where(scales == 0, 1, scales)[..., None]
    codes = np.rint(blocks / divisor) + 2 ** (bits - 1)
    coded: Bytes = np.clip(codes, 0, 2**bits - 1).astype(np.uint8)
    return coded


def _error(blocks: Floats, codes: Bytes, scales: Floats, bits: int) -> Floats:
    """Squared error of every block [M, blocks]."""
    values = (codes.astype(np.float32) - 2 ** (bits - 1)) * scales[..., None]
    error: Floats = np.square(values - blocks).sum(axis=-1)
    return error
