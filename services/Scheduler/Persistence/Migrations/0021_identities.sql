-- Tokens with what is known of them, codes by which machines become nodes, and who did what.

-- Those that are there came from the schedulers' token files, which each scheduler now goes by itself.
delete from tokens;

alter table tokens
    add column id           uuid        not null unique,
    add column name         text        not null,
    add column created_by   text        not null,
    add column expires_at   timestamptz,
    add column revoked_at   timestamptz,
    add column last_used_at timestamptz,
    -- The only node that a node's token speaks for.
    add column node_id      uuid,
    add constraint tokens_of_nodes check ((scope = 'Node') = (node_id is not null));
create index tokens_list on tokens (created_at desc, id desc);

-- Schedulers hold all tokens in memory, and hear of a change by this; not of a use.
create function note_access() returns trigger language plpgsql as $$
begin
    perform pg_notify('access_changes', '');
    return null;
end $$;

create trigger note_access after insert or delete or update of hash, owner, scope, name, expires_at, revoked_at, node_id on tokens
    for each statement execute function note_access();

create table enrollments (
    -- SHA-256 of the code's text.
    hash       bytea       primary key,
    name       text        not null,
    created_by text        not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    -- Of the machine that used it.
    used_at    timestamptz,
    node_id    uuid,
    token_hash bytea
);

create table audit (
    sequence bigint      generated always as identity primary key,
    time     timestamptz not null,
    who      text        not null,
    token    text        not null,
    origin   text        not null,
    action   text        not null,
    object   text        not null,
    status   text        not null,
    detail   text        not null,
    -- So many refusals before this one are not told apart.
    left_out integer     not null
);
create index audit_time on audit (time);
create index audit_who on audit (who, sequence);
create index audit_object on audit (object, sequence);

-- What is written stays as it was written, but for the janitor, who says that it is him.
create function keep_audit() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' and current_setting('cluster.retention', true) = 'audit' then
        return old;
    end if;
    raise exception 'the audit is append-only' using errcode = 'insufficient_privilege';
end $$;

create trigger keep_audit before update or delete on audit for each row execute function keep_audit();
create trigger keep_audit_whole before truncate on audit for each statement execute function keep_audit();
