"""How one line is set up: the same typed settings in every process, from the environment.

`pathline up` writes them for its processes; a deployment sets the `PATHLINE_...` variables itself.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.clock import Clock, ScaledClock, WallClock


class Settings(BaseSettings):
    """Settings of a line. Times are milliseconds since 1970 UTC unless the name says otherwise."""

    model_config = SettingsConfigDict(env_prefix="PATHLINE_", extra="ignore", frozen=True)

    home: Path = Field(Path(".pathline"), description="What is local to a line: state, warehouse files, logs.")
    brokers: str = Field("127.0.0.1:9092", description="Kafka bootstrap servers.")
    registry: str = Field("", description="Schema registry URL; empty: ids from the id file kept with the schemas.")
    partitions: int = Field(2, ge=1, description="N, the partition count of all topics that are not single.")
    replication: int = Field(1, ge=1, description="Replication factor of the topics.")
    warehouse: str = Field("", description="ClickHouse DSN of a server; empty: the embedded engine in home/warehouse.")
    worker: int = Field(0, ge=0, description="Stable number of this worker, given by its supervisor.")
    web_host: str = Field("127.0.0.1", description="Interface of metrics and readiness; 0.0.0.0 for all.")
    web_port: int = Field(0, ge=0, description="Port of metrics and readiness; 0 picks a free one.")
    clock: str = Field("wall", pattern="^(wall|scaled)$", description="wall or scaled.")
    clock_start: int = Field(0, description="Scaled clock: line time at clock_started.")
    clock_speed: float = Field(1.0, gt=0, description="Scaled clock: line seconds a wall second.")
    clock_until: int = Field(0, description="Scaled clock: line time at which it stops.")
    clock_started: int = Field(0, description="Scaled clock: wall time at which it started.")
    session_timeout_ms: int = Field(6_000, ge=1_000, description="Consumer group session timeout.")
    transaction_timeout_ms: int = Field(10_000, ge=1_000, description="Kafka transaction timeout.")
    batch_records: int = Field(30_000, ge=1, description="Most records in one transaction.")
    dead_letter_ratio: float = Field(0.2, gt=0, le=1, description="A reader stops above this share of dead letters.")
    dead_letter_run: int = Field(1_000, ge=1, description="A reader stops after so many dead letters in a row.")
    public_url: str = Field("", description="Collector as people reach it, for links in messages; empty: no links.")
    secret: str = Field("", description="Signs links in messages; empty: a secret made once in home/secret.")
    write_keys: str = Field("", description="Write keys the collector accepts, separated by commas.")
    api_keys: Path | None = Field(None, description="File of the keys that read profiles; empty: home/api_keys.json.")
    profile_events: int = Field(20, ge=0, le=255, description="Last events kept for profiles, of each identifier.")
    smtp: str = Field("", description="Server for e-mail, smtp://[user:password@]host:port; empty: the mail catcher.")
    catcher: str = Field("http://127.0.0.1:8025", description="Development mailbox: plays providers without settings.")
    smpp_catcher: str = Field("smpp://mailbox@127.0.0.1:2775", description="Its message centre.")
    warehouse_password: str = Field("", description="Password (any user) of the embedded warehouse's HTTP endpoint.")
    warehouse_parts: int = Field(300, ge=1, description="The sink waits while a month of a table has more parts.")
    squash_hours: float = Field(24, ge=0, description="The sink squashes the warehouse so often; 0: never by itself.")
    keep_events_days: int = Field(0, ge=0, le=20_000, description="Events in the warehouse; 0: for ever.")
    keep_decisions_days: int = Field(0, ge=0, le=20_000, description="Decisions in the warehouse; 0: for ever.")
    keep_sends_days: int = Field(0, ge=0, le=20_000, description="Sends and ledger in the warehouse; 0: for ever.")
    keep_accesses_days: int = Field(
        0, ge=0, le=20_000, description="Who read which profile, in the warehouse; 0: for ever."
    )
    keep_profiles_days: int = Field(
        0, ge=0, le=20_000, description="Profiles in the warehouse after their last change; 0: for ever."
    )

    @model_validator(mode="after")
    def _safe(self) -> Settings:
        if self.clock == "scaled" and not (self.clock_start < self.clock_until and self.clock_started > 0):
            raise ValueError("a scaled clock needs clock_start < clock_until and clock_started")
        keeping = (
            "keep_events_days",
            "keep_decisions_days",
            "keep_sends_days",
            "keep_accesses_days",
            "keep_profiles_days",
        )
        if self.clock == "scaled" and any(getattr(self, name) for name in keeping):
            raise ValueError("keep_..._days count by the wall clock: on a scaled line they would remove what is new")
        if self.transaction_timeout_ms < self.session_timeout_ms:
            raise ValueError("transaction_timeout_ms below session_timeout_ms would abort transactions of live workers")
        return self

    @property
    def speed(self) -> float:
        """Line milliseconds a wall millisecond."""
        return self.clock_speed if self.clock == "scaled" else 1.0

    def make_clock(self) -> Clock:
        """The line's clock."""
        if self.clock == "scaled":
            return ScaledClock(self.clock_start, self.clock_speed, self.clock_until, self.clock_started)
        return WallClock()
