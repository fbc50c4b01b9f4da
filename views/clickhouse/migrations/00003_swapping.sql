-- +goose Up
ALTER TABLE sink_leads MODIFY COLUMN state Enum8('held' = 1, 'released' = 2, 'swapping' = 3)
    COMMENT 'released: anyone may take the next epoch at once; swapping: a rebuild puts tables in the place of others, and nobody may insert';
