-- Which tasks refer to an input picture: asked at each deletion, so that a picture goes with its last task. Columns, as
-- an index over json_extract is refused where the schema is not trusted.

BEGIN IMMEDIATE;

ALTER TABLE tasks ADD COLUMN image_id TEXT;
ALTER TABLE tasks ADD COLUMN last_image_id TEXT;

UPDATE tasks SET
    image_id = json_extract(request, '$.image.id'),
    last_image_id = json_extract(request, '$.last_image.id')
WHERE json_valid(request);

CREATE INDEX tasks_by_image ON tasks (image_id) WHERE image_id IS NOT NULL;
CREATE INDEX tasks_by_last_image ON tasks (last_image_id) WHERE last_image_id IS NOT NULL;

PRAGMA user_version = 2;

COMMIT;
