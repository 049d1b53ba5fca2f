using System.CommandLine;
using System.Text;
using Cluster.Cli.Rendering;
using Cluster.Contracts;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Jobs;

/// <summary>job describe ID: all there is to know of one job, its job file with every value written down included.</summary>
internal static class DescribeVerb
{
    public static Command Build(VerbFactory verbs)
    {
        var job = JobArgument.Make();
        var command = verbs.Verb("describe", "Show a job's state, figures, places, events, checkpoints and complete job file.",
            async (context, cancellationToken) =>
            {
                var id = context.Arguments.GetRequiredValue(job);
                var found = await context.Connection.Jobs.GetJobAsync(
                    new GetJobRequest { JobId = id }, context.Connection.Call(cancellationToken));
                if (context.Json)
                {
                    await context.Output.DocumentAsync(found);
                    return ExitCode.Done;
                }

                var checkpoints = await context.Connection.Runs.ListCheckpointsAsync(
                    new ListCheckpointsRequest { JobId = found.Job.Id }, context.Connection.Call(cancellationToken));
                var run = await context.Connection.Runs.GetRunAsync(
                    new GetRunRequest { JobId = found.Job.Id }, context.Connection.Call(cancellationToken));
                await context.Output.BlockAsync(Describe(found, run.Run.Environment, checkpoints.Checkpoints, context.Host.Time));
                return ExitCode.Done;
            });
        command.Arguments.Add(job);
        return command;
    }

    private static string Describe(
        GetJobResponse found, RunEnvironment? environment, IEnumerable<Checkpoint> checkpoints, TimeProvider time)
    {
        var job = found.Job;
        var text = new StringBuilder();
        Add("job", job.Id);
        Add("name", job.Spec.Name);
        Add("variant", job.ExperimentId.Length == 0 ? "" : $"{job.Variant} of experiment {job.ExperimentId}");
        Add("owner", job.Owner);
        Add("queue", $"{job.QueueName}, priority {job.Priority}");
        Add("state", JobLines.StateAndReason(job));
        Add("code", job.ReasonCode);
        Add("created", Words.Clock(job.CreatedAt));
        Add("started", Words.Clock(job.StartedAt));
        Add("finished", Words.Clock(job.FinishedAt));
        Add("ran", Words.RunTime(job.StartedAt, job.FinishedAt, time) is { } ran ? Words.Length(ran) : "");
        Add("attempt", job.Attempt == 0 ? "" : $"{job.Attempt} ({job.Restarts} {(job.Restarts == 1 ? "restart" : "restarts")})");
        Add("preempted", job.LastPreemption is { } last
            ? $"{Words.Times(job.Preemptions)}, last {Words.Clock(last.Time)}: {Lost(last)}" : "");
        Add("estimate", job.Queue?.EstimatedStart is { } start
            ? $"starts about {Words.Clock(start)}, by {Words.Clock(job.Queue.LateStart)} with 9 chances in 10" : "");
        Add("sooner", string.Join("; ", job.Queue?.Sooner ?? []));
        Add("memory", job.Memory is { } memory ? $"about {Words.Bytes(memory.Total)} a rank" : "");
        Add("devices", job.Spec.Resources.MinDevices == 0 ? "" : Devices(job));
        Add("places", Words.Where(job.Placement));
        Add("images", environment?.MemoryFormat ?? ""); // as a measurement found it, where the job file says auto
        Add("figures", Words.Figures(job.Progress));
        text.Append("\nevents\n").Append(Indented(Events(found.Events).Render(null)));
        var stored = Checkpoints(checkpoints);
        if (stored.Length > 0)
            text.Append("\ncheckpoints\n").Append(Indented(stored));
        text.Append("\njob file\n").Append(JobFileOf(job.Spec));
        return text.ToString();

        void Add(string key, string value)
        {
            if (value.Length > 0)
                text.Append(key.PadRight(10)).Append(Printable.OneLine(value)).Append('\n');
        }
    }

    // A comment, so that the file can be used as it stands.
    private static string JobFileOf(JobSpec spec) => string.Concat(JobFile.Lines(spec)
        .Select(line => $"  {line.Text}{(line is { IsGiven: true, OpensMore: false } ? "  # set by hand" : "")}\n"));

    /// <summary>Of an elastic job: "2 of 1 to 4, since 12:00:01: grows from 1 device to 2, …".</summary>
    private static string Devices(Job job)
    {
        var range = $"{job.Spec.Resources.MinDevices} to {job.Spec.Resources.Devices}";
        var present = job.State.HoldsDevices() ? $"{job.Placement.Count} of {range}" : range;
        return job.LastResize is { } last ? $"{present}; last changed {Words.Clock(last.Time)}: {last.Reason}" : present;
    }

    private static string Lost(Preemption preemption) =>
        $"{preemption.Reason}{(preemption.HasLostDeviceSeconds ? $"; lost {Words.DeviceTime(preemption.LostDeviceSeconds)}" : "")}";

    private static ColumnTable Events(IEnumerable<JobEvent> events)
    {
        var table = new ColumnTable("TIME", "ATTEMPT", "STATE", "REASON");
        foreach (var happened in events)
            table.Add(Words.Clock(happened.Time), $"{happened.Attempt}", happened.ToState.Word(), happened.Reason);
        return table;
    }

    private static string Checkpoints(IEnumerable<Checkpoint> checkpoints)
    {
        var table = new ColumnTable("CHECKPOINT", "STEP", "EPOCH", "MIB", "VALIDATION", "TIME");
        var any = false;
        foreach (var stored in checkpoints)
        {
            any = true;
            // Whole: these ids begin with the time, so that the first digits of two are alike.
            table.Add(stored.Id, $"{stored.Step}", $"{stored.Epoch}", $"{stored.Bytes / 1048576.0:F1}",
                stored.HasValidationAccuracy ? Words.Percent(stored.ValidationAccuracy) : "", Words.Clock(stored.CreatedAt));
        }

        return any ? table.Render(null) : "";
    }

    private static string Indented(string block) =>
        string.Concat(block.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => $"  {line}\n"));
}
