-- What goes and what stays. See retention.Forgotten
SELECT
    (SELECT count(*) FROM forgotten),
    (SELECT count(*) FROM forgotten_row),
    (SELECT count(DISTINCT (topic, topic_id, "partition", "offset")) FROM rejected
        WHERE arrival_date < (SELECT strftime(horizon, '%Y-%m-%d') FROM horizon)),
    (SELECT count(*) FROM models SEMI JOIN forgotten USING (run_id)),
    (SELECT count(*) FROM kept)
