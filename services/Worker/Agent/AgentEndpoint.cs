using System.Security.Cryptography;
using System.Text;
using Cluster.Contracts;
using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Grpc.Core;

namespace Cluster.Worker.Agent;

/// <summary>AgentService: the scheduler's orders to this node.</summary>
internal sealed class AgentEndpoint(AttemptTable attempts, DescribeProcess describing, AgentIdentity identity)
    : AgentService.AgentServiceBase
{
    private const long LongestGrace = 24 * 60 * 60;

    private readonly byte[] _secret = Encoding.UTF8.GetBytes(identity.Secret);

    public override async Task<LaunchResponse> Launch(LaunchRequest request, ServerCallContext context)
    {
        Authenticate(context);
        await attempts.LaunchAsync(request);
        return new LaunchResponse();
    }

    public override Task<StopResponse> Stop(StopRequest request, ServerCallContext context)
    {
        Authenticate(context);
        if (!JobId.TryParse(request.JobId, out var job))
            throw new RpcException(new Status(StatusCode.InvalidArgument, StatusText.Of($"job_id is '{request.JobId}'; give a UUID")));
        if (request.Grace is { } asked && (asked.Seconds is < 0 or > LongestGrace || asked.Nanos is < 0 or >= 1_000_000_000))
        {
            throw new RpcException(new Status(
                StatusCode.InvalidArgument, $"grace is {asked.Seconds} s and {asked.Nanos} ns; give 0 to {LongestGrace} s"));
        }

        attempts.Stop(new AttemptKey(job, request.Attempt), request.Reason, request.Grace?.ToTimeSpan() ?? TimeSpan.Zero);
        return Task.FromResult(new StopResponse());
    }

    public override Task<DescribeModelsResponse> DescribeModels(DescribeModelsRequest request, ServerCallContext context)
    {
        Authenticate(context);
        return describing.RunAsync(request, context.CancellationToken);
    }

    private void Authenticate(ServerCallContext context)
    {
        var token = CallMetadata.TokenOf(context.RequestHeaders.GetValue(CallMetadata.Authorization)) ?? "";
        if (!CryptographicOperations.FixedTimeEquals(_secret, Encoding.UTF8.GetBytes(token)))
            throw new RpcException(new Status(StatusCode.Unauthenticated, "the bearer token is not this agent's secret"));
    }
}
