using System.Diagnostics;
using Cluster.Contracts;
using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Worker.Devices;
using Cluster.Worker.Telemetry;
using Grpc.Core;
using Microsoft.Extensions.Options;

namespace Cluster.Worker.Agent;

/// <summary>Turns a launch request into processes.</summary>
internal sealed partial class TrainerLauncher(
    IOptions<AgentOptions> options, AgentIdentity identity, NodeDevices devices, AgentEndpoints endpoints, WorkerCommand command,
    LaunchThread launchThread, TrainerNotes notes, ILogger<TrainerLauncher> logger)
{
    /// <summary>Says what is wrong with a request before anything is started.</summary>
    /// <exception cref="RpcException">InvalidArgument.</exception>
    public AttemptKey Check(LaunchRequest request)
    {
        if (!JobId.TryParse(request.JobId, out var job))
            throw Invalid($"job_id is '{request.JobId}'; give a UUID");
        if (request.AttemptSecret.Length == 0)
            throw Invalid("attempt_secret is empty");
        if (request.Ranks.Count == 0)
            throw Invalid("ranks is empty; there is nothing to start");
        foreach (var rank in request.Ranks)
        {
            if (rank.Rank < 0 || rank.Rank >= request.WorldSize)
                throw Invalid($"rank is {rank.Rank} and world_size {request.WorldSize}");
            if (devices.Find(rank.Device) is null)
                throw Invalid($"device is '{rank.Device}', which node {options.Value.Name} does not have; "
                    + $"it has {string.Join(", ", devices.All.Select(device => device.Id))}");
        }

        if (request.Ranks.DistinctBy(rank => rank.Device).Count() < request.Ranks.Count
            || request.Ranks.DistinctBy(rank => rank.Rank).Count() < request.Ranks.Count)
            throw Invalid("two ranks have the same number or the same device");
        return new AttemptKey(job, request.Attempt);
    }

    /// <summary>Starts all ranks. Those that were started before one failed are in <paramref name="attempt"/> when this throws.</summary>
    public async Task StartAsync(LaunchRequest request, LocalAttempt attempt)
    {
        _ = ActivityContext.TryParse(request.Traceparent, request.Tracestate, out var parent);
        using var activity = WorkerTelemetry.Agent.StartActivity("agent.launch", ActivityKind.Consumer, parent);
        activity?.SetTag("cluster.job.id", request.JobId);
        activity?.SetTag("cluster.attempt", request.Attempt);
        try
        {
            endpoints.EnsureSocketIsThere();
            foreach (var assignment in request.Ranks)
                await StartRankAsync(request, assignment, attempt, activity);
        }
        catch (Exception e)
        {
            activity?.SetStatus(ActivityStatusCode.Error, e.Message);
            throw;
        }
    }

    private async Task StartRankAsync(LaunchRequest request, RankAssignment assignment, LocalAttempt attempt, Activity? activity)
    {
        var device = devices.Find(assignment.Device)!;
        var launch = new TrainerLaunch
        {
            JobId = request.JobId,
            Attempt = request.Attempt,
            AttemptSecret = request.AttemptSecret,
            Spec = request.Spec,
            WorldSize = request.WorldSize,
            Rank = assignment.Rank,
            LocalRank = assignment.LocalRank,
            LocalWorldSize = request.Ranks.Count,
            Device = assignment.Device,
            NodeId = identity.NodeId.ToString(),
            NodeName = options.Value.Name,
            AgentSocket = endpoints.Socket,
            PeerHost = request.Ranks.Count < request.WorldSize ? endpoints.AdvertisedHost : "",
            ListenAddress = endpoints.ListenAddress.ToString(),
            FirstPeerPort = options.Value.TrainerPortRange.First,
            LastPeerPort = options.Value.TrainerPortRange.Last,
            PeerCertificates = endpoints.TrainerCertificates,
            DataRoot = options.Value.DataRoot,
            DataIndexFolder = identity.DataIndexFolder,
            ResumeCheckpointId = request.ResumeCheckpointId,
            Traceparent = activity?.Id ?? request.Traceparent,
            Tracestate = request.Tracestate,
            Threads = devices.ThreadsOf(device),
            TrainUntil = request.TrainUntil,
        };
        var environment = TrainerEnvironment.For(Environment.GetEnvironmentVariables(), launch, devices.GpuOf(device));
        string[] arguments = ["trainer", "--job", launch.JobId, "--attempt", $"{launch.Attempt}", "--rank", $"{launch.Rank}"];
        var process = await launchThread.RunAsync(
            () => TrainerProcess.Start([command.Program, .. command.Arguments], arguments, environment,
                (stream, line) => attempt.Log(assignment.Rank, stream, line)), devices.CoresOf(device));
        // Before anything else that may fail, so that it is followed or killed; and before it learns where the socket is, so that it cannot
        // come too early.
        attempt.Add(new LocalRank(new RankKey(attempt.Key, assignment.Rank), assignment.Device, process, options.Value.ReportSpoolLength));
        notes.Add(process);
        process.GiveOrders(launch);
        LogStarted(attempt.Key.Job, attempt.Key.Attempt, assignment.Rank, process.Id, assignment.Device);
    }

    private static RpcException Invalid(string message) => new(new Status(StatusCode.InvalidArgument, StatusText.Of(message)));

    [LoggerMessage(
        Level = LogLevel.Information, Message = "Job {JobId} attempt {Attempt} rank {Rank}: process {ProcessId} started on {Device}")]
    private partial void LogStarted(JobId jobId, int attempt, int rank, int processId, string device);
}
