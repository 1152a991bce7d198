"""Links found while loading history without a line: kept in the home until a line takes them."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import IO

import msgspec
from confluent_kafka import Producer

from schemas.kafka import producer_config
from schemas.records import Link, LinkEnvelope
from schemas.registry import codec_for
from schemas.settings import Settings
from schemas.topics import LINKS


@dataclass(frozen=True, slots=True)
class LinkFile:
    """All links of the loads of one home, in the order in which the graph heard of them, one JSON object a line.

    A second file tells how many of them the line has.
    """

    folder: Path

    def read(self) -> list[Link]:
        """Every link so far. A line that was cut off by a kill is none."""
        if not self._links.exists():
            return []
        lines = self._links.read_bytes().split(b"\n")[:-1]
        return [msgspec.json.decode(line, type=Link) for line in lines]

    def add(self, links: Iterable[Link]) -> None:
        """Keep more links."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._links.open("ab+") as file:
            file.truncate(_whole(file))
            file.writelines(msgspec.json.encode(link) + b"\n" for link in links)

    def forget(self, identifiers: Collection[str]) -> None:
        """Take the links of these identifiers away."""
        links, there = self.read(), self._published()
        kept = [link.a not in identifiers and link.b not in identifiers for link in links]
        if all(kept):
            return
        # the count first: a kill in between sends some again, which changes nothing
        if there:
            self._count.write_text(json.dumps(sum(kept[:there])), "utf-8")
        part = self._links.with_suffix(".part")
        part.write_bytes(b"".join(msgspec.json.encode(link) + b"\n" for link in compress(links, kept)))
        part.replace(self._links)

    def publish(self, settings: Settings) -> int:
        """Send what the line does not have yet to `identity.links`; their number.

        A kill in between sends some again, which changes nothing: persons are a function of the set of links. Raises
        KafkaException.
        """
        links, there = self.read(), self._published()
        if there >= len(links):
            return 0
        codec, producer = codec_for(settings), Producer(producer_config(settings.brokers))
        for link in links[there:]:
            producer.produce(LINKS, codec.encode(LinkEnvelope(kind="link", link=link)), b"links")
            producer.poll(0)
        if left := producer.flush(60):
            raise TimeoutError(f"Kafka did not acknowledge {left} links of loaded history")
        self._count.write_text(json.dumps(len(links)), "utf-8")
        return len(links) - there

    @property
    def _links(self) -> Path:
        return self.folder / "links.jsonl"

    @property
    def _count(self) -> Path:
        return self.folder / "published.json"

    def _published(self) -> int:
        return int(json.loads(self._count.read_text("utf-8"))) if self._count.exists() else 0


def _whole(file: IO[bytes]) -> int:
    """How many bytes of a file are whole lines."""
    end = file.seek(0, os.SEEK_END)
    while end:
        begin = max(0, end - 4096)
        file.seek(begin)
        if (last := file.read(end - begin).rfind(b"\n")) >= 0:
            return begin + last + 1
        end = begin
    return 0


def links_of(home: Path) -> LinkFile:
    """The links of history loaded in a home."""
    return LinkFile(home / "history")
