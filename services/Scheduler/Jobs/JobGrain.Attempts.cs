using System.Diagnostics;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Attempts;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Telemetry;

namespace Cluster.Scheduler.Jobs;

/// <summary>An attempt from its grant to its conclusion.</summary>
internal sealed partial class JobGrain
{
    // So many heartbeats without the attempt, after its stop was acknowledged, prove that nothing of it runs on the node.
    private const int HeartbeatsThatProve = 2;

    /// <summary>The one place where the secret of an attempt is, until its agents have it; lost with the activation, on purpose.</summary>
    private LaunchSecret? _secret;

    /// <summary>How the nodes stand on which ranks may still run.</summary>
    private async Task<Dictionary<Guid, NodeStanding>> StandingsAsync(JobRecord record)
    {
        var live = record.Grants.Where(g => g.GoneAt is null).Select(g => g.NodeId).Distinct().ToList();
        return live.Count == 0 ? [] : await nodes.StandingsAsync(live, CancellationToken.None);
    }

    /// <summary>Marks ranks whose node lost its lease, or whose agent started anew, since their device was granted.</summary>
    private bool NoteLostRanks(JobRecord record, Dictionary<Guid, NodeStanding> standings)
    {
        var lost = record.Grants.Where(g => g.GoneAt is null && standings.GetValueOrDefault(g.NodeId)?.Epoch != g.NodeEpoch).ToList();
        foreach (var rank in lost)
            (rank.Lost, rank.GoneAt) = (true, time.GetUtcNow());
        return lost.Count > 0;
    }

    /// <summary>Takes the whole attempt from a drained node, unless it ends already.</summary>
    private bool EvictIfDrained(JobRecord record, Dictionary<Guid, NodeStanding> standings)
    {
        if (record.Attempt!.State == AttemptState.Ending || record.Grants.Any(g => g.GoneAt is not null)
            || record.Grants.FirstOrDefault(g => standings[g.NodeId].Drain is { KeepRunning: false }) is not { } drained)
            return false;
        BeginEviction(record, AttemptVerdict.DescribeDrain(drained, standings[drained.NodeId].Drain!));
        return true;
    }

    /// <summary>Stops a job that has trained for as long as it may.</summary>
    private bool EndIfTimeIsOver(JobRecord record)
    {
        if (RunLimit.EndOf(record) is not { } end || time.GetUtcNow() < end)
            return false;
        var reason = $"timed out: it has trained for {record.Job.Spec.MaxRuntime.ToTimeSpan():c}, its maxRuntime";
        record.Job.StoppingTo = JobState.Failed;
        Become(record, JobState.Stopping, reason, ReasonCodes.TimedOut);
        BeginEnding(record, reason);
        return true;
    }

    /// <summary>
    /// Time for a last checkpoint: what a preempted job was given; where several nodes are drained, the longest that was given.
    /// </summary>
    private TimeSpan StopGrace(JobRecord record, Dictionary<Guid, NodeStanding> standings)
    {
        var (failure, cancel) = (options.Value.FailureGrace, options.Value.CancelGrace);
        var drains = standings.Values.Select(s => s.Drain?.Grace?.ToTimeSpan()).OfType<TimeSpan>();
        return record.Job.StoppingTo switch
        {
            null => failure,
            JobState.Queued when record.Attempt is { ReleaseBy: { } by, EndingAt: { } at } => by - at,
            JobState.Queued => drains.DefaultIfEmpty(cancel).Max(),
            _ => cancel,
        };
    }

