-- Which campaigns do revenue and orders come from, by the last touch within 30 days?
SELECT if(touch.3 = '', '(none)', touch.3) AS campaign, count() AS orders, sum(revenue) AS revenue
FROM
(
    SELECT
        o.event_id AS event_id, any(o.revenue) AS revenue,
        maxIf((t.at, toUInt128(t.event_id), t.campaign),
              t.campaign != '' AND t.event_id != o.event_id AND t.at <= o.at AND t.at > o.at - INTERVAL 30 DAY) AS touch
    FROM pathline.conversions AS o
    LEFT JOIN pathline.touches AS t ON t.person_id = o.person_id
    GROUP BY event_id
)
GROUP BY campaign
ORDER BY revenue DESC, campaign
