-- What static lists say of identifiers: who joined and left them when.

CREATE TABLE pathline.listed_raw
(
    at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    list LowCardinality(String),
    identifier String CODEC(ZSTD(1)),
    member Bool COMMENT 'joined; left otherwise. The newest holds, at one instant that it left',
    person_at UUID COMMENT 'person of that time; the view listed has the current one',
    slot String CODEC(ZSTD(1)),
    version UInt32 CODEC(ZSTD(1)),
    topic LowCardinality(String),
    partition UInt32 CODEC(Delta(4), ZSTD(1)),
    offset UInt64 CODEC(Delta(8), ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (list, identifier, at)
SETTINGS non_replicated_deduplication_window = 10000;

-- Few rows, so owners are looked up in the tables: those that a squash has settled hold as well.
CREATE VIEW pathline.listed AS
SELECT
    l.at AS at, l.list AS list, l.identifier AS identifier, l.member AS member,
    if(o.newest > l.version, o.owner, l.person_at) AS person_id, l.person_at AS person_at, l.slot AS slot
FROM pathline.listed_raw AS l
LEFT JOIN
(
    SELECT slot, max(version) AS newest, argMax(person_id, version) AS owner
    FROM (SELECT slot, version, person_id FROM pathline.slot_owners
          UNION ALL SELECT slot, version, person_id FROM pathline.settled_owners)
    GROUP BY slot
) AS o ON l.slot = o.slot
SETTINGS join_use_nulls = 0;
