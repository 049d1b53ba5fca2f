-- Weights that no job trained, weights that a job begins with, and predictions.

-- Chunks belong to the job whose trainers stored them, or to the imported checkpoint whose client did.
alter table checkpoint_chunks drop constraint checkpoint_chunks_job_id_fkey;
alter table checkpoint_chunks rename column job_id to holder;
alter table checkpoint_chunk_refs rename column job_id to holder;

alter table checkpoints alter column job_id drop not null;
alter table checkpoints
    add column kind text not null default 'Weights' check (kind in ('Weights', 'Predictions')),
    -- Of imported weights: what they are for, with the options that were given, and the file's name.
    add column imported_model jsonb,
    add column imported_file text,
    add check ((job_id is null) = (imported_model is not null) and (imported_model is null) = (imported_file is null));
create index checkpoints_age on checkpoints (created_at desc, id desc) where kind = 'Weights';

-- Which unfinished jobs begin with a checkpoint: retention asks before it takes one away.
create index jobs_begin_with on jobs ((spec->'initFrom'->>'checkpoint')) where state not in ('Succeeded', 'Failed', 'Cancelled');
