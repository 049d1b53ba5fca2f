using Cluster.Contracts;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Google.Protobuf.WellKnownTypes;

namespace Cluster.Cli.Tests;

/// <summary>Messages as a scheduler would send them, to be changed where a test cares.</summary>
internal static class Builders
{
    public const string JobId = "0f3c9a1b-77e2-4c01-9d8e-0123456789ab";

    public const string ExperimentId = "7b1e5c02-11aa-4f00-8c3d-0123456789ab";

    public const string ExperimentYaml =
        "name: activations\nmodel: lenet5\ndata: fashion-mnist\nmatrix: {model.options.activation: [relu, tanh]}\n";

    public const string Yaml = "model: lenet5\ndata: fashion-mnist\n";

    /// <summary>Now, wherever a test's clock stands still.</summary>
    public static DateTimeOffset Noon { get; } = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    public static Job AJob(Action<Job>? change = null)
    {
        var job = new Job
        {
            Id = JobId,
            Spec = JobFile.Parse(Yaml),
            Owner = "ada",
            State = JobState.Queued,
            Reason = "waits for 2 devices",
            CreatedAt = At(-90),
            QueueName = QueueNames.Default,
        };
        change?.Invoke(job);
        return job;
    }

    public static Job ARunningJob(int epoch = 2, long step = 300) => AJob(job =>
    {
        (job.State, job.Reason, job.Attempt, job.StartedAt) = (JobState.Running, "", 1, At(-75));
        job.Progress = new Progress
        {
            Epoch = epoch,
            Epochs = 5,
            Step = step,
            Steps = 2150,
            TrainLoss = 0.43125,
            ValidationAccuracy = 0.8604,
            SamplesPerSecond = 8512.4,
        };
        job.Placement.Add(new DevicePlacement { Rank = 1, NodeName = "worker-2", Device = "cpu:0" });
        job.Placement.Add(new DevicePlacement { Rank = 0, NodeName = "worker-1", Device = "cpu:0" });
    });

    public static Job AFinishedJob(JobState state = JobState.Succeeded, double testAccuracy = 0.8931)
    {
        var job = ARunningJob(epoch: 5, step: 2150);
        (job.State, job.FinishedAt, job.Progress.TestAccuracy) = (state, At(-5), testAccuracy);
        return job;
    }

    /// <summary>Two variants of lenet5, in the states given.</summary>
    public static GetExperimentResponse AnExperiment(JobState relu = JobState.Succeeded, JobState tanh = JobState.Running)
    {
        var jobs = new[] { ("relu", relu), ("tanh", tanh) }.Select((member, index) =>
        {
            var job = member.Item2.IsFinal() ? AFinishedJob(member.Item2) : ARunningJob();
            (job.Id, job.Variant, job.ExperimentId, job.State) = (JobId[..^1] + $"{index}", member.Item1, ExperimentId, member.Item2);
            return job;
        }).ToList();
        return new GetExperimentResponse
        {
            Experiment = new Experiment
            {
                Id = ExperimentId,
                Name = "activations",
                Owner = "ada",
                CreatedAt = At(-90),
                States = { jobs.GroupBy(job => job.State).Select(same => new JobStateCount { State = same.Key, Jobs = same.Count() }) },
            },
            Jobs = { jobs },
            Yaml = ExperimentYaml,
        };
    }

    public static Job With(this Job job, Action<Job> change)
    {
        change(job);
        return job;
    }

    public static JobEvent AnEvent(long sequence, JobState to, string reason = "") =>
        new() { Sequence = sequence, Time = At(sequence - 100), ToState = to, Reason = reason, Attempt = 1 };

    public static Timestamp At(double secondsFromNoon) => Timestamp.FromDateTimeOffset(Noon.AddSeconds(secondsFromNoon));
}
