-- What of a job's log is stored, and what was taken away, so that neither needs to be counted.

create table log_sizes (
    job_id          uuid        primary key references jobs on delete cascade,
    -- As LogStore counts them: a line's text and what a row takes beside it.
    bytes           bigint      not null,
    lines_removed   bigint      not null default 0,
    -- Lines up to this sequence are gone.
    removed_through bigint      not null default 0,
    removed_at      timestamptz,
    removed_because text        not null default ''
);
insert into log_sizes (job_id, bytes) select job_id, sum(octet_length(text) + 64) from logs group by job_id;
