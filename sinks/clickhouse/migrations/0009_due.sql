-- When time ends what a step of a journey waits for.

ALTER TABLE pathline.decisions
    ADD COLUMN IF NOT EXISTS due Nullable(DateTime64(3, 'UTC')) CODEC(ZSTD(1)) AFTER send_id;

CREATE OR REPLACE VIEW pathline.journey_steps AS
SELECT
    if(e.earlier_id = d.person_at, e.person_id, d.person_at) AS person_id, d.person_at AS person_at,
    d.journey AS journey, d.instance_id AS instance_id, d.number AS number, d.at AS at, d.step AS step,
    d.channel AS channel, d.reason AS reason, d.detail AS detail, d.send_id AS send_id, d.due AS due,
    d.entered_at AS entered_at
FROM
(
    SELECT
        person_id AS person_at, toString(journey) AS journey, instance_id, at, toString(step) AS step,
        toString(channel) AS channel, toString(reason) AS reason, detail, send_id, due,
        if(instance_id = '', 0, row_number() OVER story) AS number,
        if(instance_id = '', NULL, min(at) OVER story) AS entered_at
    FROM pathline.decisions
    WINDOW story AS (PARTITION BY journey, instance_id ORDER BY at, offset, decision_id ROWS UNBOUNDED PRECEDING)
) AS d
LEFT JOIN pathline.earlier_ids AS e ON e.earlier_id = d.person_at
SETTINGS join_use_nulls = 0;
