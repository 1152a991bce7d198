-- What the line knows, as rows. Every table carries the record it came from (topic, partition, offset), so that any row
-- can be traced back and a repeated batch is told from a new one. Plain MergeTree ignores deduplication tokens unless a
-- window is set; it counts parts, and a batch may span many months.

CREATE TABLE pathline.events_raw
(
    event_id UUID,
    message_id String CODEC(ZSTD(1)),
    type LowCardinality(String),
    name LowCardinality(String),
    channel LowCardinality(String),
    source LowCardinality(String),
    occurred_at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    received_at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    historical Bool,
    person_at UUID COMMENT 'person the event was applied to when it came; the view events has the current one',
    slot String CODEC(ZSTD(1)),
    version UInt32 CODEC(ZSTD(1)) COMMENT 'version of the placement of the slot when the event was applied',
    identifiers Array(String) CODEC(ZSTD(1)),
    send_id Nullable(String) CODEC(ZSTD(1)),
    revenue Nullable(Float64) CODEC(ZSTD(1)),
    properties String CODEC(ZSTD(1)),
    traits String CODEC(ZSTD(1)),
    context String CODEC(ZSTD(1)),
    topic LowCardinality(String),
    partition UInt32 CODEC(Delta(4), ZSTD(1)),
    offset UInt64 CODEC(Delta(8), ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (person_at, occurred_at, event_id)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE pathline.memberships
(
    at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    person_id UUID,
    segment LowCardinality(String),
    change LowCardinality(String) COMMENT 'entered or left',
    cause LowCardinality(String) COMMENT 'event, timer, merge, split, backfill or definition',
    reason String CODEC(ZSTD(1)),
    ordinal UInt32 COMMENT 'place among the changes of one record',
    topic LowCardinality(String),
    partition UInt32 CODEC(Delta(4), ZSTD(1)),
    offset UInt64 CODEC(Delta(8), ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (segment, person_id, at, offset, ordinal)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE pathline.profiles
(
    person_id UUID,
    at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    gone Bool COMMENT 'all that this person had moved to others',
    identifiers Array(String) CODEC(ZSTD(1)) COMMENT 'type:value, newest used first within a type',
    segments Array(String) CODEC(ZSTD(1)),
    profile String CODEC(ZSTD(1)) COMMENT 'the whole profile as JSON',
    topic LowCardinality(String),
    partition UInt32 CODEC(ZSTD(1)),
    offset UInt64 CODEC(ZSTD(1)) COMMENT 'a person stays in one partition, so offsets order its profiles'
)
ENGINE = ReplacingMergeTree(offset)
ORDER BY person_id
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE pathline.moves
(
    at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    from_person UUID,
    to_person UUID,
    slot String CODEC(ZSTD(1)),
    version UInt32,
    reason LowCardinality(String) COMMENT 'merge or split',
    topic LowCardinality(String),
    partition UInt32 CODEC(ZSTD(1)),
    offset UInt64 CODEC(Delta(8), ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (from_person, at, slot)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE pathline.assignments
(
    identifier String CODEC(ZSTD(1)),
    version UInt32 COMMENT 'grows with each change of the identifier; the highest holds',
    since DateTime64(3, 'UTC') COMMENT 'events from then on are filed here; 1970 for the first period',
    person_id UUID,
    slot String CODEC(ZSTD(1)),
    slot_version UInt32,
    generation UInt32 COMMENT 'erasures of the identifier so far',
    topic LowCardinality(String),
    partition UInt32 CODEC(ZSTD(1)),
    offset UInt64 CODEC(Delta(8), ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (identifier, version, since)
SETTINGS non_replicated_deduplication_window = 10000;

-- Only slots that were moved at least once: what is derived needs no look-up.
CREATE TABLE pathline.slot_owners
(
    slot String CODEC(ZSTD(1)),
    version UInt32,
    person_id UUID,
    topic LowCardinality(String),
    partition UInt32 CODEC(ZSTD(1)),
    offset UInt64 CODEC(Delta(8), ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY slot
SETTINGS non_replicated_deduplication_window = 10000;

CREATE DICTIONARY pathline.slot_owner
(
    slot String,
    version UInt32,
    person_id UUID
)
PRIMARY KEY slot
SOURCE(CLICKHOUSE(QUERY 'SELECT slot, version, person_id FROM pathline.slot_owners ORDER BY slot, version DESC LIMIT 1 BY slot' {credentials}))
LIFETIME(0)
LAYOUT(COMPLEX_KEY_HASHED());

CREATE TABLE pathline.refusals
(
    at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    a String CODEC(ZSTD(1)) COMMENT 'stronger identifier',
    b String CODEC(ZSTD(1)) COMMENT 'weaker identifier',
    reason String CODEC(ZSTD(1)),
    source LowCardinality(String),
    refused Bool COMMENT 'false when it counts after all',
    topic LowCardinality(String),
    partition UInt32 CODEC(ZSTD(1)),
    offset UInt64 CODEC(Delta(8), ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (a, b, offset)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE pathline.decisions
(
    at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    decision_id String CODEC(ZSTD(1)),
    person_id UUID,
    journey LowCardinality(String),
    step LowCardinality(String),
    channel LowCardinality(String),
    reason LowCardinality(String),
    detail String CODEC(ZSTD(1)),
    instance_id String CODEC(ZSTD(1)),
    send_id Nullable(String) CODEC(ZSTD(1)),
    topic LowCardinality(String),
    partition UInt32 CODEC(Delta(4), ZSTD(1)),
    offset UInt64 CODEC(Delta(8), ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (person_id, at, offset)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE pathline.sends_raw
(
    send_id String CODEC(ZSTD(1)),
    at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    person_at UUID COMMENT 'person when it was decided; the view sends has the current owner of the address',
    journey LowCardinality(String),
    journey_version LowCardinality(String),
    instance_id String CODEC(ZSTD(1)),
    step LowCardinality(String),
    channel LowCardinality(String),
    category LowCardinality(String),
    purpose LowCardinality(String),
    template LowCardinality(String),
    address String CODEC(ZSTD(1)),
    identifier String CODEC(ZSTD(1)),
    intent String CODEC(ZSTD(1)),
    topic LowCardinality(String),
    partition UInt32 CODEC(Delta(4), ZSTD(1)),
    offset UInt64 CODEC(Delta(8), ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (person_at, at, send_id)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE pathline.ledger
(
    at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    send_id String CODEC(ZSTD(1)),
    person_id UUID,
    channel LowCardinality(String),
    state LowCardinality(String) COMMENT 'handed over, accepted, refused, failed, unknown or withheld',
    provider_id String CODEC(ZSTD(1)),
    detail String CODEC(ZSTD(1)),
    attempts UInt32,
    topic LowCardinality(String),
    partition UInt32 CODEC(Delta(4), ZSTD(1)),
    offset UInt64 CODEC(Delta(8), ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (send_id, offset)
SETTINGS non_replicated_deduplication_window = 10000;
