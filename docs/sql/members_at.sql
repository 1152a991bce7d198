-- Who was in a segment at an instant? Parameters: segment, at
SELECT person_id, entered_at, left_at, entered_cause
FROM pathline.membership_intervals
WHERE segment = {segment:String}
    AND entered_at <= {at:DateTime64(3, 'UTC')} AND (left_at IS NULL OR left_at > {at:DateTime64(3, 'UTC')})
ORDER BY entered_at, person_id
