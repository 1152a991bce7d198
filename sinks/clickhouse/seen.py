"""Which ids may have been there before, in memory that does not grow with their number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: 64 MiB; of ten million ids one in five thousand is taken for known, of fifty million one in seventy
BITS = 29


class Seen:
    """A Bloom filter (Bloom 1970, three hashes) over ids that are hashes themselves, as version 5 UUIDs are."""

    def __init__(self, bits: int = BITS) -> None:
        self._mask = (1 << bits) - 1
        self._bits = np.zeros(1 << (bits - 3), np.uint8)

    def add(self, ids: Sequence[str]) -> list[int]:
        """Remember ids (hexadecimal, with or without hyphens); gives the places of those that may have been added
        before, surely of all that were."""
        if not ids:
            return []
        parts = np.frombuffer(bytes.fromhex("".join(ids).replace("-", "")), ">u4").reshape(-1, 4)
        # not the second: it holds the version
        places = (parts[:, [0, 2, 3]] & self._mask).astype(np.int64)
        bytes_, bits = places >> 3, np.left_shift(1, places & 7).astype(np.uint8)
        known = np.flatnonzero(((self._bits[bytes_] & bits) != 0).all(axis=1))
        np.bitwise_or.at(self._bits, bytes_, bits)
        return [int(place) for place in known]
