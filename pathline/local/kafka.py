"""A real Apache Kafka on this machine: one KRaft node, broker and controller in one process."""

from __future__ import annotations

import signal
import subprocess
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from pathline.local import jars, java, ports
from pathline.local.children import die_with_parent, environment
from pathline.local.classes import Classes
from schemas.topics import MESSAGE_BYTES

START_SECONDS = 180.0
STOP_SECONDS = 20.0

_SETTINGS = f"""
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
# small segments are compacted soon, so that the log of offsets is read in a moment at a start: a node that is both
# controller and broker leads it twice in a row then, and Kafka 4.1 may serve what it has read of it so far
offsets.topic.segment.bytes=1048576
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# a worker that starts is not kept waiting for others, and short sessions are possible in tests
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
# an abandoned transaction hides everything behind it: look for expired ones every second
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
message.max.bytes={MESSAGE_BYTES}
replica.fetch.max.bytes={MESSAGE_BYTES}
# a laptop: small segments so that retention and compaction take effect, little memory for the cleaner
log.segment.bytes=134217728
log.index.size.max.bytes=1048576
log.retention.check.interval.ms=60000
log.cleaner.dedupe.buffer.size=33554432
log.cleaner.backoff.ms=30000
# small transactions are what a line makes, and each is a dozen short requests: what counts is how often a thread has to
# be woken for them. Offsets are written at once instead of waiting 5 ms for others to go with them.
num.network.threads=1
num.io.threads=2
group.coordinator.threads=1
group.coordinator.append.linger.ms=0
# the broker need not ask itself whether each partition of each transaction was announced: that guards against records
# that overtake their own abort, and a worker that fails ends and comes back with a new epoch, never aborts and goes on
transaction.partition.verification.enable=false
# one node knows at once that it is alive
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
"""

_LOGGING = """
rootLogger.level=WARN
rootLogger.appenderRef.out.ref=out
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %p %c{1}: %m%n
logger.server.name=kafka.server.KafkaRaftServer
logger.server.level=INFO
"""


def cluster_id(folder: Path) -> str:
    """Kafka's way to write the id of the cluster that is made in a folder: 16 bytes in URL-safe base64."""
    return urlsafe_b64encode(uuid.uuid5(uuid.NAMESPACE_URL, str(folder)).bytes).decode().rstrip("=")


