-- Tasks, events and the few facts that outlive a start of the server.

BEGIN IMMEDIATE;

CREATE TABLE tasks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,  -- order of arrival; the clock has no say in it
    id TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL CHECK (status IN ('queued', 'running', 'completed', 'failed', 'cancelled')),
    priority INTEGER NOT NULL,
    model_type TEXT NOT NULL,

    -- the lease
    attempts INTEGER NOT NULL DEFAULT 0,
    fence INTEGER NOT NULL DEFAULT 0,  -- grows with each claim; a finish must name the current one
    boot_id INTEGER,  -- start of the server that claimed it
    heartbeat_at TEXT,
    cancel_requested INTEGER NOT NULL DEFAULT 0,

    -- how long it will take
    pace TEXT NOT NULL,  -- tasks of one pace need the same seconds for a unit of work
    work REAL NOT NULL,

    -- who sent it twice
    idempotency_key TEXT,
    fingerprint TEXT NOT NULL,

    -- what was asked, and what became of it; JSON where it is more than a number
    request TEXT NOT NULL,
    plan TEXT NOT NULL,
    outputs TEXT NOT NULL,
    timings TEXT NOT NULL,
    fallbacks TEXT NOT NULL,
    error TEXT,
    progress REAL NOT NULL DEFAULT 0,
    step INTEGER,
    total_steps INTEGER,
    resumed_from_step INTEGER,
    peak_vram_bytes INTEGER,
    created_at TEXT NOT NULL,
    started_at TEXT,
    finished_at TEXT
) STRICT;

CREATE INDEX tasks_waiting ON tasks (priority DESC, seq) WHERE status = 'queued';
CREATE INDEX tasks_running ON tasks (boot_id) WHERE status = 'running';
CREATE INDEX tasks_by_status ON tasks (status, seq);
CREATE INDEX tasks_by_model ON tasks (model_type, seq);
CREATE INDEX tasks_by_status_and_model ON tasks (status, model_type, seq);
CREATE UNIQUE INDEX tasks_by_key ON tasks (idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE TABLE events (
    id INTEGER PRIMARY KEY,  -- given by the feed: number of the start in the high half, a counter in the low
    type TEXT NOT NULL,
    task_id TEXT,  -- no foreign key: the last word on a deleted task stays
    at TEXT NOT NULL,
    data TEXT NOT NULL
) STRICT;

CREATE INDEX events_by_task ON events (task_id) WHERE task_id IS NOT NULL;

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;

PRAGMA user_version = 1;

COMMIT;
