-- How long is it from the first visit to the first order?
SELECT
    count() AS people, quantileExactInclusive(0.5)(seconds) AS median_seconds,
    quantileExactInclusive(0.9)(seconds) AS p90_seconds
FROM
(
    SELECT dateDiff('millisecond', first_visit, first_order) / 1000 AS seconds
    FROM (SELECT person_id, min(started_at) AS first_visit FROM pathline.sessions GROUP BY person_id) AS visits
    INNER JOIN (SELECT person_id, min(at) AS first_order FROM pathline.conversions GROUP BY person_id) AS orders
        ON visits.person_id = orders.person_id
    WHERE first_order >= first_visit
)
