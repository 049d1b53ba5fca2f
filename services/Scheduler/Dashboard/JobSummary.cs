using Cluster.Contracts.V1;

namespace Cluster.Scheduler.Dashboard;

/// <summary>What a list shows of a job: most of its file, and where each of its ranks is, is for its own page.</summary>
internal static class JobSummary
{
    public static Job Of(Job job) => new()
    {
        Id = job.Id,
        State = job.State,
        Reason = job.Reason,
        ReasonCode = job.ReasonCode,
        CreatedAt = job.CreatedAt,
        StartedAt = job.StartedAt,
        FinishedAt = job.FinishedAt,
        Progress = job.Progress,
        Variant = job.Variant,
        Spec = new JobSpec
        {
            Name = job.Spec.Name,
            Model = new ModelSpec { Name = job.Spec.Model.Name },
            Hyperparameters = new Hyperparameters { Epochs = job.Spec.Hyperparameters.Epochs },
            Resources = new ResourceSpec { Devices = job.Spec.Resources.Devices },
        },
    };
}
