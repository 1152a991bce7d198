-- When what a static list says came here: what was known at an instant is asked by it, as of events.

ALTER TABLE pathline.listed_raw
    ADD COLUMN IF NOT EXISTS received_at DateTime64(3, 'UTC') DEFAULT at CODEC(Delta(8), ZSTD(1)) AFTER at;

CREATE OR REPLACE VIEW pathline.listed AS
SELECT
    l.at AS at, l.received_at AS received_at, l.list AS list, l.identifier AS identifier, l.member AS member,
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
