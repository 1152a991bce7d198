"""Compression on the wire, as HTTP names it."""

from __future__ import annotations

import io
import zlib

import pyarrow as pa

#: HTTP's name -> Arrow's, the quickest first; `deflate` is none of Arrow's
_CODECS = {"zstd": "zstd", "lz4": "lz4", "gzip": "gzip", "br": "brotli"}
ENCODINGS = (*_CODECS, "deflate")
_STEP = 64 * 1024


class _Open(io.BytesIO):
    def close(self) -> None:
        """Arrow closes what it writes to; what it wrote last is still to be read."""


class Packer:
    """Packs a stream part by part; `encoding` is one of `_CODECS`, or empty to leave it as it is."""

    def __init__(self, encoding: str) -> None:
        self._out = _Open()
        self._into = pa.CompressedOutputStream(pa.PythonFile(self._out, "w"), _CODECS[encoding]) if encoding else None

    def pack(self, data: bytes, last: bool = False) -> bytes:
        """What can be sent now."""
        if self._into is None:
            return data
        self._into.write(data)
        self._into.flush()
        if last:
            self._into.close()
        packed = self._out.getvalue()
        self._out.seek(0)
        self._out.truncate()
        return packed


def chosen(accepted: str) -> str:
    """The encoding for a client that accepts these (header Accept-Encoding), empty for none."""
    wanted = {}
    for item in accepted.lower().split(","):
        name, _, quality = item.partition(";")
        wanted[name.strip()] = not quality.replace(" ", "").rstrip("0").endswith(("q=", "q=0."))
    return next((name for name in _CODECS if wanted.get(name, wanted.get("*", False))), "")


class TooLong(Exception):
    """There is more in it than allowed."""


class Broken(Exception):
    """It is not what it says, or cut off."""


def unpacked(data: bytes, encoding: str, most: int) -> bytes:
    """What was packed by one of `ENCODINGS`. Raises TooLong past `most` bytes, Broken."""
    if encoding in ("gzip", "deflate"):
        return _inflated(data, encoding, most)
    found = bytearray()
    try:
        with pa.CompressedInputStream(pa.BufferReader(data), _CODECS[encoding]) as stream:
            while part := stream.read(_STEP):
                found += part
                if len(found) > most:
                    raise TooLong
    except OSError as error:
        raise Broken("cut off" if "runcated" in str(error) else "not") from error
    return bytes(found)


def _inflated(data: bytes, encoding: str, most: int) -> bytes:
    # 32 more bits tell zlib to recognise either form
    unpacking = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        found = unpacking.decompress(data, most)
    except zlib.error as error:
        raise Broken("not") from error
    if unpacking.unconsumed_tail:
        raise TooLong
    if not unpacking.eof:
        raise Broken("cut off")
    return found
