-- How the database sessions of a scheduler's process are named: those of one that is away are ended, and those of one that starts anew in
-- its place are not.
alter table schedulers add column sessions text not null default '';
