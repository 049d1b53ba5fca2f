-- Experiments that make their jobs themselves, one after another.

create table searches (
    experiment_id     uuid        primary key references experiments on delete cascade,
    version           bigint      not null,
    searcher          text        not null,
    metric            text        not null,
    smaller_is_better boolean     not null,
    phase             text        not null check (phase in ('Running', 'Paused', 'Ended', 'Cancelled')),
    -- What shared/Search has written down; written with the trials that follow from it, in one transaction.
    state             text        not null,
    -- When it is to be looked at. Who claims it puts it off, so that a claim of the dead comes due again.
    next_due_at       timestamptz
);
create index searches_due on searches (next_due_at) where next_due_at is not null;

alter table jobs
    -- Of a trial: it pauses once so many epochs are closed, or has ended if those are all; null: no search decides over it.
    add column train_until integer,
    -- Of a trial: the last such number that it has come to.
    add column trained_to  integer not null default 0;

-- A search hears of its trials in the transaction in which they come to where it decides.
create function note_trial() returns trigger language plpgsql as $$
begin
    update searches set next_due_at = '-infinity' where experiment_id = new.experiment_id;
    return null;
end $$;

create trigger note_trial after update of state on jobs
    for each row when (new.train_until is not null and old.state is distinct from new.state
        and new.state in ('Paused', 'Succeeded', 'Failed', 'Cancelled')
        -- That is the search itself.
        and not (old.state = 'Paused' and new.state = 'Succeeded'))
    execute function note_trial();
