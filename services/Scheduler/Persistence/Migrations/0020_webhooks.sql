-- Addresses that are told what becomes of jobs, and what is still to be told to them.

create table webhooks (
    id                uuid        primary key,
    name              text        not null unique,
    owner             text        not null,
    url               text        not null,
    -- As it was given out: deliveries are signed with it, for which a hash would not do.
    secret            text        not null,
    states            text[]      not null,
    -- Empty: of any.
    workspace         text        not null,
    all_owners        boolean     not null,
    created_at        timestamptz not null,
    dead              bigint      not null default 0,
    dropped           bigint      not null default 0,
    last_delivered_at timestamptz,
    last_fault        text        not null default '',
    last_fault_at     timestamptz
);

-- The outbox: a row is here until it is delivered or given up. It references neither webhooks nor jobs: a change of a job's state must not
-- fail, nor wait, because somebody deletes a webhook at that moment. What is then left over goes with the next look.
create table webhook_deliveries (
    id          uuid        primary key default gen_random_uuid(),
    webhook_id  uuid        not null,
    job_id      uuid        not null,
    job_name    text        not null,
    workspace   text        not null,
    owner       text        not null,
    sequence    bigint      not null,
    time        timestamptz not null,
    from_state  text        not null,
    to_state    text        not null,
    reason      text        not null,
    attempt     integer     not null,
    -- Raised when a try begins.
    tries       integer     not null default 0,
    -- Who claims it puts it off, so that a claim of the dead comes due again.
    next_due_at timestamptz not null default '-infinity'
);
create index webhook_deliveries_due on webhook_deliveries (webhook_id, next_due_at);

-- In the transaction that changes the state: neither is there without the other.
create function note_webhooks() returns trigger language plpgsql as $$
begin
    if exists (select from webhooks) then
        insert into webhook_deliveries (webhook_id, job_id, job_name, workspace, owner, sequence, time, from_state, to_state, reason,
            attempt)
        select w.id, j.id, j.name, j.workspace, j.owner, e.sequence, e.time, e.from_state, e.to_state, e.reason, e.attempt
        from added e join jobs j on j.id = e.job_id
        join webhooks w on e.to_state = any(w.states) and w.workspace in ('', j.workspace) and (w.all_owners or w.owner = j.owner);
    end if;
    return null;
end $$;
create trigger note_webhooks after insert on job_events referencing new table as added for each statement execute function note_webhooks();
