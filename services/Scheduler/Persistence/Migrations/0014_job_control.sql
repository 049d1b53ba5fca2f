-- What people decide about their jobs while these wait or run.

-- A job may be stopped to be put aside, or since its time is over.
alter table jobs drop constraint jobs_stopping_to_check,
    add constraint jobs_stopping_to_check check (stopping_to in ('Cancelled', 'Queued', 'Paused', 'Failed')),
    -- "timed_out", …: why it has ended, for programs; mostly empty.
    add column reason_code text not null default '',
    -- How long it has trained in the attempts that are over.
    add column ran interval not null default '0';

-- It is not preempted before it has run so long.
alter table job_queue add column min_runtime interval not null default '0';
