-- How far each rank's reports have come: they arrive in order, so one number tells which of them are stored.
create table report_cursors (
    job_id  uuid    not null,
    attempt integer not null,
    rank    integer not null,
    last    bigint  not null,
    primary key (job_id, attempt, rank),
    foreign key (job_id, attempt) references attempts on delete cascade
);

insert into report_cursors select job_id, attempt, rank, max(sequence) from attempt_reports group by job_id, attempt, rank;
drop table attempt_reports;
