-- Through which channels do people come to an order, in its last 30 days?
SELECT path, count() AS orders, sum(revenue) AS revenue
FROM
(
    SELECT
        o.event_id AS event_id, any(o.revenue) AS revenue,
        arrayMap(touch -> touch.3,
                 arraySort(groupArrayIf((t.at, toUInt128(t.event_id), t.channel),
                                        t.channel != '' AND t.event_id != o.event_id AND t.at <= o.at
                                        AND t.at > o.at - INTERVAL 30 DAY))) AS path
    FROM pathline.conversions AS o
    LEFT JOIN pathline.touches AS t ON t.person_id = o.person_id
    GROUP BY event_id
)
GROUP BY path
ORDER BY orders DESC, path
