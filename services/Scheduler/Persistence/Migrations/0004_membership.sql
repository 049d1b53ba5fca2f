-- Orleans' cluster membership: which schedulers ("silos") run on this database. Its ADO.NET provider brings no schema; it reads the texts
-- below by their keys and runs them with its own parameters. Every change of a member raises the version, and only by whom has read the
-- last one.

create table orleans_versions (
    deployment_id text primary key,
    version integer not null default 0
);

create table orleans_members (
    deployment_id text not null references orleans_versions (deployment_id),
    address text not null,
    port integer not null,
    generation integer not null,
    silo_name text not null,
    host_name text not null,
    status integer not null,
    proxy_port integer not null,
    suspect_times text,
    start_time timestamptz not null,
    i_am_alive_time timestamptz not null,
    primary key (deployment_id, address, port, generation)
);

-- The provider's name for it.
create table OrleansQuery (QueryKey text primary key, QueryText text not null);

insert into OrleansQuery (QueryKey, QueryText) values
('InsertMembershipVersionKey', $$
    with added as (insert into orleans_versions (deployment_id) values (@DeploymentId) on conflict do nothing returning 1)
    select exists (select from added)
$$),
('InsertMembershipKey', $$
    with raised as (
        update orleans_versions set version = version + 1
        where deployment_id = @DeploymentId and version = @Version and not exists (
            select from orleans_members
            where deployment_id = @DeploymentId and address = @Address and port = @Port and generation = @Generation)
        returning deployment_id),
    added as (
        insert into orleans_members
            (deployment_id, address, port, generation, silo_name, host_name, status, proxy_port, start_time, i_am_alive_time)
        select deployment_id, @Address, @Port, @Generation, @SiloName, @HostName, @Status, @ProxyPort, @StartTime, @IAmAliveTime from raised
        returning 1)
    select exists (select from added)
$$),
('UpdateMembershipKey', $$
    with raised as (
        update orleans_versions set version = version + 1 where deployment_id = @DeploymentId and version = @Version
        returning deployment_id),
    changed as (
        update orleans_members m set status = @Status, suspect_times = @SuspectTimes, i_am_alive_time = @IAmAliveTime
        from raised
        where m.deployment_id = raised.deployment_id and address = @Address and port = @Port and generation = @Generation
        returning 1)
    select exists (select from changed)
$$),
('UpdateIAmAlivetimeKey', $$
    update orleans_members set i_am_alive_time = @IAmAliveTime
    where deployment_id = @DeploymentId and address = @Address and port = @Port and generation = @Generation
$$),
-- One row with the version alone where there is no such member.
('MembershipReadRowKey', $$
    select v.version as Version, m.address as Address, m.port as Port, m.generation as Generation, m.silo_name as SiloName,
        m.host_name as HostName, m.status as Status, m.proxy_port as ProxyPort, m.suspect_times as SuspectTimes,
        m.start_time as StartTime, m.i_am_alive_time as IAmAliveTime
    from orleans_versions v
    left join orleans_members m
        on m.deployment_id = v.deployment_id and m.address = @Address and m.port = @Port and m.generation = @Generation
    where v.deployment_id = @DeploymentId
$$),
('MembershipReadAllKey', $$
    select v.version as Version, m.address as Address, m.port as Port, m.generation as Generation, m.silo_name as SiloName,
        m.host_name as HostName, m.status as Status, m.proxy_port as ProxyPort, m.suspect_times as SuspectTimes,
        m.start_time as StartTime, m.i_am_alive_time as IAmAliveTime
    from orleans_versions v
    left join orleans_members m on m.deployment_id = v.deployment_id
    where v.deployment_id = @DeploymentId
$$),
('GatewaysQueryKey', $$
    select address as Address, proxy_port as ProxyPort, generation as Generation
    from orleans_members where deployment_id = @DeploymentId and status = @Status and proxy_port > 0
$$),
('DeleteMembershipTableEntriesKey', $$
    with gone as (delete from orleans_members where deployment_id = @DeploymentId)
    delete from orleans_versions where deployment_id = @DeploymentId
$$),
-- 3 is Active.
('CleanupDefunctSiloEntriesKey', $$
    delete from orleans_members where deployment_id = @DeploymentId and i_am_alive_time < @IAmAliveTime and status <> 3
$$);
