using Cluster.Contracts.V1;
using Cluster.Dashboard.Layout;

namespace Cluster.Dashboard.Jobs;

/// <param name="Address">Where it leads to, if anywhere.</param>
internal sealed record JobFact(string Name, string Value, string? Address = null);

/// <summary>What is to be known of a job at a glance; what it has not is empty.</summary>
internal static class JobFacts
{
    private const int MostRanks = 4;

    public static IEnumerable<JobFact> Of(Job job, BrowserClock clock, TimeProvider time)
    {
        var (spec, progress) = (job.Spec, job.Progress ?? new Progress());
        var row = JobRow.Of(job);
        return
        [
            new("Id", job.Id),
            new("Experiment", job.ExperimentId.Length > 0 ? job.Variant : "", $"/experiments/{job.ExperimentId}"),
            new("Owner", job.Owner),
            new("Model", spec.Model.Name, $"/models/{spec.Model.Name}"),
            new("Data", row.Data, $"/jobs/{job.Id}/samples"),
            new("Split", spec.Resources.Devices > 1 ? spec.Parallelism.ToString().ToLowerInvariant() : ""),
            new("Devices", $"{spec.Resources.Devices}"),
            new("Ranks", RanksOf(job)),
            new("Memory", job.Memory is { } memory ? $"about {Figures.Bytes(memory.Total)} a rank" : ""),
            new("Priority", spec.Priority == 0 ? "" : $"{spec.Priority}"),
            new("Attempt", job.Attempt == 0 ? "" : $"{job.Attempt} ({Figures.Count(job.Restarts, "restart", "restarts")})"),
            new("Position", row.Position + (row.ExpectedStart is { } start ? $", about {clock.Show(start)}" : "")),
            new("Submitted", clock.Show(row.CreatedAt)),
            new("Time", Figures.Length(row.RunTime(time))),
            new("Epoch", progress.Epochs > 0 ? $"{progress.Epoch} of {progress.Epochs}" : ""),
            new("Step", progress.Steps > 0 ? $"{Figures.Count(progress.Step)} of {Figures.Count(progress.Steps)}" : ""),
            new("Loss", Figures.Decimal(row.Loss, 4)),
            new("Accuracy", Figures.Percent(row.Accuracy)),
            new("Images/s", Figures.Decimal(row.Rate, 0)),
        ];
    }

    // A table below has each of them.
    private static string RanksOf(Job job) => job.Placement.Count > MostRanks
        ? $"{Figures.Count(job.Placement.Count)} on {Figures.Count(job.Placement.DistinctBy(rank => rank.NodeId).Count(), "node", "nodes")}"
        : string.Join(", ", job.Placement.OrderBy(rank => rank.Rank).Select(rank => $"{rank.Rank}: {rank.NodeName}/{rank.Device}"));
}
