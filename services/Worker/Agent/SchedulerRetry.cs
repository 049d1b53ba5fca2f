using Grpc.Core;
using Microsoft.Extensions.Options;

namespace Cluster.Worker.Agent;

/// <summary>The one policy by which calls outlast a scheduler that is away: backoff from 0.1 s to 2 s, with jitter.</summary>
internal sealed partial class SchedulerRetry(IOptions<AgentOptions> options, TimeProvider timeProvider, ILogger<SchedulerRetry> logger)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);

    // A scheduler that is back gives every lease one fresh term, ten seconds by default: the next try must fall well within it.
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(2);

    // A server that answers but fails may be in its start-up, or have a bug that no patience cures.
    private const int TriesWhereTheServerFails = 5;

    /// <summary>Calls until it succeeds, fails for good, or the scheduler has been away for <see cref="AgentOptions.OutageLimit"/>.</summary>
    /// <exception cref="RpcException">The last failure.</exception>
    public Task<T> WithinOutageLimitAsync<T>(string operation, Func<CancellationToken, Task<T>> call, CancellationToken cancellationToken) =>
        RetryAsync(operation, call, new Outage(timeProvider, options.Value.OutageLimit, TriesWhereTheServerFails), cancellationToken);

    /// <summary>Calls until it succeeds or fails for good, however long the scheduler is away.</summary>
    /// <exception cref="RpcException">The last failure.</exception>
    public Task<T> WhileAwayAsync<T>(string operation, Func<CancellationToken, Task<T>> call, CancellationToken cancellationToken) =>
        RetryAsync(operation, call, new Outage(timeProvider, Timeout.InfiniteTimeSpan, TriesWhereTheServerFails), cancellationToken);

    /// <summary>Calls until it succeeds or is refused, even where the server fails again and again: for what must be said.</summary>
    /// <exception cref="RpcException">A refusal, which no repetition cures.</exception>
    public Task<T> UntilAcknowledgedAsync<T>(string operation, Func<CancellationToken, Task<T>> call, CancellationToken cancellationToken) =>
        RetryAsync(operation, call, new Outage(timeProvider, Timeout.InfiniteTimeSpan, int.MaxValue), cancellationToken);

    /// <summary>The scheduler, or the way to it, is away; it may be back.</summary>
    public static bool IsOutage(StatusCode code) => code is StatusCode.Unavailable or StatusCode.DeadlineExceeded;

    private async Task<T> RetryAsync<T>(
        string operation, Func<CancellationToken, Task<T>> call, Outage away, CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                var result = await call(cancellationToken);
                if (away.Tries > 0)
                    LogBack(operation, away.Tries, away.Elapsed.TotalSeconds);
                return result;
            }
            catch (RpcException e) when (!cancellationToken.IsCancellationRequested && away.MayTryAgain(e.StatusCode))
            {
                AgentMetrics.Retries.Add(1, new KeyValuePair<string, object?>("rpc.method", operation));
                if (away.Tries == 1)
                    LogAway(operation, e.StatusCode, e.Status.Detail);
                await Task.Delay(away.Pause(), timeProvider, cancellationToken);
            }
            catch (RpcException e) when (cancellationToken.IsCancellationRequested && e.StatusCode == StatusCode.Cancelled)
            {
                // gRPC tells of the caller's own cancellation as of any other status; callers tell it from failures by its type.
                throw new OperationCanceledException(e.Message, e, cancellationToken);
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Operation}: the scheduler does not answer ({Status}: {Detail}); trying on")]
    private partial void LogAway(string operation, StatusCode status, string detail);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Operation}: the scheduler answers again after {Tries} tries in {Seconds:F1} s")]
    private partial void LogBack(string operation, int tries, double seconds);

    /// <summary>One stretch of failures.</summary>
    private sealed class Outage(TimeProvider timeProvider, TimeSpan limit, int triesWhereTheServerFails)
    {
        private long _since;
        private int _failures;

        public int Tries { get; private set; }

        public TimeSpan Elapsed => timeProvider.GetElapsedTime(_since);

        public bool MayTryAgain(StatusCode code)
        {
            if (Tries++ == 0)
                _since = timeProvider.GetTimestamp();
            if (IsOutage(code))
                return limit == Timeout.InfiniteTimeSpan || Elapsed < limit;
            return code is StatusCode.Internal or StatusCode.Unknown or StatusCode.Cancelled or StatusCode.ResourceExhausted
                && ++_failures < triesWhereTheServerFails;
        }

        public TimeSpan Pause()
        {
            var ceiling = Math.Min(FirstPause.TotalSeconds * Math.Pow(2, Math.Min(Tries - 1, 16)), LongestPause.TotalSeconds);
            return TimeSpan.FromSeconds(ceiling * (0.5 + Random.Shared.NextDouble() / 2));
        }
    }
}
