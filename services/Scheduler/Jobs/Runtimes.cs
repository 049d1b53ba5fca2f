using System.Security.Cryptography;
using Cluster.Contracts.V1;
using Cluster.Placement.Running;
using Cluster.Scheduler.Persistence;
using Google.Protobuf;
using Npgsql;

namespace Cluster.Scheduler.Jobs;

/// <summary>How long jobs run, learnt from those like them that have succeeded.</summary>
internal sealed class Runtimes(ClusterDatabase database, TimeProvider time)
{
    // The normal distribution's 90th percentile.
    private const double LateDeviations = 1.2816;

    // Of the logarithm: machines that others use, and how little few jobs tell of the next.
    private const double LeastDeviation = 0.1;
    private const double DeviationOfOneJob = 0.3;

    /// <summary>What jobs have in common that run equally long: all but their names, where they wait, and how they learn.</summary>
    public static byte[] Likeness(JobSpec spec)
    {
        var like = spec.Clone();
        (like.Name, like.Workspace, like.Queue, like.Priority, like.Seed) = ("", "", "", 0, 0);
        like.Labels.Clear();
        (like.InitFrom, like.Restarts, like.Checkpoints, like.MinRuntime, like.MaxRuntime) = (null, null, null, null, null);
        like.After.Clear();
        like.FailurePolicies.Clear();
        like.Given.Clear(); // whether it was written down or is a default
        if (like.Resources is not null)
            like.Resources.MinDevices = 0; // what is learnt is the time with all devices
        if (like.Hyperparameters is { Optimizer: { } optimizer } hyperparameters)
            (hyperparameters.Schedule, hyperparameters.Optimizer) = (null, new OptimizerSpec { Name = optimizer.Name });
        return SHA256.HashData(BytesOf(like));
    }

    // The same whatever order somebody wrote a network's options in.
    private static ReadOnlySpan<byte> BytesOf(JobSpec spec)
    {
        using var bytes = new MemoryStream();
        using (var output = new CodedOutputStream(bytes, leaveOpen: true) { Deterministic = true })
            spec.WriteTo(output);
        return bytes.GetBuffer().AsSpan(0, (int)bytes.Length);
    }

    /// <summary>How long a job would have run with all its devices that has run so long with fewer.</summary>
    public static TimeSpan WithAllDevices(JobSpec spec, int devices, TimeSpan runtime) =>
        spec.Resources?.MinDevices is null or 0 ? runtime : runtime * devices / spec.Resources.Devices;

    /// <summary>From jobs that were alike, no longer than its limit; where there were none, the limit alone.</summary>
    /// <param name="limit">Zero: it has none.</param>
    /// <returns>Null if nothing is known.</returns>
    public static ExpectedRuntime? Expect(LikeJobs? like, TimeSpan limit)
    {
        if (like is null)
            return limit > TimeSpan.Zero ? new ExpectedRuntime(limit, limit) : null;
        var least = LeastDeviation + (DeviationOfOneJob / like.Jobs);
        var deviation = Math.Sqrt(like.Variance + (least * least));
        return new ExpectedRuntime(Bounded(like.Mean), Bounded(like.Mean + (LateDeviations * deviation)));

        TimeSpan Bounded(double logarithm) =>
            TimeSpan.FromSeconds(Math.Exp(logarithm)) is var runs && limit > TimeSpan.Zero && runs > limit ? limit : runs;
    }

    /// <summary>A job has succeeded that had its devices for so long, from its first step to its last.</summary>
    public Task<int> LearnAsync(JobSpec spec, TimeSpan runtime, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            // A tenth for each at least, so that what was long ago is forgotten.
            await using var command = new NpgsqlCommand(
                """
                insert into runtimes as known (likeness, jobs, log_mean, log_variance, learnt_at) values ($1, 1, $2, 0, $3)
                on conflict (likeness) do update set jobs = known.jobs + 1, learnt_at = excluded.learnt_at,
                    log_mean = known.log_mean + greatest(0.1, 1.0 / (known.jobs + 1)) * (excluded.log_mean - known.log_mean),
                    log_variance = (1 - greatest(0.1, 1.0 / (known.jobs + 1))) * (known.log_variance
                        + greatest(0.1, 1.0 / (known.jobs + 1)) * power(excluded.log_mean - known.log_mean, 2))
                """, connection)
            {
                Parameters =
                {
                    new() { Value = Likeness(spec) }, new() { Value = Math.Log(Math.Max(1, runtime.TotalSeconds)) },
                    new() { Value = time.GetUtcNow() },
                },
            };
            return await command.ExecuteNonQueryAsync(token);
        }, cancellationToken);
}

/// <summary>What jobs have taken that were alike.</summary>
/// <param name="Mean">Of the seconds' logarithm, like <paramref name="Variance"/>.</param>
internal sealed record LikeJobs(int Jobs, double Mean, double Variance);
