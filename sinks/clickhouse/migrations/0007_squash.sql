-- Who a row belongs to is looked up once; a squash writes it into old rows, and what no row needs any more leaves the
-- dictionary. The person of the time stays: it is what the rows are sorted by, and what earlier ids are found with.

ALTER TABLE pathline.events_raw
    ADD COLUMN IF NOT EXISTS squashed Tuple(version UInt32, person_id UUID) DEFAULT (version, person_at) CODEC(ZSTD(1))
        COMMENT 'placement of the slot that a squash found: a newer one of slot_owners holds instead';

CREATE OR REPLACE DICTIONARY pathline.slot_owner
(
    slot String,
    version UInt32,
    person_id UUID
)
PRIMARY KEY slot
SOURCE(CLICKHOUSE(QUERY 'SELECT slot, version, person_id FROM pathline.slot_owners ORDER BY slot, version DESC LIMIT 1 BY slot' {credentials}))
LIFETIME(0)
LAYOUT(COMPLEX_KEY_HASHED_ARRAY());

CREATE OR REPLACE VIEW pathline.events AS
WITH dictGet('pathline.slot_owner', ('version', 'person_id'), slot) AS owner
SELECT
    event_id, message_id, type, name, channel, source, occurred_at, received_at, historical,
    -- an event can be ahead of the assignment that moved its slot: the higher version knows better
    if(tupleElement(owner, 1) > squashed.version, tupleElement(owner, 2), squashed.person_id) AS person_id,
    person_at, slot, version, identifiers, send_id, revenue, properties, traits, context,
    page_url, referrer, utm, campaign, topic, partition, offset
FROM pathline.events_raw;

-- Overrides that were written into the rows there were. A row that comes later with an older placement brings its
-- override back into slot_owners.
CREATE TABLE pathline.settled_owners
(
    slot String CODEC(ZSTD(1)),
    version UInt32,
    person_id UUID,
    topic LowCardinality(String),
    partition UInt32 CODEC(ZSTD(1)),
    offset UInt64 CODEC(Delta(8), ZSTD(1)),
    run UInt64 COMMENT 'the squash that kept it, in microseconds since 1970'
)
ENGINE = ReplacingMergeTree(run)
ORDER BY (slot, version)
SETTINGS non_replicated_deduplication_window = 10000;
