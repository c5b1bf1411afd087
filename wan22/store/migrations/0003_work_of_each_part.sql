-- How long a task will take is foretold part by part; `work` stays what the denoising needs. A task that waited before
-- this has no figures for the other two, and is foretold as too short.

BEGIN IMMEDIATE;

ALTER TABLE tasks ADD COLUMN decode_work REAL NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN encode_work REAL NOT NULL DEFAULT 0;

PRAGMA user_version = 3;

COMMIT;
