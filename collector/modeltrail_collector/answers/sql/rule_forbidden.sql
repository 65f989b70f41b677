-- kind = "forbidden": versions that may have learned from a dataset, directly or through what was made from it: those
-- whose run is `reached`. Whether the very content went into a version is then looked at by its trace.
SELECT DISTINCT s.subject, s.run_id, s.namespace, s.name, s.version, s.digest
FROM subject AS s SEMI JOIN temp.main.reached USING (run_id)
