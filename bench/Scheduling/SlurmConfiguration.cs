namespace Cluster.Bench.Scheduling;

/// <summary>Slurm on one machine, all in one folder, for small delays.</summary>
internal static class SlurmConfiguration
{
    /// <summary>
    /// Jobs are tried at the next of slurmctld's looks, which come every second, rather than up to 3 s later; the other settings of
    /// SchedulerParameters are the defaults, <c>defer</c> not among them.
    /// </summary>
    public const string SchedulerParameters = "batch_sched_delay=0";

    /// <param name="folder">Of state, spool, logs and munge's socket.</param>
    /// <param name="host">This machine's name, without its domain.</param>
    /// <param name="user">Who runs the daemons, and submits.</param>
    /// <param name="cpus">Of the one node.</param>
    /// <param name="ports">For slurmctld and slurmd.</param>
    public static string Text(string folder, string host, string user, int cpus, (int Controller, int Node) ports) =>
        $"""
        ClusterName=bench
        SlurmctldHost={host}(127.0.0.1)
        SlurmctldPort={ports.Controller}
        SlurmdPort={ports.Node}
        SlurmUser={user}
        SlurmdUser={user}
        AuthType=auth/munge
        AuthInfo=socket={folder}/munge.socket
        StateSaveLocation={folder}/state
        SlurmdSpoolDir={folder}/spool
        SlurmctldPidFile={folder}/slurmctld.pid
        SlurmdPidFile={folder}/slurmd.pid
        SlurmctldDebug=error
        SlurmdDebug=error
        ProctrackType=proctrack/linuxproc
        TaskPlugin=task/none
        JobAcctGatherType=jobacct_gather/none
        JobCompType=jobcomp/none
        MpiDefault=none
        SelectType=select/cons_tres
        SelectTypeParameters=CR_Core
        SchedulerType=sched/backfill
        SchedulerParameters={SchedulerParameters}
        PriorityType=priority/basic
        MaxJobCount=100000
        ReturnToService=2
        NodeName=bench NodeHostname={host} NodeAddr=127.0.0.1 CPUs={cpus}
        PartitionName=bench Nodes=bench Default=YES MaxTime=INFINITE State=UP

        """;
}
