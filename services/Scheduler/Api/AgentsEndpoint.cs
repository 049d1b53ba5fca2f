using System.Collections.Immutable;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Access;
using Cluster.Scheduler.Attempts;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Logs;
using Cluster.Scheduler.Nodes;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace Cluster.Scheduler.Api;

/// <summary>What worker agents call.</summary>
internal sealed class AgentsEndpoint(
    IGrainFactory grains, NodeHeartbeats heartbeats, LogStore logs, RankOwnership ownership, NodeEnrollments enrollments,
    AgentAddressRule addresses)
    : AgentRegistryService.AgentRegistryServiceBase
{
    private const int Sha256Bytes = 32;
    private const int LongestIncarnation = 200;
    private const int LongestDevice = 200;
    private const int LongestName = 200;

    public override async Task<EnrollResponse> Enroll(EnrollRequest request, ServerCallContext context)
    {
        if (request.TokenSha256.Length != Sha256Bytes)
        {
            throw new InvalidRequestException(
                $"token_sha256 has {request.TokenSha256.Length} bytes; give the SHA-256 of the node's token");
        }

        var outcome = await enrollments.EnrollAsync(
            EnrollmentCode.Of(context), ReadNode(request.NodeId), request.TokenSha256.ToByteArray(), context.CancellationToken);
        return outcome switch
        {
            EnrollmentOutcome.Enrolled => new EnrollResponse(),
            EnrollmentOutcome.OtherNode => throw new RpcException(new Status(
                StatusCode.PermissionDenied,
                $"node {request.NodeId} is known by another name than the code is for; see Agent:Name, or enroll it by its name")),
            EnrollmentOutcome.TooManyCodes => throw new RpcException(new Status(
                StatusCode.Unavailable, "too many codes are presented here; try again in a moment")),
            var refused => throw new RpcException(new Status(StatusCode.Unauthenticated, refused switch
            {
                EnrollmentOutcome.Expired => "the code has expired; ask for another one: ./cluster node enroll",
                EnrollmentOutcome.Used => "the code has been used; ask for another one: ./cluster node enroll",
                _ => "the code is not known here; ask for one: ./cluster node enroll",
            })),
        };
    }

    public override async Task<RegisterResponse> Register(RegisterRequest request, ServerCallContext context)
    {
        CheckRegistration(request);
        if (Caller.Of(context) is { Node: not null } enrolled && enrolled.TokenName != request.Name)
        {
            throw new RpcException(new Status(
                StatusCode.PermissionDenied,
                $"name is '{request.Name}', but the node is enrolled as '{enrolled.TokenName}'; set Agent:Name"));
        }

        await addresses.CheckAsync(
            ReadNode(request.NodeId), request.AgentAddress, context.GetHttpContext().Connection.RemoteIpAddress,
            context.CancellationToken);
        var registration = new NodeRegistration(
            request.Name, request.AgentAddress, request.AgentSecret, request.Incarnation, request.AgentVersion,
            [.. request.Devices.Select(device => new NodeDevice(device.Id, device.Kind, device.Cores, device.MemoryBytes, device.Model))],
            request.Labels.ToImmutableDictionary(), [.. request.DataSets], Keys(request.Running));
        var lease = await grains.GetGrain<INodeGrain>(ReadNode(request.NodeId).Value).RegisterAsync(registration);
        return new RegisterResponse
        {
            LeaseDuration = lease.LeaseDuration.ToDuration(),
            HeartbeatInterval = lease.HeartbeatInterval.ToDuration(),
            Stale = { References(lease.Stale) },
        };
    }

    public override async Task<HeartbeatResponse> Heartbeat(HeartbeatRequest request, ServerCallContext context)
    {
        if (request.Devices.FirstOrDefault(device => !double.IsFinite(device.Utilization)) is { } odd)
            throw new InvalidRequestException(
                $"utilization of device {odd.Device} is {odd.Utilization}; give 0 to 1, or leave the device out");
        // Many nodes' heartbeats are stored together: what cannot be stored must not get in among them.
        RequestText.Check("incarnation", request.Incarnation, LongestIncarnation);
        foreach (var device in request.Devices)
            RequestText.Check("device", device.Device, LongestDevice);
        var heartbeat = new NodeHeartbeat(request.Incarnation, Keys(request.Running), request.ShuttingDown);
        var result = await heartbeats.HeartbeatAsync(ReadNode(request.NodeId), heartbeat, request.Devices);
        RequireLease(result.Status, request.NodeId);
        return new HeartbeatResponse { LeaseDuration = result.LeaseDuration.ToDuration(), Stale = { References(result.Stale) } };
    }

    public override async Task<UpdateDataSetsResponse> UpdateDataSets(UpdateDataSetsRequest request, ServerCallContext context)
    {
        var status = await heartbeats.UpdateDataSetsAsync(
            ReadNode(request.NodeId), new NodeDataSets(request.Incarnation, [.. request.DataSets]));
        RequireLease(status, request.NodeId);
        return new UpdateDataSetsResponse();
    }

    public override async Task<ReportExitResponse> ReportExit(ReportExitRequest request, ServerCallContext context)
    {
        var exit = new RankExit(
            // A process may have written a NUL, which Postgres cannot hold.
            ReadNode(request.NodeId), request.Attempt, request.Rank, request.ExitCode, request.Signal,
            request.Message.Replace('\0', '\uFFFD'), request.Evicted)
        {
            MatchedPolicies = [.. request.MatchedPolicies],
        };
        var job = ReadJob(request.JobId);
        await ownership.CheckAsync(exit.Node, job, request.Attempt, request.Rank, context.CancellationToken);
        await GrainCall.RetryAsync(() => grains.GetGrain<IJobGrain>(job.Value).RankExitedAsync(exit));
        return new ReportExitResponse();
    }

    public override async Task<AppendLogsResponse> AppendLogs(AppendLogsRequest request, ServerCallContext context)
    {
        if (request.AgentSequence < 1)
            throw new InvalidRequestException($"agent_sequence is {request.AgentSequence}; lines are numbered from 1");
        foreach (var line in request.Lines)
            RequestTime.Check("lines.time", line.Time);
        var (node, job) = (ReadNode(request.NodeId), ReadJob(request.JobId));
        try
        {
            await logs.AppendAsync(node, job, request.Attempt, request.AgentSequence, request.Lines, context.CancellationToken);
        }
        catch (AttemptFencedException)
        {
            await ownership.CheckAsync(node, job, request.Attempt, rank: null, context.CancellationToken);
            throw;
        }

        return new AppendLogsResponse();
    }

    private static void RequireLease(HeartbeatStatus status, string node)
    {
        if (status == HeartbeatStatus.Unknown)
            throw new RpcException(new Status(StatusCode.NotFound, "the node has no lease here; register again"));
        if (status == HeartbeatStatus.Superseded)
        {
            throw new RpcException(new Status(
                StatusCode.FailedPrecondition,
                $"another agent has registered as node {node} since; two agents must not share a state folder"));
        }
    }

    private static void CheckRegistration(RegisterRequest request)
    {
        if (request.Name.Length == 0)
            throw new InvalidRequestException("name is empty; give the name that people know the node by");
        if (request.Incarnation.Length == 0)
            throw new InvalidRequestException("incarnation is empty; make a UUID at each start of the agent");
        RequestText.Check("name", request.Name, LongestName);
        RequestText.Check("agent_version", request.AgentVersion, LongestName);
        RequestText.Check("incarnation", request.Incarnation, LongestIncarnation);
        foreach (var device in request.Devices)
        {
            RequestText.Check("device", device.Id, LongestDevice);
            RequestText.Check("model", device.Model, LongestDevice);
        }

        // Devices are granted by their ids: two of the same would be one to the placement, and one attempt's too many.
        if (request.Devices.GroupBy(device => device.Id).FirstOrDefault(same => same.Key.Length == 0 || same.Skip(1).Any()) is { } wrong)
            throw new InvalidRequestException(
                $"device id '{wrong.Key}' stands {wrong.Count()} times; give each device an id of its own, such as cpu:0");
    }

    private static NodeId ReadNode(string text) =>
        NodeId.TryParse(text, out var id) ? id : throw new InvalidRequestException($"node_id is '{text}'; give the node's UUID");

    private static JobId ReadJob(string text) =>
        JobId.TryParse(text, out var id) ? id : throw new InvalidRequestException($"job_id is '{text}'; give the job's UUID");

    private static ImmutableArray<AttemptKey> Keys(IEnumerable<AttemptRef> references) =>
        [.. references.Select(reference => new AttemptKey(ReadJob(reference.JobId), reference.Attempt))];

    private static IEnumerable<AttemptRef> References(IEnumerable<AttemptKey> keys) =>
        keys.Select(key => new AttemptRef { JobId = key.Job.ToString(), Attempt = key.Attempt });
}
