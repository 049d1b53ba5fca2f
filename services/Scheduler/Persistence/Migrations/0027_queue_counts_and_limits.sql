-- How many jobs of a queue wait and run is counted up to a bound, whatever waits in other queues.
create index job_queue_states on job_queue (queue, state);

-- It trains so long at most; zero: without a limit. Where nothing better is known, it is expected to run so long.
alter table job_queue add column max_runtime interval not null default '0';
