-- What people decide about their jobs while these wait or run.

-- A job may be stopped to be put aside.
alter table jobs drop constraint jobs_stopping_to_check,
    add constraint jobs_stopping_to_check check (stopping_to in ('Cancelled', 'Queued', 'Paused'));
