-- Which share of people comes back n days (UTC) after the day of their first event?
WITH days AS
(
    SELECT DISTINCT person_id, toDate32(occurred_at) AS day FROM pathline.events
),
firsts AS
(
    SELECT person_id, min(day) AS first FROM days GROUP BY person_id
),
newest AS
(
    SELECT max(day) FROM days
)
SELECT
    number AS n, countIf(first + number <= (SELECT * FROM newest)) AS people,
    countIf(has(after, number)) AS returned, returned / people AS rate
FROM
(
    SELECT person_id, first, groupArray(dateDiff('day', first, day)) AS after
    FROM days INNER JOIN firsts ON days.person_id = firsts.person_id
    GROUP BY person_id, first
) AS people
CROSS JOIN numbers(31) AS n
GROUP BY n
HAVING people > 0
ORDER BY n
