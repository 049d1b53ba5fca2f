using Cluster.Scheduler.Persistence;
using Grpc.Core;

namespace Cluster.Scheduler.Api;

/// <summary>Ends one call that goes on for long once its caller would be refused.</summary>
/// <remarks>
/// It looks before each message and every <see cref="Interval"/>, so that a stream on which nothing happens ends, too: by a token on which
/// whatever serves it waits. A message that is under way is not broken off, or the caller would not hear why; only a reader that takes
/// nothing for <see cref="Patience"/> longer loses the call itself.
/// </remarks>
internal sealed class StreamWatch : IAsyncDisposable
{
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private readonly CancellationToken _call;
    private readonly Func<CancellationToken, ValueTask<RpcException?>> _findRefusal;
    private readonly Action _abort;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _over;
    private readonly CancellationTokenSource _left = new();
    private readonly Task _looking;
    private volatile RpcException? _refusal;

    /// <param name="call">The call's own token.</param>
    /// <param name="findRefusal">What the caller would be told if it called anew; null: it would be served.</param>
    /// <param name="abort">Breaks the call off.</param>
    public StreamWatch(
        CancellationToken call, Func<CancellationToken, ValueTask<RpcException?>> findRefusal, Action abort, TimeProvider time)
    {
        (_call, _findRefusal, _abort, _time) = (call, findRefusal, abort, time);
        _over = CancellationTokenSource.CreateLinkedTokenSource(call);
        _looking = LookAsync();
    }

    /// <summary>For whatever serves the call: cancelled with the call, and when the caller is to be refused.</summary>
    public CancellationToken Token => _over.Token;

    /// <exception cref="RpcException">The caller is to be told no more, and to tell no more.</exception>
    public async Task RunAsync(Func<Task> serve)
    {
        try
        {
            await serve();
        }
        catch (Exception) when (_refusal is { } refusal)
        {
            // What it threw comes of being stopped.
            throw new RpcException(refusal.Status);
        }
    }

    /// <exception cref="RpcException">As <see cref="RunAsync"/>.</exception>
    public async ValueTask CheckAsync()
    {
        if (_refusal is null && await _findRefusal(_call) is { } found)
            _refusal = found;
        if (_refusal is { } refusal)
            throw refusal;
    }

    public async ValueTask DisposeAsync()
    {
        await _left.CancelAsync();
        await _looking;
        _left.Dispose();
        _over.Dispose();
    }

    private async Task LookAsync()
    {
        try
        {
            while (_refusal is null)
            {
                await Task.Delay(Interval, _time, _left.Token);
                _refusal ??= await TryFindRefusalAsync();
            }

            await _over.CancelAsync();
            await Task.Delay(Patience, _time, _left.Token);
            _abort();
        }
        catch (OperationCanceledException) when (_left.IsCancellationRequested)
        {
            // The call has ended.
        }
    }

    private async Task<RpcException?> TryFindRefusalAsync()
    {
        try
        {
            return await _findRefusal(_left.Token);
        }
        catch (StoreUnavailableException)
        {
            // It is not known; the next look may find out.
            return null;
        }
    }
}
