"""A long source is read in a process of its own, so that two cores work on a load.

The process is told on its standard input what to read, and answers with frames: pieces, then the end or what is wrong
with the source.
"""

from __future__ import annotations

import gc
import os
import pickle
import queue
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Generator
from dataclasses import replace
from typing import BinaryIO

import msgspec

from connectors.inbound.files.base import BadSource, Source, repeatable
from connectors.inbound.files.position import Position
from pathline.history.reading import Piece, Task, read
from pathline.local.children import die_with_parent

#: a source of more items than this is worth a process
LONG = 25_000
#: so many pieces wait to be taken
AHEAD = 2
Pieces = Generator[Piece, None, None]
_FRAME = struct.Struct(">cQ")
_PIECE, _BAD, _END = b"p", b"x", b"."


def pieces(task: Task) -> Pieces:
    """As `pathline.history.reading.read`."""
    if task.position.count >= LONG and _can_go(task.source):
        yield from _read_beside(task)
        return
    for piece in read(task):
        yield piece
        if piece.count >= LONG and piece.count - piece.first == task.size and _can_go(task.source):
            behind = replace(task, position=Position(piece.count, piece.digest))
            for later in _read_beside(behind):
                if not later.first:
                    raise BadSource("the source was changed while it was read")
                yield later
            return


def _can_go(source: Source) -> bool:
    """Whether another process can read the source, and there is a core for it. Formats of other packages may have
    anything in them."""
    if not repeatable(source) or os.cpu_count() == 1:
        return False
    try:
        pickle.dumps(source)
    except (pickle.PicklingError, TypeError, AttributeError, ValueError):
        return False
    return True


def _read_beside(task: Task) -> Pieces:
    command = [sys.executable, "-m", "pathline.history.beside"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=die_with_parent(signal.SIGKILL)
    )
    assert process.stdin is not None
    assert process.stdout is not None
    frames: queue.Queue[tuple[bytes, bytes]] = queue.Queue(AHEAD)
    stopped = threading.Event()
    taker = threading.Thread(target=_take, args=(process.stdout, frames, stopped), daemon=True)
    taker.start()
    try:
        with process.stdin:
            pickle.dump(task, process.stdin)
        decode = msgspec.msgpack.Decoder(Piece).decode
        while True:
            kind, body = frames.get()
            if kind == _END:
                return
            if kind == _BAD:
                raise BadSource(body.decode())
            if kind != _PIECE:
                raise OSError("the process that reads the source died")
            yield decode(body)
    finally:
        stopped.set()
        process.kill()
        process.wait()
        taker.join()
        process.stdout.close()


def _take(pipe: BinaryIO, frames: queue.Queue[tuple[bytes, bytes]], stopped: threading.Event) -> None:
    """Gather frames until there are no more, or nobody wants them."""
    kind = _PIECE
    while kind == _PIECE:
        head = pipe.read(_FRAME.size)
        kind, size = _FRAME.unpack(head) if len(head) == _FRAME.size else (b"", 0)
        body = pipe.read(size)
        while not stopped.is_set():
            try:
                frames.put((kind, body), timeout=0.2)
                break
            except queue.Full:
                continue


def main() -> None:
    """Read what the standard input says, and write frames of it to the standard output."""
    # ^C is for the process that asked; where the kernel does not end this one with it, there is nobody to write to
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    # nothing in an event leads back to it
    gc.disable()
    task: Task = pickle.load(sys.stdin.buffer)
    out, encode = sys.stdout.buffer, msgspec.msgpack.Encoder().encode

    def say(kind: bytes, body: bytes) -> None:
        out.write(_FRAME.pack(kind, len(body)))
        out.write(body)
        out.flush()

    try:
        for piece in read(task):
            say(_PIECE, encode(piece))
    except (BadSource, OSError) as error:
        say(_BAD, str(error).encode())
    else:
        say(_END, b"")


if __name__ == "__main__":
    main()
