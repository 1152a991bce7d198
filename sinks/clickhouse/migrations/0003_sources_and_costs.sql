-- Where an event came from, read from its parts once, when it is written; and what the channels cost.

ALTER TABLE pathline.events_raw
    ADD COLUMN IF NOT EXISTS page_url String
        MATERIALIZED if(position(context, '"url"') > 0 AND JSONExtractString(context, 'page', 'url') != '',
                        JSONExtractString(context, 'page', 'url'),
                        if(position(properties, '"url"') > 0, JSONExtractString(properties, 'url'), '')) CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS referrer String
        MATERIALIZED if(position(context, '"referrer"') > 0 AND JSONExtractString(context, 'page', 'referrer') != '',
                        JSONExtractString(context, 'page', 'referrer'),
                        if(position(properties, '"referrer"') > 0, JSONExtractString(properties, 'referrer'), '')) CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS utm Tuple(source LowCardinality(String), medium LowCardinality(String), name String, term String, content String)
        MATERIALIZED multiIf(
            position(context, '"campaign"') > 0,
            JSONExtract(context, 'campaign', 'Tuple(source String, medium String, name String, term String, content String)'),
            position(page_url, 'utm_') > 0,
            (decodeURLFormComponent(extractURLParameter(page_url, 'utm_source')),
             decodeURLFormComponent(extractURLParameter(page_url, 'utm_medium')),
             decodeURLFormComponent(extractURLParameter(page_url, 'utm_campaign')),
             decodeURLFormComponent(extractURLParameter(page_url, 'utm_term')),
             decodeURLFormComponent(extractURLParameter(page_url, 'utm_content'))),
            ('', '', '', '', '')) CODEC(ZSTD(1)) COMMENT 'context.campaign, else the tags in the address of the page',
    ADD COLUMN IF NOT EXISTS campaign String
        MATERIALIZED if(tupleElement(utm, 'name') != '' OR position(properties, '"campaign') = 0, tupleElement(utm, 'name'),
            trim(BOTH '"' FROM multiIf(JSONHas(properties, 'campaign'), JSONExtractRaw(properties, 'campaign'),
                                       JSONHas(properties, 'campaign_name'), JSONExtractRaw(properties, 'campaign_name'),
                                       JSONExtractRaw(properties, 'campaign_id')))) CODEC(ZSTD(1));

CREATE OR REPLACE VIEW pathline.events AS
SELECT
    event_id, message_id, type, name, channel, source, occurred_at, received_at, historical,
    -- an event can be ahead of the assignment that moved its slot: the higher version knows better
    if(dictGetOrDefault('pathline.slot_owner', 'version', slot, toUInt32(0)) > version,
       dictGetOrDefault('pathline.slot_owner', 'person_id', slot, person_at), person_at) AS person_id,
    person_at, slot, version, identifiers, send_id, revenue, properties, traits, context,
    page_url, referrer, utm, campaign, topic, partition, offset
FROM pathline.events_raw;

-- What a file says of a day, channel and campaign replaces what was known of them: loading it again changes nothing.
CREATE TABLE pathline.costs_raw
(
    file String COMMENT 'what it was loaded from',
    load UInt64 COMMENT 'when, in microseconds since 1970',
    line UInt32,
    day Date32,
    channel LowCardinality(String),
    campaign String,
    amount Float64,
    currency LowCardinality(String) COMMENT 'empty is the currency of the project'
)
ENGINE = MergeTree
ORDER BY (channel, day, campaign, load, line)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE VIEW pathline.costs AS
SELECT day, channel, campaign, amount, currency, file
FROM pathline.costs_raw
WHERE (channel, day, campaign, load) IN
    (SELECT channel, day, campaign, max(load) FROM pathline.costs_raw GROUP BY channel, day, campaign);

CREATE TABLE pathline.rates_raw
(
    file String COMMENT 'what it was loaded from',
    load UInt64 COMMENT 'when, in microseconds since 1970; the newest holds',
    line UInt32,
    day Date32 COMMENT 'from when on',
    currency LowCardinality(String),
    rate Float64 COMMENT 'what one unit is worth in the currency of the project'
)
ENGINE = MergeTree
ORDER BY (currency, day, load, line)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE VIEW pathline.rates AS
SELECT day, currency, argMax(rate, (load, line)) AS rate
FROM pathline.rates_raw
GROUP BY day, currency;
