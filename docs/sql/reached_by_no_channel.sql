-- Whom did no message reach so far, and by what could it be reached?
SELECT person_id, groupArrayDistinct(type) AS known_by
FROM pathline.identifiers
WHERE person_id NOT IN (SELECT person_id FROM pathline.sends WHERE delivered_at IS NOT NULL)
GROUP BY person_id
ORDER BY person_id
