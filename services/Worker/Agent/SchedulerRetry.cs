using Cluster.Contracts.Access;
using Grpc.Core;
using Microsoft.Extensions.Options;
using Polly;
using Polly.Registry;
using Polly.Retry;

namespace Cluster.Worker.Agent;

/// <summary>The one policy by which calls outlast a scheduler that is away: backoff from 0.1 s to 1 s, with jitter.</summary>
internal sealed partial class SchedulerRetry
{
    private const string PipelineName = "scheduler";

    // A server that answers but fails may be in its start-up, or have a bug that no patience cures.
    private const int TriesWhereTheServerFails = 5;

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);

    // A scheduler that is back gives every lease one fresh term, five seconds by default: the next try must fall well within it.
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(1);
    private static readonly ResiliencePropertyKey<Outage> CallsOutage = new("outage");

    private readonly ResiliencePipeline _pipeline;
    private readonly TimeSpan _outageLimit;
    private readonly TimeProvider _timeProvider;
    private readonly ILogger<SchedulerRetry> _logger;

    public SchedulerRetry(
        ResiliencePipelineProvider<string> pipelines, IOptions<AgentOptions> options, TimeProvider timeProvider,
        ILogger<SchedulerRetry> logger)
    {
        _pipeline = pipelines.GetPipeline(PipelineName);
        (_outageLimit, _timeProvider, _logger) = (options.Value.OutageLimit, timeProvider, logger);
    }

    /// <summary>Registers this and its pipeline, whose metrics are Polly's.</summary>
    public static void Add(IServiceCollection services)
    {
        services.AddSingleton<SchedulerRetry>();
        services.AddResiliencePipeline(PipelineName, (pipeline, context) =>
        {
            pipeline.TimeProvider = context.ServiceProvider.GetRequiredService<TimeProvider>();
            pipeline.AddRetry(new RetryStrategyOptions
            {
                ShouldHandle = args => ValueTask.FromResult(
                    args.Outcome.Exception is RpcException failure && OutageOf(args.Context).MayTryAgain(failure)),
                MaxRetryAttempts = int.MaxValue,
                Delay = FirstPause,
                MaxDelay = LongestPause,
                BackoffType = DelayBackoffType.Exponential,
                UseJitter = true,
                OnRetry = args =>
                {
                    OutageOf(args.Context).Tried(((RpcException)args.Outcome.Exception!).Status);
                    return default;
                },
            });
        });
    }

    /// <summary>
    /// Calls until it succeeds, fails for good, or the scheduler has been away for <see cref="AgentOptions.OutageLimit"/>.
    /// </summary>
    /// <exception cref="RpcException">The last failure.</exception>
    public Task<T> WithinOutageLimitAsync<T>(
        string operation, Func<CancellationToken, Task<T>> call, CancellationToken cancellationToken) =>
        RetryAsync(new Outage(this, operation, _outageLimit, TriesWhereTheServerFails), call, cancellationToken);

    /// <summary>Calls until it succeeds or fails for good, however long the scheduler is away.</summary>
    /// <exception cref="RpcException">The last failure.</exception>
    public Task<T> WhileAwayAsync<T>(string operation, Func<CancellationToken, Task<T>> call, CancellationToken cancellationToken) =>
        RetryAsync(new Outage(this, operation, Timeout.InfiniteTimeSpan, TriesWhereTheServerFails), call, cancellationToken);

    /// <summary>Calls until it succeeds or is refused, even where the server fails again and again: for what must be said.</summary>
    /// <exception cref="RpcException">A refusal, which no repetition cures.</exception>
    public Task<T> UntilAcknowledgedAsync<T>(
        string operation, Func<CancellationToken, Task<T>> call, CancellationToken cancellationToken) =>
        RetryAsync(new Outage(this, operation, Timeout.InfiniteTimeSpan, int.MaxValue), call, cancellationToken);

    /// <summary>The scheduler, or the way to it, is away; it may be back.</summary>
    public static bool IsOutage(RpcException failure) => failure.Meaning() is StatusCode.Unavailable or StatusCode.DeadlineExceeded;

    private static Outage OutageOf(ResilienceContext context) => context.Properties.GetValue(CallsOutage, null!);

    private async Task<T> RetryAsync<T>(Outage outage, Func<CancellationToken, Task<T>> call, CancellationToken cancellationToken)
    {
        var context = ResilienceContextPool.Shared.Get(cancellationToken);
        context.Properties.Set(CallsOutage, outage);
        try
        {
            var result = await _pipeline.ExecuteAsync(async (context, call) => await call(context.CancellationToken), context, call);
            outage.Over();
            return result;
        }
        catch (RpcException e) when (cancellationToken.IsCancellationRequested && e.StatusCode == StatusCode.Cancelled)
        {
            // gRPC tells of the caller's own cancellation as of any other status; callers tell it from failures by its type.
            throw new OperationCanceledException(e.Message, e, cancellationToken);
        }
        finally
        {
            ResilienceContextPool.Shared.Return(context);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Operation}: the scheduler does not answer ({Status}: {Detail}); trying on")]
    private partial void LogAway(string operation, StatusCode status, string detail);

    [LoggerMessage(
        Level = LogLevel.Information, Message = "{Operation}: the scheduler answers again after {Tries} tries in {Seconds:F1} s")]
    private partial void LogBack(string operation, int tries, double seconds);

    /// <summary>One call's stretch of failures: how long its patience is, and what is told of it.</summary>
    private sealed class Outage(SchedulerRetry owner, string operation, TimeSpan limit, int triesWhereTheServerFails)
    {
        private long _since;
        private int _tries;
        private int _failures;

        public bool MayTryAgain(RpcException failure)
        {
            if (_tries == 0)
                _since = owner._timeProvider.GetTimestamp();
            if (IsOutage(failure))
                return limit == Timeout.InfiniteTimeSpan || owner._timeProvider.GetElapsedTime(_since) < limit;
            return failure.StatusCode is StatusCode.Internal or StatusCode.Unknown or StatusCode.Cancelled or StatusCode.ResourceExhausted
                && ++_failures < triesWhereTheServerFails;
        }

        public void Tried(Status status)
        {
            AgentMetrics.Retries.Add(1, new KeyValuePair<string, object?>("rpc.method", operation));
            if (_tries++ == 0)
                owner.LogAway(operation, status.StatusCode, status.Detail);
        }

        public void Over()
        {
            if (_tries > 0)
                owner.LogBack(operation, _tries, owner._timeProvider.GetElapsedTime(_since).TotalSeconds);
        }
    }
}
