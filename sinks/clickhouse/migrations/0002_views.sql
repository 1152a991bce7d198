-- What people read. Rows keep the person of their time; these views say who it is now, after merges and splits.

CREATE VIEW pathline.events AS
SELECT
    event_id, message_id, type, name, channel, source, occurred_at, received_at, historical,
    -- an event can be ahead of the assignment that moved its slot: the higher version knows better
    if(dictGetOrDefault('pathline.slot_owner', 'version', slot, toUInt32(0)) > version,
       dictGetOrDefault('pathline.slot_owner', 'person_id', slot, person_at), person_at) AS person_id,
    person_at, slot, version, identifiers, send_id, revenue, properties, traits, context, topic, partition, offset
FROM pathline.events_raw;

CREATE VIEW pathline.owners AS
SELECT DISTINCT identifier, since, person_id, slot, slot_version
FROM pathline.assignments
WHERE (identifier, version) IN (SELECT identifier, max(version) FROM pathline.assignments GROUP BY identifier);

-- A send goes with the address it was sent to.
CREATE VIEW pathline.sends AS
SELECT
    s.send_id AS send_id, s.at AS at, if(o.identifier = '', s.person_at, o.person_id) AS person_id,
    s.person_at AS person_at, s.journey AS journey, s.journey_version AS journey_version, s.instance_id AS instance_id,
    s.step AS step, s.channel AS channel, s.category AS category, s.purpose AS purpose, s.template AS template,
    s.address AS address, s.identifier AS identifier, s.intent AS intent
FROM pathline.sends_raw AS s
ASOF LEFT JOIN pathline.owners AS o ON s.identifier = o.identifier AND s.at >= o.since
SETTINGS join_use_nulls = 0;

CREATE VIEW pathline.people AS
SELECT person_id, at, identifiers, segments, profile
FROM pathline.profiles FINAL
WHERE NOT gone;

CREATE VIEW pathline.members AS
SELECT segment, person_id, argMax(at, (offset, ordinal)) AS since
FROM pathline.memberships
GROUP BY segment, person_id
HAVING argMax(change, (offset, ordinal)) = 'entered' AND NOT startsWith(segment, '~');
