using Grpc.Core;
using Grpc.Wire;

namespace Grpc.Net.Client;

/// <summary>
/// One call of a client, as one HTTP/2 request. It ends exactly once, by <see cref="End"/>: with the server's status, or with
/// one made here for a cancellation, a passed deadline or a failure below gRPC. Whatever is still under way then fails.
/// </summary>
internal sealed partial class HttpCall<TRequest, TResponse> : IDisposable
    where TRequest : class
    where TResponse : class
{
    private static readonly Status PastDeadline = new(StatusCode.DeadlineExceeded, "");

    private readonly Lock gate = new();
    private readonly GrpcChannel channel;
    private readonly string? host;
    private readonly CancellationTokenSource stop = new();
    private readonly TaskCompletionSource<Metadata> responseHeaders = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<IDisposable> triggers = [];
    private HttpResponseMessage? response;
    private MessageReader? reader;
    private Task untilHeaders = Task.CompletedTask;
    private (Status Status, Metadata Trailers)? outcome;

    public HttpCall(GrpcChannel channel, Method<TRequest, TResponse> method, string? host, CallOptions options)
    {
        if (options.Deadline is { Kind: not DateTimeKind.Utc } deadline && deadline != DateTime.MaxValue && deadline != DateTime.MinValue)
            throw new InvalidOperationException("Deadline must have a kind DateTimeKind.Utc or be equal to DateTime.MaxValue or DateTime.MinValue.");
        ObjectDisposedException.ThrowIf(channel.Disposed.IsCancellationRequested, channel);
        this.channel = channel;
        this.host = host;
        Method = method;
        Options = options;
        Stopped = stop.Token;
        WatchForEnd();
    }

    public Method<TRequest, TResponse> Method { get; }

    public CallOptions Options { get; }

    public Task<Metadata> ResponseHeaders => responseHeaders.Task;

    /// <summary>Cancelled when the call has ended, however it did.</summary>
    public CancellationToken Stopped { get; }

    public Status GetStatus() =>
        Outcome()?.Status ?? throw new InvalidOperationException("Unable to get the status because the call is not complete.");

    public Metadata GetTrailers() =>
        Outcome()?.Trailers ?? throw new InvalidOperationException("Can't get the call trailers because the call has not completed successfully.");

    /// <summary>Cancels the call unless it has ended.</summary>
    public void Dispose() => Cancel("gRPC call disposed.");

    public void Cancel(string why) => End(new Status(StatusCode.Cancelled, why), Metadata.Empty);

    public void End(Status status, Metadata trailers)
    {
        lock (gate)
        {
            if (outcome is not null)
                return;
            if (status.StatusCode == StatusCode.Cancelled && DeadlinePassed())
            {
                // The server's clock was first: it reset the stream before the timer here fired.
                status = new Status(StatusCode.DeadlineExceeded, status.Detail, status.DebugException);
            }
            outcome = (status, trailers);
        }
        LogEnd(status);
        triggers.ForEach(trigger => trigger.Dispose());
        stop.Cancel();         // frees writers and readers
        response?.Dispose();   // resets the stream unless the server has ended it
        if (responseHeaders.TrySetException(Failure()))
            _ = responseHeaders.Task.Exception;  // observed: few callers ask for headers
    }

    /// <summary>What a member of an ended call throws.</summary>
    public Exception Failure()
    {
        var (status, trailers) = Outcome() ?? (Status.DefaultCancelled, Metadata.Empty);
        return channel.ThrowOperationCanceled && status.StatusCode is StatusCode.Cancelled or StatusCode.DeadlineExceeded
            ? new OperationCanceledException(status.Detail, status.DebugException, Options.CancellationToken)
            : new RpcException(status, trailers);
    }

    /// <summary>What a write throws that failed: the call's own failure where that is known.</summary>
    public Exception WriteFailure(Exception exception) =>
        exception is OperationCanceledException || Outcome() is not null
            ? Failure()
            : new RpcException(StatusOf(exception, "Error writing a message."));

    private static Status StatusOf(Exception exception, string summary) => exception switch
    {
        RpcException rpc => rpc.Status,
        OperationCanceledException => new Status(StatusCode.Cancelled, exception.Message, exception),
        _ => StatusMapping.FromException(summary, exception),
    };

    private (Status Status, Metadata Trailers)? Outcome()
    {
        lock (gate)
            return outcome;
    }

    /// <summary>What ends a call from outside: its caller's token, the channel's end and its deadline.</summary>
    private void WatchForEnd()
    {
        lock (gate)
        {
            triggers.Add(Options.CancellationToken.UnsafeRegister(
                static call => ((HttpCall<TRequest, TResponse>)call!).Cancel("Call canceled by the client."), this));
            triggers.Add(channel.Disposed.UnsafeRegister(
                static call => ((HttpCall<TRequest, TResponse>)call!).Cancel("The channel was disposed."), this));
            if (DeadlinePassed())
            {
                End(PastDeadline, Metadata.Empty);
            }
            else if (Remaining() is { TotalMilliseconds: < uint.MaxValue - 1 } remaining)
            {
                triggers.Add(new Timer(
                    static call => ((HttpCall<TRequest, TResponse>)call!).End(PastDeadline, Metadata.Empty),
                    this,
                    remaining < TimeSpan.Zero ? TimeSpan.Zero : remaining,
                    Timeout.InfiniteTimeSpan));
            }
            if (outcome is not null)
                triggers.ForEach(trigger => trigger.Dispose());
        }
    }

    /// <summary>Null when the call has no deadline.</summary>
    private TimeSpan? Remaining() => Options.Deadline is { } deadline && deadline != DateTime.MaxValue ? deadline - DateTime.UtcNow : null;

    private bool DeadlinePassed() => Remaining() <= TimeSpan.Zero;
}