    private async Task<bool> LaunchIfDueAsync(JobRecord record)
    {
        var attempt = record.Attempt!;
        if (attempt.State != AttemptState.Launching || record.Grants.Any(g => g.GoneAt is not null))
            return false;
        if (!record.Job.Spec.IsReadable())
        {
            BeginEnding(record, AttemptConclusion.Unreadable);
            return true;
        }

        if (_secret is not { } secret || secret.Attempt != attempt.Number)
            return FailLaunch(record, [], "the scheduler restarted before the launch was confirmed");

        secret.Sent = true;
        using var activity = StartLaunchActivity(record.Job, attempt.Number);
        var byNode = record.Grants.GroupBy(g => g.NodeId).ToList();
        var results = await Task.WhenAll(byNode.Select(ranks =>
            GrainFactory.GetGrain<INodeGrain>(ranks.Key).LaunchAsync(LaunchOrder.For(LaunchOf(record, ranks, secret.Text, activity)))));

        for (var i = 0; i < results.Length; i++)
        {
            if (results[i].Status is not (LaunchStatus.Refused or LaunchStatus.Closing))
                continue;
            foreach (var rank in byNode[i])
                rank.GoneAt = time.GetUtcNow();
        }

        var failed = Array.FindIndex(results, r => r.Status is LaunchStatus.Refused or LaunchStatus.Unknown);
        if (failed < 0 && time.GetUtcNow() - attempt.CreatedAt >= options.Value.LaunchDeadline)
            failed = Array.FindIndex(results, r => r.Status == LaunchStatus.NotConnected);
        if (failed >= 0)
        {
            activity?.SetStatus(ActivityStatusCode.Error, results[failed].Detail);
            var failing = byNode.Where((_, i) => results[i].Status != LaunchStatus.Launched).Select(ranks => ranks.Key);
            return FailLaunch(record, [.. failing], $"the launch on {byNode[failed].First().NodeName} failed: {results[failed].Detail}");
        }

        if (Array.FindIndex(results, r => r.Status == LaunchStatus.Closing) is >= 0 and var closing)
        {
            CountLaunch("evicted");
            BeginEviction(record, AttemptVerdict.DescribeEviction(byNode[closing].First()));
            return true;
        }

        if (results.Any(r => r.Status == LaunchStatus.NotConnected))
            return false;
        attempt.State = AttemptState.Launched;
        _secret = null;
        CountLaunch("launched");
        if (attempt.Number == 1)
            SchedulerTelemetry.SubmitToLaunch.Record((time.GetUtcNow() - record.Job.CreatedAt).TotalSeconds);
        return true;
    }

    private static void CountLaunch(string result) =>
        SchedulerTelemetry.Launches.Add(1, new KeyValuePair<string, object?>("result", result));

    private static Activity? StartLaunchActivity(JobRow job, int attempt)
    {
        var parent = ActivityContext.TryParse(job.TraceParent, job.TraceState, out var submitted) ? submitted : default;
        return SchedulerTelemetry.Activities.StartActivity("job.launch", ActivityKind.Internal, parent)
            ?.SetTag("cluster.job.id", job.Id.ToString("D")).SetTag("cluster.attempt", attempt);
    }

    private static LaunchRequest LaunchOf(JobRecord record, IEnumerable<DeviceGrantRow> ranks, string secret, Activity? activity) => new()
    {
        JobId = record.Id.ToString(),
        Attempt = record.Attempt!.Number,
        AttemptSecret = secret,
        Spec = SpecOf(record.Job.Spec, record.Attempt.WorldSize),
        WorldSize = record.Attempt.WorldSize,
        Ranks = { ranks.Select((r, local) => new RankAssignment { Rank = r.Rank, LocalRank = local, Device = r.Device }) },
        ResumeCheckpointId = record.Attempt.ResumeCheckpointId?.ToString("D") ?? "",
        Traceparent = activity?.Id ?? record.Job.TraceParent,
        Tracestate = activity?.TraceStateString ?? record.Job.TraceState,
        TrainUntil = record.Job.TrainUntil ?? 0,
    };

    /// <summary>An elastic job's devices and mesh are what the attempt has of them.</summary>
    private static JobSpec SpecOf(JobSpec spec, int worldSize)
    {
        if (spec.Resources?.MinDevices is null or 0)
            return spec;
        var ofAttempt = spec.Clone();
        ofAttempt.Resources.Devices = worldSize;
        ofAttempt.Mesh = new MeshSpec { Data = worldSize, Model = 1, Pipeline = 1 };
        return ofAttempt;
    }

    private bool FailLaunch(JobRecord record, Guid[] failing, string reason)
    {
        record.Job.AvoidNodes = failing;
        record.Attempt!.LaunchFailed = true;
        _secret = null;
        CountLaunch("failed");
        BeginEnding(record, reason);
        return true;
    }

    private void BeginRunning(JobRecord record)
    {
        record.Attempt!.State = AttemptState.Running;
        record.Attempt.StartedAt = time.GetUtcNow();
        record.Job.LaunchFailures = 0;
        Become(record, JobState.Running, TrainingWords(record));
    }

    private static string TrainingWords(JobRecord record) =>
        $"attempt {record.Attempt!.Number}: {(record.Grants.Count == 1 ? "training" : $"all {record.Grants.Count} ranks train")}";

    private bool JudgeAttempt(JobRecord record)
    {
        if (record.Attempt!.State == AttemptState.Ending
            || AttemptVerdict.ReasonToEnd(record, LastSignOf(record), time.GetUtcNow(), options.Value) is not { } reason)
            return false;
        BeginEnding(record, reason);
        return true;
    }

    private static DateTimeOffset Later(DateTimeOffset one, DateTimeOffset other) => one > other ? one : other;

    /// <summary>
    /// A rank's node takes its devices back. The other ranks cannot go on without it: the whole job waits for devices again.
    /// </summary>
    private void BeginEviction(JobRecord record, string reason)
    {
        record.Job.StoppingTo = JobState.Queued;
        Become(record, JobState.Stopping, reason);
        BeginEnding(record, reason);
        // Ranks on other nodes stop with the evicted one, and may have been reported first, as if they had failed.
        record.Attempt!.Reason = reason;
    }

