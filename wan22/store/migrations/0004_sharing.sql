-- In which order tasks are claimed depends on the model that each needs, and on which may share a run. The index holds all
-- that the order is made of, so that a long queue is read without its tasks. One that waited before this is run alone.

BEGIN IMMEDIATE;

ALTER TABLE tasks ADD COLUMN model TEXT NOT NULL DEFAULT '';
ALTER TABLE tasks ADD COLUMN shares TEXT;
ALTER TABLE tasks ADD COLUMN at_once INTEGER NOT NULL DEFAULT 1;

DROP INDEX tasks_waiting;
CREATE INDEX tasks_waiting ON tasks (
    priority DESC, seq, id, model, shares, at_once, pace, work, decode_work, encode_work, status
) WHERE status = 'queued';

PRAGMA user_version = 4;

COMMIT;
