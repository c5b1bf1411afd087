-- How many passes through a transformer a run made, and how many of them a step cache spared; JSON, null without one.

BEGIN IMMEDIATE;

ALTER TABLE tasks ADD COLUMN passes TEXT;

PRAGMA user_version = 6;

COMMIT;
