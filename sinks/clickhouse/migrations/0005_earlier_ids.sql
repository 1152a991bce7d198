-- Person ids that lead to another person now. Each was derived from an identifier, which the first move of its slots
-- tells, as slots begin at the person derived from their identifier; the id is where that identifier is.
CREATE VIEW pathline.earlier_ids AS
SELECT m.from_person AS earlier_id, argMax(o.person_id, o.since) AS person_id
FROM pathline.moves AS m
INNER JOIN pathline.owners AS o ON o.identifier = replaceRegexpOne(m.slot, '#-?[0-9]+$', '')
WHERE m.version = 2
GROUP BY earlier_id
HAVING person_id != earlier_id;
