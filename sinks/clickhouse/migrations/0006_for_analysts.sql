-- What analysts read, as far as it is the same for every project; the rest is made of the project (views.py).

-- A send goes with the address it was sent to. The view sends has its receipts besides.
CREATE VIEW pathline.sends_placed AS
SELECT
    s.send_id AS send_id, s.at AS at, if(o.identifier = '', s.person_at, o.person_id) AS person_id,
    s.person_at AS person_at, s.journey AS journey, s.journey_version AS journey_version, s.instance_id AS instance_id,
    s.step AS step, s.channel AS channel, s.category AS category, s.purpose AS purpose, s.template AS template,
    s.address AS address, s.identifier AS identifier, s.intent AS intent
FROM pathline.sends_raw AS s
ASOF LEFT JOIN pathline.owners AS o ON s.identifier = o.identifier AND s.at >= o.since
SETTINGS join_use_nulls = 0;

-- The projects that were published: the newest one decides what the views mean.
CREATE TABLE pathline.definitions
(
    published_at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    version String COMMENT 'content hash of the files',
    author String,
    files Map(String, String) CODEC(ZSTD(1)) COMMENT 'texts by path',
    topic LowCardinality(String),
    partition UInt32 CODEC(ZSTD(1)),
    offset UInt64 CODEC(Delta(8), ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (published_at, offset)
SETTINGS non_replicated_deduplication_window = 10000;

-- A person was in a segment if any of those it was then were: their times are joined where they overlap, and where one
-- goes on what another began.
CREATE VIEW pathline.membership_intervals AS
SELECT
    person_id, segment, min(entered) AS entered_at, if(countIf(left IS NULL) > 0, NULL, max(left)) AS left_at,
    argMin(because, (entered, place)) AS entered_cause, argMin(why, (entered, place)) AS entered_reason,
    if(left_at IS NULL, '', argMax(left_because, (left, place))) AS left_cause,
    if(left_at IS NULL, '', argMax(left_why, (left, place))) AS left_reason
FROM
(
    SELECT *, sum(begins) OVER (PARTITION BY person_id, segment ORDER BY entered, place
                                ROWS UNBOUNDED PRECEDING) AS island
    FROM
    (
        SELECT *, NOT (entered < reaches OR (entered = reaches AND because = 'merge')) AS begins
        FROM
        (
            SELECT *, max(until) OVER (PARTITION BY person_id, segment ORDER BY entered, place
                                       ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reaches
            FROM
            (
                SELECT
                    if(e.earlier_id = m.person_at, e.person_id, m.person_at) AS person_id, m.segment AS segment,
                    m.entered AS entered, m.left AS left, ifNull(m.left, toDateTime64('2299-12-31', 3, 'UTC')) AS until,
                    m.because AS because, m.why AS why, m.left_because AS left_because, m.left_why AS left_why,
                    (m.person_at, m.offset, m.ordinal) AS place
                FROM
                (
                    SELECT
                        person_id AS person_at, toString(segment) AS segment, at AS entered, change, offset, ordinal,
                        toString(cause) AS because, reason AS why,
                        if(leadInFrame(toString(change)) OVER next = 'left',
                           leadInFrame(toNullable(at)) OVER next, NULL) AS left,
                        leadInFrame(toString(cause)) OVER next AS left_because,
                        leadInFrame(reason) OVER next AS left_why
                    FROM pathline.memberships
                    WHERE NOT startsWith(segment, '~')
                    WINDOW next AS (PARTITION BY person_id, segment ORDER BY offset, ordinal
                                    ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)
                ) AS m
                LEFT JOIN pathline.earlier_ids AS e ON e.earlier_id = m.person_at
                WHERE m.change = 'entered'
            )
        )
    )
)
GROUP BY person_id, segment, island
SETTINGS join_use_nulls = 0;

-- One row for each identifier that was heard of: whose it is now, as `pathline person` finds it.
CREATE VIEW pathline.identifiers AS
SELECT
    identifier, splitByChar(':', identifier)[1] AS type, substring(identifier, length(type) + 2) AS value,
    argMin(person, (rank, -toUnixTimestamp64Milli(at), id)) AS person_id, min(seen) AS first_seen, max(seen) AS last_seen
FROM
(
    SELECT identifier, person_id AS person, 1 AS rank, since AS at, toUInt128(0) AS id,
           CAST(NULL AS Nullable(DateTime64(3, 'UTC'))) AS seen
    FROM pathline.owners
    UNION ALL
    SELECT arrayJoin(identifiers) AS identifier, person_id,
           if(identifier = replaceRegexpOne(slot, '#-?[0-9]+$', ''), 2, 3), occurred_at, toUInt128(event_id), occurred_at
    FROM pathline.events
    UNION ALL
    SELECT arrayJoin(identifiers), person_id, 4, at, toUInt128(0), NULL
    FROM pathline.people
)
GROUP BY identifier;

-- What journeys decided for people, in order within an instance; 'not entered' has none.
CREATE VIEW pathline.journey_steps AS
SELECT
    if(e.earlier_id = d.person_at, e.person_id, d.person_at) AS person_id, d.person_at AS person_at,
    d.journey AS journey, d.instance_id AS instance_id, d.number AS number, d.at AS at, d.step AS step,
    d.channel AS channel, d.reason AS reason, d.detail AS detail, d.send_id AS send_id, d.entered_at AS entered_at
FROM
(
    SELECT
        person_id AS person_at, toString(journey) AS journey, instance_id, at, toString(step) AS step,
        toString(channel) AS channel, toString(reason) AS reason, detail, send_id,
        if(instance_id = '', 0, row_number() OVER story) AS number,
        if(instance_id = '', NULL, min(at) OVER story) AS entered_at
    FROM pathline.decisions
    WINDOW story AS (PARTITION BY journey, instance_id ORDER BY at, offset, decision_id ROWS UNBOUNDED PRECEDING)
) AS d
LEFT JOIN pathline.earlier_ids AS e ON e.earlier_id = d.person_at
SETTINGS join_use_nulls = 0;
