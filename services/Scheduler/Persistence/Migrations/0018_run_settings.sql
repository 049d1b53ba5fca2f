-- What each job is set to, flat under a job file's paths, for who looks for runs by it: specs are protobuf, which no statement reads.
-- Beside the rows of jobs, which are written anew at each change. A search reads all of them, so they stay in their rows uncompressed.
create table run_settings (
    job_id   uuid  primary key references jobs on delete cascade,
    settings jsonb not null
) with (toast_tuple_target = 8160);