    private void BeginEnding(JobRecord record, string reason)
    {
        var attempt = record.Attempt!;
        if (attempt.State == AttemptState.Ending)
            return;
        if (_secret is { Sent: false } secret && secret.Attempt == attempt.Number)
        {
            // No agent ever heard of it: there is no trainer whose end could be waited for.
            foreach (var rank in record.Grants.Where(g => g.GoneAt is null))
                rank.GoneAt = time.GetUtcNow();
        }

        attempt.State = AttemptState.Ending;
        attempt.EndingAt = time.GetUtcNow();
        attempt.Reason = reason;
    }

    /// <summary>Asks the nodes of live ranks to end them, once each.</summary>
    /// <returns>Whether some turned out not to run at all.</returns>
    private async Task<bool> StopTrainersAsync(JobRecord record, TimeSpan grace)
    {
        var attempt = record.Attempt!;
        var order = new StopOrder(new AttemptKey(Id, attempt.Number), grace, attempt.Reason);
        var byNode = record.Grants.Where(g => g.GoneAt is null).GroupBy(g => g.NodeId).ToList();
        var results = await Task.WhenAll(byNode.Select(ranks => GrainFactory.GetGrain<INodeGrain>(ranks.Key).StopAsync(order)));
        var changed = false;
        foreach (var rank in byNode.Where((_, i) => results[i] is { Acknowledged: true, AbsentHeartbeats: >= HeartbeatsThatProve })
            .SelectMany(r => r))
        {
            rank.GoneAt = time.GetUtcNow();
            rank.ExitMessage = "its agent does not run it";
            changed = true;
        }

        return changed;
    }

    private async Task ConcludeIfOverAsync(JobRecord record)
    {
        if (record.Attempt is null or { State: AttemptState.Ended } || !AttemptVerdict.IsOver(record))
            return;
        var (now, faults) = (time.GetUtcNow(), NodeFaults(record));
        AttemptConclusion.Apply(record, options.Value, now);
        await NoteLossAsync(record, now);
        await SaveAsync(record);
        foreach (var (node, reason) in faults)
            await quarantine.NoteAsync(node, record.Job.ExperimentId ?? record.Job.Id, reason, CancellationToken.None);
        _secret = null;
        signal.Place();
        // One that went on from a checkpoint says little of those that do not.
        if (record.Job.State == JobState.Succeeded && record.Attempt.ResumeStep == 0)
            await runtimes.LearnAsync(
                record.Job.Spec, Runtimes.WithAllDevices(record.Job.Spec, record.Attempt.WorldSize, now - record.Attempt.CreatedAt),
                CancellationToken.None);
        await retention.SweepAsync(Id, CancellationToken.None);
    }

    /// <summary>Nodes on which the attempt failed in a way that may be theirs.</summary>
    private List<(Guid Node, string Reason)> NodeFaults(JobRecord record)
    {
        var (job, attempt) = (record.Job, record.Attempt!);
        if (job.StoppingTo is not null)
            return [];
        if (attempt.LaunchFailed)
            return [.. job.AvoidNodes.Select(node => (node, attempt.Reason))];
        return AttemptVerdict.Culprit(record, options.Value) is { Lost: false } culprit && !AttemptVerdict.EndsTheJob(culprit)
            ? [(culprit.NodeId, AttemptVerdict.Describe(culprit))]
            : [];
    }

    /// <summary>What an attempt has lost, now that its devices are free; one that was done has lost nothing.</summary>
    private async Task NoteLossAsync(JobRecord record, DateTimeOffset now)
    {
        var attempt = record.Attempt!;
        attempt.LostDeviceSeconds = record.Job.State == JobState.Succeeded ? 0 : await UnsavedAsync(attempt, now) * record.Grants.Count;
        if (attempt.PreemptedFor is not null)
            SchedulerTelemetry.PreemptionLost.Add(
                attempt.LostDeviceSeconds.Value, new KeyValuePair<string, object?>("queue", record.Job.Queue));
    }

    /// <summary>Seconds since the attempt's last stored checkpoint, or since it began.</summary>
    private async Task<double> UnsavedAsync(AttemptRow attempt, DateTimeOffset now) =>
        (now - Later(attempt.CreatedAt, await store.CommittedAtAsync(Id, CancellationToken.None) ?? attempt.CreatedAt)).TotalSeconds;

    private sealed class LaunchSecret(int attempt, string text)
    {
        public int Attempt => attempt;

        public string Text => text;

        /// <summary>Some agent may have it.</summary>
        public bool Sent { get; set; }
    }
}
