-- Everything the store says to SQLite, by name. `name:` opens a statement, comments tell what it is for.
-- Parameters are named; Python builds no SQL. INDEXED BY stands where the planner, which knows no figures yet in a new
-- database, would take the longer index on the status.


-- Meta ------------------------------------------------------------------------------------------------------------

-- name: next_boot
-- Count one more start of the server.
INSERT INTO meta (key, value) VALUES ('boot', 1)
ON CONFLICT (key) DO UPDATE SET value = value + 1
RETURNING value


-- Tasks: one ------------------------------------------------------------------------------------------------------

-- name: add_task
INSERT INTO tasks (
    id, status, priority, model_type, attempts, fence, model, shares, at_once, pace, work, decode_work, encode_work,
    idempotency_key, fingerprint, image_id, last_image_id,
    request, plan, outputs, timings, fallbacks, passes, error, progress, step, total_steps,
    resumed_from_step, peak_vram_bytes, created_at, started_at, finished_at
) VALUES (
    :task_id, :status, :priority, :model_type, :attempts, :fence, :model, :shares, :at_once, :pace, :work, :decode_work,
    :encode_work,
    :idempotency_key, :fingerprint, :image_id, :last_image_id,
    :request, :plan, :outputs, :timings, :fallbacks, :passes, :error, :progress, :step, :total_steps,
    :resumed_from_step, :peak_vram_bytes, :created_at, :started_at, :finished_at
)

-- name: find_task
SELECT * FROM tasks WHERE id = :task_id

-- name: find_task_by_key
SELECT * FROM tasks WHERE idempotency_key = :key

-- name: free_key
-- The key may be used for a new task.
UPDATE tasks SET idempotency_key = NULL WHERE idempotency_key = :key

-- name: move_task
-- From one status to another, by whoever saw it under this fence; changes nothing if it has moved since.
UPDATE tasks
SET status = :status, attempts = :attempts, outputs = :outputs, timings = :timings, fallbacks = :fallbacks,
    passes = :passes, error = :error, progress = :progress, step = :step, total_steps = :total_steps,
    resumed_from_step = :resumed_from_step, peak_vram_bytes = :peak_vram_bytes,
    started_at = :started_at, finished_at = :finished_at
WHERE id = :task_id AND status = :before AND fence = :fence

-- name: request_cancel
UPDATE tasks SET cancel_requested = 1 WHERE id = :task_id AND status = 'running'

-- name: is_cancel_requested
SELECT cancel_requested FROM tasks WHERE id = :task_id

-- name: refers_to_upload
SELECT 1 FROM tasks WHERE image_id = :upload_id OR last_image_id = :upload_id LIMIT 1

-- name: remove_task
DELETE FROM tasks WHERE id = :task_id


-- Tasks: the queue ------------------------------------------------------------------------------------------------

-- name: waiting
-- By priority, then order of arrival; all that the order of claims is made of. A limit of -1 is none.
SELECT id, seq, priority, model, shares, at_once, pace, work, decode_work, encode_work
FROM tasks INDEXED BY tasks_waiting WHERE status = 'queued' ORDER BY priority DESC, seq LIMIT :limit

-- name: claim
-- The new fence shuts out whoever held an older claim.
UPDATE tasks
SET status = 'running', attempts = attempts + 1, fence = fence + 1, boot_id = :boot_id,
    started_at = :at, heartbeat_at = :at
WHERE id = :task_id AND status = 'queued'
RETURNING *

-- name: heartbeat
UPDATE tasks SET heartbeat_at = :at WHERE id = :task_id AND status = 'running' AND fence = :fence

-- name: count_waiting
-- Stops counting at the limit: a long queue costs no more than a full one.
SELECT count(*) FROM (SELECT 1 FROM tasks INDEXED BY tasks_waiting WHERE status = 'queued' LIMIT :limit)

-- name: count_by_status
SELECT status, count(*) FROM tasks GROUP BY status


-- Tasks: recovery -------------------------------------------------------------------------------------------------
-- What an earlier start of the server left running. In this order: each takes its rows from the next.

-- name: recover_cancelled
UPDATE tasks INDEXED BY tasks_running SET status = 'cancelled', finished_at = :at
WHERE status = 'running' AND boot_id < :boot_id AND cancel_requested = 1
RETURNING id, model_type

-- name: recover_failed
UPDATE tasks INDEXED BY tasks_running SET status = 'failed', finished_at = :at, error = :error
WHERE status = 'running' AND boot_id < :boot_id AND attempts >= :max_attempts
RETURNING id, model_type

-- name: recover_queued
-- From now on each runs alone: one of them may be what killed the server, and the others must not fail with it.
UPDATE tasks INDEXED BY tasks_running SET status = 'queued', started_at = NULL, shares = NULL
WHERE status = 'running' AND boot_id < :boot_id
RETURNING id, model_type


-- Tasks: lists, newest first --------------------------------------------------------------------------------------

-- name: list_tasks
SELECT * FROM tasks WHERE seq < :before ORDER BY seq DESC LIMIT :limit

-- name: list_tasks_by_status
SELECT * FROM tasks WHERE status = :status AND seq < :before ORDER BY seq DESC LIMIT :limit

