-- What was measured of the machine, a row for each minute; the oldest go.

BEGIN IMMEDIATE;

CREATE TABLE metrics (
    minute INTEGER PRIMARY KEY,  -- since 1970, in UTC
    figures TEXT NOT NULL  -- JSON: the mean and the largest by the name of a series
) STRICT;

PRAGMA user_version = 5;

COMMIT;
