-- What is the path of one person? Parameter: identifier (type:value)
SELECT at, what, channel, detail
FROM
(
    SELECT at, 'touch' AS what, channel, campaign AS detail, person_id, 1 AS rank FROM pathline.touches
    UNION ALL
    SELECT sent_at, 'sent', toString(channel), toString(template), person_id, 0 FROM pathline.sends
    WHERE sent_at IS NOT NULL
    UNION ALL
    SELECT at, 'order', '', toString(revenue), person_id, 2 FROM pathline.conversions
)
WHERE person_id = (SELECT person_id FROM pathline.identifiers WHERE identifier = {identifier:String})
ORDER BY at, rank