-- name: list_tasks_by_model
SELECT * FROM tasks WHERE model_type = :model_type AND seq < :before ORDER BY seq DESC LIMIT :limit

-- name: list_tasks_by_status_and_model
SELECT * FROM tasks WHERE status = :status AND model_type = :model_type AND seq < :before
ORDER BY seq DESC LIMIT :limit

-- name: history
-- The newest tasks of a model that completed or failed, in the figures of a `Run`. Cancelled ones tell nothing.
SELECT id AS task_id, status, total_steps, peak_vram_bytes, finished_at, error,
    json_extract(plan, '$.variant') AS variant, json_extract(plan, '$.device') AS device,
    json_extract(request, '$.mode') AS mode, json_extract(request, '$.width') AS width,
    json_extract(request, '$.height') AS height, json_extract(request, '$.num_frames') AS num_frames,
    json_extract(request, '$.num_videos') AS num_videos, json_extract(request, '$.guidance_scale') AS guidance_scale,
    json_extract(plan, '$.precision.transformer') AS precision, json_extract(plan, '$.offload') AS offload,
    json_extract(plan, '$.step_cache') IS NOT NULL AS step_cache,
    coalesce(json_extract(timings, '$.denoised_together'), 1) AS tasks, json_extract(timings, '$.denoise_s') AS denoise_s,
    json_extract(timings, '$.total_s') AS total_s
FROM tasks INDEXED BY tasks_by_model
WHERE model_type = :model_type AND status IN ('completed', 'failed')
ORDER BY seq DESC LIMIT :limit


-- Events ----------------------------------------------------------------------------------------------------------

-- name: add_event
INSERT INTO events (id, type, task_id, at, data) VALUES (:id, :type, :task_id, :at, :data)

-- name: events_between
SELECT * FROM events WHERE id > :after AND id <= :until ORDER BY id LIMIT :limit

-- name: events_of_task_between
SELECT * FROM events WHERE task_id = :task_id AND id > :after AND id <= :until ORDER BY id LIMIT :limit

-- name: remove_events_of_task
DELETE FROM events WHERE task_id = :task_id

-- name: prune_events
-- Keep the newest.
DELETE FROM events WHERE id <= (SELECT id FROM events ORDER BY id DESC LIMIT 1 OFFSET :keep)


-- Metrics -----------------------------------------------------------------------------------------------------------

-- name: keep_metrics
INSERT INTO metrics (minute, figures) VALUES (:minute, :figures)
ON CONFLICT (minute) DO UPDATE SET figures = excluded.figures

-- name: drop_metrics
DELETE FROM metrics WHERE minute < :oldest

-- name: metrics_since
SELECT minute, figures FROM metrics WHERE minute >= :minute ORDER BY minute

-- name: sums
-- How many tasks there are of each model in each status, and what their phases took.
SELECT model_type, status, count(*) AS count,
    count(json_extract(timings, '$.loading_s')) AS loading_count, total(json_extract(timings, '$.loading_s')) AS loading_s,
    count(json_extract(timings, '$.text_encode_s')) AS text_encode_count, total(json_extract(timings, '$.text_encode_s')) AS text_encode_s,
    count(json_extract(timings, '$.image_encode_s')) AS image_encode_count, total(json_extract(timings, '$.image_encode_s')) AS image_encode_s,
    count(json_extract(timings, '$.denoise_s')) AS denoise_count, total(json_extract(timings, '$.denoise_s')) AS denoise_s,
    count(json_extract(timings, '$.decode_s')) AS decode_count, total(json_extract(timings, '$.decode_s')) AS decode_s,
    count(json_extract(timings, '$.encode_s')) AS encode_count, total(json_extract(timings, '$.encode_s')) AS encode_s
FROM tasks GROUP BY model_type, status

-- name: completed_since
-- Times are text, in UTC and of one form, so that they sort.
SELECT count(*) AS count FROM tasks WHERE status = 'completed' AND finished_at >= :at


-- Alerts ------------------------------------------------------------------------------------------------------------

-- name: add_alert
INSERT INTO alerts (rule, subject, severity, detail, value, raised_at)
VALUES (:rule, :subject, :severity, :detail, :value, :raised_at)
ON CONFLICT (rule, subject) WHERE cleared_at IS NULL DO NOTHING
RETURNING *

-- name: find_alert
SELECT * FROM alerts WHERE id = :alert_id

-- name: open_alerts
SELECT * FROM alerts INDEXED BY alerts_open WHERE cleared_at IS NULL ORDER BY id DESC

-- name: cleared_alerts
SELECT * FROM alerts WHERE cleared_at IS NOT NULL ORDER BY id DESC LIMIT :limit

-- name: clear_alert
UPDATE alerts INDEXED BY alerts_open SET cleared_at = :at
WHERE rule = :rule AND subject = :subject AND cleared_at IS NULL
RETURNING *

-- name: acknowledge_alert
UPDATE alerts SET acknowledged_at = :at WHERE id = :alert_id AND acknowledged_at IS NULL

-- name: drop_alerts
-- Of the cleared ones keep the newest.
DELETE FROM alerts WHERE cleared_at IS NOT NULL AND id <= (
    SELECT id FROM alerts WHERE cleared_at IS NOT NULL ORDER BY id DESC LIMIT 1 OFFSET :keep
)
