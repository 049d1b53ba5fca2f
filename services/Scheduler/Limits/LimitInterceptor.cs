using System.Diagnostics.Metrics;
using System.Globalization;
using System.Threading.RateLimiting;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Access;
using Cluster.Scheduler.Telemetry;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Limits;

/// <summary>Refuses calls beyond what one owner may ask for, before they cost anything: see <see cref="LimitOptions"/>.</summary>
/// <remarks>
/// After the token check, whose owner it goes by. Nodes and trainers are not limited here: a lease hangs on their calls, and they are as
/// many as there are devices.
/// </remarks>
public sealed class LimitInterceptor : Interceptor, IDisposable
{
    // Where nothing tells when one of the calls will be over.
    private static readonly TimeSpan SomeTime = TimeSpan.FromSeconds(1);

    private readonly PartitionedRateLimiter<Caller> _rate;
    private readonly PartitionedRateLimiter<Caller> _calls;
    private readonly PartitionedRateLimiter<Caller> _streams;
    private readonly PartitionedRateLimiter<Caller> _uploads;
    private readonly LimitOptions _limits;
    private readonly Counter<long> _refused;

    public LimitInterceptor(IOptions<LimitOptions> options, IMeterFactory meters)
    {
        _limits = options.Value;
        _rate = PartitionedRateLimiter.Create<Caller, string>(caller => IsLimited(caller)
            ? RateLimitPartition.GetTokenBucketLimiter(caller.Owner, _ => new TokenBucketRateLimiterOptions
            {
                TokenLimit = _limits.CallBurst,
                TokensPerPeriod = _limits.CallsPerSecond,
                ReplenishmentPeriod = TimeSpan.FromSeconds(1),
            })
            : RateLimitPartition.GetNoLimiter(""));
        _calls = AtOnce(_limits.CallsAtOnce);
        _streams = AtOnce(_limits.StreamsAtOnce);
        _uploads = AtOnce(_limits.UploadsAtOnce);
        _refused = meters.Create(SchedulerTelemetry.Name)
            .CreateCounter<long>("scheduler.calls.limited", "{call}", "Calls refused because their owner makes too many.");
    }

    public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
        TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
    {
        using var lease = Admit(context, _calls, "calls", nameof(LimitOptions.CallsAtOnce), _limits.CallsAtOnce);
        return await continuation(request, context);
    }

    public override async Task<TResponse> ClientStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requestStream, ServerCallContext context,
        ClientStreamingServerMethod<TRequest, TResponse> continuation)
    {
        using var lease = Admit(context, _uploads, "uploads", nameof(LimitOptions.UploadsAtOnce), _limits.UploadsAtOnce);
        return await continuation(requestStream, context);
    }

    public override async Task ServerStreamingServerHandler<TRequest, TResponse>(
        TRequest request, IServerStreamWriter<TResponse> responseStream, ServerCallContext context,
        ServerStreamingServerMethod<TRequest, TResponse> continuation)
    {
        using var lease = Admit(context, _streams, "streams", nameof(LimitOptions.StreamsAtOnce), _limits.StreamsAtOnce);
        await continuation(request, responseStream, context);
    }

    public void Dispose()
    {
        foreach (var limiter in new[] { _rate, _calls, _streams, _uploads })
            limiter.Dispose();
    }

    private static bool IsLimited(Caller caller) => caller.Scope is Scope.Viewer or Scope.Submitter or Scope.Operator;

    private static PartitionedRateLimiter<Caller> AtOnce(int calls) => PartitionedRateLimiter.Create<Caller, string>(caller =>
        IsLimited(caller)
            ? RateLimitPartition.GetConcurrencyLimiter(caller.Owner, _ => new ConcurrencyLimiterOptions { PermitLimit = calls })
            : RateLimitPartition.GetNoLimiter(""));

    /// <returns>To be held while the call goes on; null where nobody counts.</returns>
    private RateLimitLease? Admit(
        ServerCallContext context, PartitionedRateLimiter<Caller> kind, string what, string setting, int limit)
    {
        // Trainers' calls have no owner, and those to open services none either.
        if (!context.UserState.TryGetValue(typeof(Caller), out var found) || found is not Caller caller)
            return null;
        using (var inTime = _rate.AttemptAcquire(caller))
        {
            if (!inTime.IsAcquired)
            {
                throw Refusal(
                    context,
                    $"{caller.Owner} makes more calls a second than {_limits.CallsPerSecond} (Limits:CallsPerSecond)",
                    inTime.TryGetMetadata(MetadataName.RetryAfter, out var wait) ? wait : SomeTime);
            }
        }

        var lease = kind.AttemptAcquire(caller);
        if (lease.IsAcquired)
            return lease;
        lease.Dispose();
        throw Refusal(context, $"{caller.Owner} has {limit} {what} at once, as many as may be (Limits:{setting})", SomeTime);
    }

    private RpcException Refusal(ServerCallContext context, string reason, TimeSpan wait)
    {
        _refused.Add(1);
        var seconds = (int)Math.Ceiling(Math.Max(wait.TotalSeconds, 1));
        // To clients of REST and to those of gRPC, as each has it.
        context.GetHttpContext().Response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        var trailers = new Metadata { { "grpc-retry-pushback-ms", (seconds * 1000).ToString(CultureInfo.InvariantCulture) } };
        return new RpcException(new Status(StatusCode.ResourceExhausted, $"{reason}; try again in {seconds} s"), trailers);
    }
}
