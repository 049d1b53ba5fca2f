using Cluster.Contracts;
using Cluster.Contracts.V1;

namespace Cluster.Scheduler.Dependencies;

/// <summary>A job that another is to come after.</summary>
/// <param name="Wanted">What it is to become.</param>
/// <param name="State">What it is; null: it is there no more.</param>
internal sealed record Prerequisite(JobId On, DependencyState Wanted, JobState? State)
{
    public bool IsMet => State?.IsFinal() == true && (Wanted == DependencyState.Ended || State == JobState.Succeeded);

    public bool IsNeverMet => !IsMet && State?.IsFinal() != false;
}

/// <summary>What is to become of a job that waits for others. Pure.</summary>
internal static class DependencyVerdict
{
    public static bool MayStart(IEnumerable<Prerequisite> all) => all.All(each => each.IsMet);

    /// <returns>Why it can never start; null: it can yet.</returns>
    public static string? ReasonToCancel(IEnumerable<Prerequisite> all) => all.FirstOrDefault(each => each.IsNeverMet) switch
    {
        null => null,
        { State: null } gone => $"job {gone.On}, which it was to come after, is there no more",
        var over => $"job {over.On} is {over.State!.Value.Word()}, and it was to come after that one's success",
    };
}
