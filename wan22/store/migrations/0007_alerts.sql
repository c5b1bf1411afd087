-- What people are told of, kept over restarts. Of one rule and one subject at most one is open.

BEGIN IMMEDIATE;

CREATE TABLE alerts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used again, also after the oldest have gone
    rule TEXT NOT NULL,
    subject TEXT NOT NULL,
    severity TEXT NOT NULL,
    detail TEXT NOT NULL,
    value REAL NOT NULL,
    raised_at TEXT NOT NULL,
    cleared_at TEXT,
    acknowledged_at TEXT
) STRICT;

CREATE UNIQUE INDEX alerts_open ON alerts (rule, subject) WHERE cleared_at IS NULL;

PRAGMA user_version = 7;

COMMIT;