class KafkaBroker:
    """One broker whose data, settings and log live in `folder`; a second start goes on with the same data.

    `heap_mb` bounds the Java heap in MiB. Port 0 takes a free one at the first start and keeps it. `home` is that of
    the line it belongs to, if any. It is also a `Service` for the supervisor.
    """

    name = "kafka"
    web_port = 0

    def __init__(
        self,
        folder: Path,
        heap_mb: int = 512,
        port: int = 0,
        log: Path | None = None,
        home: Path | None = None,
    ) -> None:
        self.folder = folder.absolute()
        self.heap_mb = heap_mb
        self.port = port
        self.log = log or self.folder / "kafka.log"
        self.home = home or self.folder
        self.answers = False
        self._process: subprocess.Popen[bytes] | None = None
        self._classes: Classes | None = None

    @property
    def bootstrap(self) -> str:
        """Bootstrap servers, for `Settings.brokers`."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """Process id, None before the first start."""
        return self._process.pid if self._process else None

    def running(self) -> bool:
        """Whether the broker process is there."""
        return self._process is not None and self._process.poll() is None

    def exit_code(self) -> int | None:
        """How the process ended, negative for a signal; None while it runs or was never launched."""
        return self._process.poll() if self._process else None

    def launch(self, progress: Callable[[str], None] = lambda line: None) -> None:
        """Start the process without waiting until it is ready. Raises RuntimeError when it can't be started."""
        libraries = jars.fetch(progress)
        self.port = self.port or ports.free()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        virtual_machine = java.find()
        command = [str(virtual_machine), f"-Xmx{self.heap_mb}m", "-Xms128m", "-XX:+UseSerialGC"]
        # one collector thread: measured, a small heap needs no more, and those of G1 cost a third more delay on few
        # cores. The quick compiler only: measured, the broker then takes half the processor time, at its start and for
        # the first millions of records; the thorough one would compete with the workers for a laptop's few cores
        command += ["-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true"]
        command += [f"-Dlog4j2.configurationFile={self._write('log4j2.properties', _LOGGING)}"]
        command += ["-cp", f"{libraries}/*"]
        self._classes = Classes(virtual_machine, libraries, self.folder / "classes.jsa")
        begin = self._classes.begin()
        settings = str(self._write("server.properties", self._settings()))
        with self.log.open("ab") as log:
            if not self._identity().exists():
                # joined by =, as an id may begin with a dash
                identity = f"--cluster-id={cluster_id(self.folder)}"
                formatting = ["kafka.tools.StorageTool", "format", "--config", settings, identity]
                if subprocess.run([*command, *begin, *formatting], stdout=log, stderr=log).returncode:
                    raise RuntimeError("\n".join([f"Kafka can't use {self.folder}:", *self._last_words()]))
            self._process = subprocess.Popen(
                [*command, *(begin or self._classes.leave()), "kafka.Kafka", settings],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=environment(self.home),
                preexec_fn=die_with_parent(signal.SIGTERM),
                # Ctrl-C in a terminal is for the supervisor, which stops the broker last
                start_new_session=True,
            )

    def start(self, progress: Callable[[str], None] = lambda line: None) -> str:
        """Start and wait until clients are served; returns the bootstrap servers.

        Call it from a thread that lives as long as the broker should. Raises RuntimeError with the end of the log when
        the broker stops or is not ready in time.
        """
        self.launch(progress)
        deadline = time.monotonic() + START_SECONDS
        while not self.ready():
            if not self.running() or time.monotonic() > deadline:
                why = "is not ready" if self.running() else "stopped while starting"
                self.kill()
                raise RuntimeError("\n".join([f"Kafka {why}; the end of {self.log}:", *self._last_words()]))
            time.sleep(0.05)
        return self.bootstrap

    def ready(self) -> bool:
        """Whether this broker, and not another one that has its port, answers clients."""
        self.answers = self._answers()
        return self.answers

    def last_words(self) -> str:
        """The last line of its log."""
        words = self._last_words() if self.log.exists() else []
        return words[-1] if words else ""

    def _answers(self) -> bool:
        if not ports.answers(self.port):
            return False
        client = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        try:
            found = client.list_topics(timeout=2)
        except KafkaException:
            return False
        return bool(found.brokers) and f"cluster.id={found.cluster_id}" in self._identity().read_text().splitlines()

    def stop(self) -> None:
        """End the broker in order, with everything on disk; kills it when that takes longer than 20 s."""
        self.terminate()
        if not self.wait(STOP_SECONDS):
            self.kill()

    def terminate(self) -> None:
        """Ask the broker to stop in order."""
        if self._process is not None:
            self._process.terminate()

    def wait(self, seconds: float) -> bool:
        """Whether the broker has ended within that time."""
        if self._process is None:
            return True
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        if self._classes is not None:
            self._classes.keep()
        return True

    def kill(self) -> None:
        """End the broker at once, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _last_words(self) -> list[str]:
        """The end of the log without the frames of stack traces, which hide the message."""
        lines = self.log.read_text("utf-8", "replace").splitlines()
        return [line for line in lines if not line.startswith("\t")][-10:]

    def _identity(self) -> Path:
        return self.folder / "data" / "meta.properties"

    def _write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text.lstrip(), "utf-8")
        return path

    def _settings(self) -> str:
        controller = self._controller_port()
        return _SETTINGS + "\n".join(
            [
                f"listeners=PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller}",
                f"advertised.listeners=PLAINTEXT://127.0.0.1:{self.port}",
                f"controller.quorum.voters=1@127.0.0.1:{controller}",
                f"log.dirs={self.folder / 'data'}",
                "",
            ]
        )

    def _controller_port(self) -> int:
        """Only the broker itself uses it, so any free port will do at each start."""
        while (port := ports.free()) == self.port:
            pass
        return port
