using System.CommandLine;
using Cluster.Cli.Experiments;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Grpc.Core;

namespace Cluster.Cli.Jobs;

/// <summary>job submit FILE, one job's or an experiment's: checked here first, so that most mistakes cost no round trip.</summary>
internal static class SubmitVerb
{
    public static Command Build(VerbFactory verbs)
    {
        var file = new Argument<string>("FILE") { Description = "job file, or - for standard input" };
        var follow = new Option<bool>("--follow", "-f") { Description = "stay and show progress until the job ends" };
        var wait = new Option<bool>("--wait-for-capacity")
        {
            Description = "queue the job even if the cluster as it stands can never run it",
        };
        var requestId = new Option<Guid?>("--request-id")
        {
            Description = "submitting twice with the same id makes one job (a UUID; otherwise a new one)",
            HelpName = "UUID",
        };
        var settings = new Option<string[]>("--set")
        {
            Description = "put a value into the file, as in hyperparameters.epochs=3; may be given again",
            HelpName = "KEY=VALUE",
        };
        var dryRun = new Option<bool>("--dry-run")
        {
            Description = "print the complete job file, what the job would take, and where and when it would start; nothing is stored",
        };
        var command = verbs.Verb("submit",
            "Queue a training job, or all jobs of a file with variants. "
                + "Among waiting jobs of one queue a larger priority number wins, then the older job.",
            async (context, cancellationToken) =>
            {
                var yaml = await JobFileText.ReadAsync(
                    context.Arguments.GetRequiredValue(file), context.Host.In, cancellationToken);
                if (context.Arguments.GetValue(settings) is { Length: > 0 } given)
                    yaml = JobFileSettings.Apply(yaml, given);
                return context.Arguments.GetValue(dryRun)
                    ? await DryRun.RunAsync(context, yaml, cancellationToken)
                    : await RunAsync(
                        context, yaml, context.Arguments.GetValue(requestId) ?? Guid.NewGuid(), context.Arguments.GetValue(wait),
                        context.Arguments.GetValue(follow), cancellationToken);
            });
        command.Arguments.Add(file);
        foreach (var option in new Option[] { follow, wait, requestId, settings, dryRun })
            command.Options.Add(option);
        command.Validators.Add(result =>
        {
            if (result.GetValue(dryRun) && (result.GetValue(follow) || result.GetValue(wait) || result.GetValue(requestId) is not null))
                result.AddError("--dry-run submits nothing, so that it goes with none of --follow, --wait-for-capacity and --request-id");
        });
        return command;
    }

    private static async Task<int> RunAsync(
        VerbContext context, string yaml, Guid requestId, bool waitForCapacity, bool follow, CancellationToken cancellationToken)
    {
        if (ExperimentFile.Describes(yaml))
            return await RunExperimentAsync(context, yaml, requestId, waitForCapacity, follow, cancellationToken);
        foreach (var warning in JobSpecWarnings.Of(JobFile.Parse(yaml)))
            await context.Output.RemarkAsync($"warning: {warning}");
        var request = new SubmitJobRequest { RequestId = requestId.ToString("D"), Yaml = yaml, WaitForCapacity = waitForCapacity };
        var job = (await SubmitAsync(
            context, request.RequestId, options => context.Connection.Jobs.SubmitJobAsync(request, options), cancellationToken)).Job;

        if (context.Json)
            await (follow ? context.Output.MessageAsync(job) : context.Output.DocumentAsync(job));
        else
            await context.Output.LineAsync($"job {job.Id} {job.Spec.Name}: {JobLines.StateAndReason(job)}");
        if (follow)
            return await new JobFollower(context).FollowAsync(job.Id, cancellationToken);
        if (context.Output.IsTerminal)
            await context.Output.RemarkAsync($"see it with: ./cluster job watch {Rendering.Words.Short(job.Id)}");
        return ExitCode.Done;
    }

    private static async Task<int> RunExperimentAsync(
        VerbContext context, string yaml, Guid requestId, bool waitForCapacity, bool follow, CancellationToken cancellationToken)
    {
        ExperimentFile.Parse(yaml);
        var request = new SubmitExperimentRequest { RequestId = requestId.ToString("D"), Yaml = yaml, WaitForCapacity = waitForCapacity };
        var submitted = await SubmitAsync(
            context, request.RequestId, options => context.Connection.Experiments.SubmitExperimentAsync(request, options),
            cancellationToken);
        await ExperimentJobs.AddRestAsync(submitted.Jobs, submitted.Experiment.Id, submitted.NextPageToken, context, cancellationToken);
        submitted.NextPageToken = "";
        if (context.Json)
            await (follow ? context.Output.MessageAsync(submitted) : context.Output.DocumentAsync(submitted));
        else
            await context.Output.LineAsync(ExperimentLines.Standing(submitted.Experiment));
        if (follow)
            return await new ExperimentFollower(context).FollowAsync(submitted.Experiment.Id, cancellationToken);
        if (context.Output.IsTerminal)
            await context.Output.RemarkAsync($"see it with: ./cluster experiment watch {Rendering.Words.Short(submitted.Experiment.Id)}");
        return ExitCode.Done;
    }

    private static async Task<T> SubmitAsync<T>(
        VerbContext context, string requestId, Func<CallOptions, AsyncUnaryCall<T>> submit, CancellationToken cancellationToken)
    {
        try
        {
            return await submit(context.Connection.Call(cancellationToken));
        }
        catch (RpcException fault) when (fault.StatusCode == StatusCode.DeadlineExceeded)
        {
            // It may have been stored all the same.
            await context.Output.RemarkAsync(
                $"the job may have been queued; to try again without making a second one, add --request-id {requestId}");
            throw;
        }
    }
}
