-- How many jobs of a queue wait and run is counted up to a bound, whatever waits in other queues.
create index job_queue_states on job_queue (queue, state);
