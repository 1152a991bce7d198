-- At which hour of the day (UTC) are messages opened?
SELECT channel, toHour(opened_at) AS hour, count() AS opened
FROM pathline.sends
WHERE opened_at IS NOT NULL AND sent_at IS NOT NULL
GROUP BY channel, hour
ORDER BY channel, hour
