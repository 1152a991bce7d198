-- Who asked for whose profile: the process that answers tells it at least once, so a row may be there twice.
CREATE TABLE pathline.accesses_raw
(
    at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    access_id String CODEC(ZSTD(1)),
    person_at Nullable(UUID) COMMENT 'person of that time; none was found when empty',
    asked_by LowCardinality(String) COMMENT 'type of the identifier that was asked by',
    key LowCardinality(String),
    key_name LowCardinality(String),
    actor LowCardinality(String) COMMENT 'who used the key, as the caller says',
    outcome LowCardinality(String) COMMENT 'read, unknown, erased or refused',
    fields Array(LowCardinality(String)),
    topic LowCardinality(String),
    partition UInt32 CODEC(Delta(4), ZSTD(1)),
    offset UInt64 CODEC(Delta(8), ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (at, access_id)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE VIEW pathline.accesses AS
SELECT
    a.at AS at, a.access_id AS access_id, if(e.earlier_id = a.person_at, e.person_id, a.person_at) AS person_id,
    a.person_at AS person_at, a.asked_by AS asked_by, a.key AS key, a.key_name AS key_name, a.actor AS actor,
    a.outcome AS outcome, a.fields AS fields
FROM (SELECT * FROM pathline.accesses_raw ORDER BY at, access_id LIMIT 1 BY at, access_id) AS a
LEFT JOIN pathline.earlier_ids AS e ON e.earlier_id = a.person_at
SETTINGS join_use_nulls = 0;
