-- What became of the messages of each journey, and who waits in it?
SELECT journey, entered, inside, sent, delivered, opened, clicked, replied, bounced
FROM
(
    SELECT journey, uniqExact(instance_id) AS entered,
           uniqExact(instance_id) - uniqExactIf(instance_id, reason IN ('finished', 'exited', 'merged')) AS inside
    FROM pathline.journey_steps
    WHERE instance_id != ''
    GROUP BY journey
) AS instances
LEFT JOIN
(
    SELECT journey, count(sent_at) AS sent, countIf(delivered_at IS NOT NULL) AS delivered,
           countIf(opened_at IS NOT NULL) AS opened, countIf(clicked_at IS NOT NULL) AS clicked,
           countIf(replied_at IS NOT NULL) AS replied, countIf(state = 'bounced') AS bounced
    FROM pathline.sends
    WHERE sent_at IS NOT NULL
    GROUP BY journey
) AS messages ON instances.journey = messages.journey
ORDER BY journey
