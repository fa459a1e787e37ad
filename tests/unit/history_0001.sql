-- A history as revision 0001 wrote it, with a run.
CREATE TABLE lmeval_schema_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);
INSERT INTO lmeval_schema_version VALUES ('0001');
CREATE TABLE lmeval_runs (
  id INTEGER NOT NULL PRIMARY KEY, run TEXT NOT NULL, started DOUBLE PRECISION NOT NULL,
  seconds DOUBLE PRECISION NOT NULL, model TEXT NOT NULL, revision TEXT, backend TEXT, against TEXT, "commit" TEXT,
  branch TEXT, ci TEXT, url TEXT, change TEXT, options JSON NOT NULL, environment JSON NOT NULL,
  exit_status INTEGER NOT NULL, verdict TEXT, failed BOOLEAN NOT NULL, tasks TEXT NOT NULL
);
CREATE INDEX lmeval_runs_by_model ON lmeval_runs (model, started);
CREATE TABLE lmeval_results (
  id INTEGER NOT NULL PRIMARY KEY, run_id INTEGER NOT NULL REFERENCES lmeval_runs (id) ON DELETE CASCADE,
  nodeid TEXT NOT NULL, task TEXT NOT NULL, metric TEXT NOT NULL, main BOOLEAN NOT NULL,
  higher_is_better BOOLEAN NOT NULL, value DOUBLE PRECISION, stderr DOUBLE PRECISION, n INTEGER NOT NULL,
  baseline DOUBLE PRECISION, difference DOUBLE PRECISION, low DOUBLE PRECISION, high DOUBLE PRECISION,
  p DOUBLE PRECISION, mde DOUBLE PRECISION, verdict TEXT NOT NULL, passed BOOLEAN NOT NULL,
  flips_regressed INTEGER NOT NULL, flips_improved INTEGER NOT NULL, errors INTEGER NOT NULL, tokens BIGINT NOT NULL,
  seconds DOUBLE PRECISION NOT NULL, settings TEXT NOT NULL
);
CREATE INDEX lmeval_results_by_run ON lmeval_results (run_id);
INSERT INTO lmeval_runs VALUES (
  1, '20260701-080000-0001', 1782892800.0, 12.5, 'demo', NULL, 'demo', NULL, '0a1b2c3d4e', 'main', NULL, NULL, NULL,
  '{"limit": null}', '{"python": "3.11.7"}', 0, 'pass', false, 'abc'
);
INSERT INTO lmeval_results VALUES (
  1, 1, 'tasks/rivers.yaml::rivers', 'rivers', 'acc', true, true, 0.9, 0.03, 60, NULL, NULL, NULL, NULL, NULL, NULL,
  'no-baseline', true, 0, 0, 0, 6000, 1.5, 'SETTINGS'
);
