using System.Runtime.CompilerServices;
using Cluster.Contracts.Access;
using Grpc.Core;

namespace Cluster.Cli.Connection;

/// <summary>
/// A stream's messages to the last, over restarts of the scheduler in between: jobs outlive those, so their watchers do too.
/// </summary>
internal sealed class PatientStream(TimeProvider time, Func<string, Task> remark)
{
    private static readonly TimeSpan BetweenTries = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestAbsence = TimeSpan.FromMinutes(2);

    /// <param name="open">Makes the call, again after each absence; what has been yielded by then has been handled.</param>
    /// <param name="isLast">
    /// Whether a message ends the stream; an end without such a one is an absence. Null where no message tells: then the stream's own end
    /// is the end.
    /// </param>
    /// <param name="what">What goes on meanwhile: "the job goes on".</param>
    /// <exception cref="RpcException">The scheduler refused, or was away at the start or for two minutes.</exception>
    public async IAsyncEnumerable<T> MessagesAsync<T>(
        Func<AsyncServerStreamingCall<T>> open, Func<T, bool>? isLast, string what,
        [EnumeratorCancellation] CancellationToken cancellationToken)
        where T : class
    {
        var hasBegun = false;
        DateTimeOffset? lostAt = null;
        while (true)
        {
            using var call = open();
            var isAway = isLast is not null;
            while (await NextAsync(call.ResponseStream) is { } message)
            {
                if (lostAt is not null)
                    await remark("the scheduler is back");
                (hasBegun, lostAt) = (true, null);
                yield return message;
                if (isLast?.Invoke(message) == true)
                    yield break;
            }

            if (!isAway)
                yield break;
            if (lostAt is null)
                await remark($"the scheduler went away; {what}, waiting for it to come back");
            lostAt ??= time.GetUtcNow();
            await Task.Delay(BetweenTries, time, cancellationToken);

            async Task<T?> NextAsync(IAsyncStreamReader<T> stream)
            {
                try
                {
                    return await stream.MoveNext(cancellationToken) ? stream.Current : null;
                }
                catch (RpcException fault) when (fault.Meaning() == StatusCode.Unavailable && hasBegun && StillPatient())
                {
                    isAway = true;
                    return null;
                }
            }
        }

        bool StillPatient() => lostAt is not { } since || time.GetUtcNow() - since < LongestAbsence;
    }
}
