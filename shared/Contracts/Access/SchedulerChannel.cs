using Grpc.Core;
using Grpc.Net.Client;

namespace Cluster.Contracts.Access;

/// <summary>
/// Connections to the schedulers of one cluster, for calls of which each goes to the one that answered last, and to the next when that one
/// does not answer any more.
/// </summary>
/// <remarks>
/// That a connection could be made says little: a scheduler that is stopped, or whose machine is stuck, has its connections accepted by the
/// kernel. So it is what becomes of calls that decides. A call that has brought nothing when its connection fails is made again at each of
/// the others, once: whoever calls a scheduler must bear that a call whose answer is lost is made twice.
/// </remarks>
public sealed class SchedulerChannel : CallInvoker, IDisposable
{
    private readonly SchedulerAddresses _addresses;
    private readonly GrpcChannel[] _channels;
    private readonly CallInvoker[] _invokers;

    internal SchedulerChannel(SchedulerAddresses addresses, IEnumerable<GrpcChannel> channels)
    {
        (_addresses, _channels) = (addresses, [.. channels]);
        _invokers = [.. _channels.Select(channel => channel.CreateCallInvoker())];
    }

    public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
    {
        var tries = new Tries<AsyncUnaryCall<TResponse>>(this, invoker => invoker.AsyncUnaryCall(method, host, options, request));
        var response = tries.RunAsync(call => call.ResponseAsync);
        return new AsyncUnaryCall<TResponse>(
            response, HeadersAsync(), () => tries.Call.GetStatus(), () => tries.Call.GetTrailers(), () => tries.Call.Dispose());

        async Task<Metadata> HeadersAsync()
        {
            await response;
            return await tries.Call.ResponseHeadersAsync;
        }
    }

    public override AsyncServerStreamingCall<TResponse> AsyncServerStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
    {
        var tries = new Tries<AsyncServerStreamingCall<TResponse>>(
            this, invoker => invoker.AsyncServerStreamingCall(method, host, options, request));
        return new AsyncServerStreamingCall<TResponse>(
            new Reader<TResponse>(tries), HeadersAsync(), () => tries.Call.GetStatus(), () => tries.Call.GetTrailers(),
            () => tries.Call.Dispose());

        // Of the first try: who reads headers before messages wants no more than to know that the call has begun.
        Task<Metadata> HeadersAsync() => tries.Call.ResponseHeadersAsync;
    }

    /// <summary>What the caller has sent cannot be sent again: the next call goes to another scheduler, not this one.</summary>
    public override AsyncClientStreamingCall<TRequest, TResponse> AsyncClientStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options)
    {
        var at = _addresses.Current;
        var call = _invokers[at].AsyncClientStreamingCall(method, host, options);
        return new AsyncClientStreamingCall<TRequest, TResponse>(
            call.RequestStream, NotedAsync(), call.ResponseHeadersAsync, call.GetStatus, call.GetTrailers, call.Dispose);

        async Task<TResponse> NotedAsync()
        {
            try
            {
                return await call.ResponseAsync;
            }
            catch (RpcException fault) when (IsSilence(fault))
            {
                _addresses.Leave(at);
                throw;
            }
        }
    }

    public override TResponse BlockingUnaryCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) =>
        throw new NotSupportedException("calls that block a thread are not made here");

    public override AsyncDuplexStreamingCall<TRequest, TResponse> AsyncDuplexStreamingCall<TRequest, TResponse>(
        Method<TRequest, TResponse> method, string? host, CallOptions options) =>
        throw new NotSupportedException("no call of a scheduler streams both ways");

    public void Dispose()
    {
        foreach (var channel in _channels)
            channel.Dispose();
    }

    /// <summary>Nobody answered, or one that could not serve: another scheduler may.</summary>
    private static bool IsSilence(RpcException fault) => fault.Meaning() is StatusCode.Unavailable or StatusCode.DeadlineExceeded;

    /// <summary>One call's way through the schedulers.</summary>
    private sealed class Tries<TCall>
        where TCall : IDisposable
    {
        private readonly SchedulerChannel _owner;
        private readonly Func<CallInvoker, TCall> _open;
        private int _at;
        private int _made = 1;

        public Tries(SchedulerChannel owner, Func<CallInvoker, TCall> open)
        {
            (_owner, _open, _at) = (owner, open, owner._addresses.Current);
            Call = open(owner._invokers[_at]);
        }

        /// <summary>The last one.</summary>
        public TCall Call { get; private set; }

        /// <param name="bring">Waits for what the call brings first.</param>
        public async Task<T> RunAsync<T>(Func<TCall, Task<T>> bring)
        {
            while (true)
            {
                try
                {
                    return await bring(Call);
                }
                catch (RpcException fault) when (IsSilence(fault))
                {
                    Leave();
                    // When the caller's time is over there is none for another try.
                    if (fault.Meaning() != StatusCode.Unavailable || _made == _owner._invokers.Length)
                        throw;
                }

                _made++;
                Call.Dispose();
                _at = _owner._addresses.Current;
                Call = _open(_owner._invokers[_at]);
            }
        }

        public void Leave() => _owner._addresses.Leave(_at);
    }

    private sealed class Reader<T>(Tries<AsyncServerStreamingCall<T>> tries) : IAsyncStreamReader<T>
    {
        private bool _hasBegun;

        public T Current => tries.Call.ResponseStream.Current;

        public async Task<bool> MoveNext(CancellationToken cancellationToken)
        {
            if (!_hasBegun)
            {
                var any = await tries.RunAsync(call => call.ResponseStream.MoveNext(cancellationToken));
                _hasBegun = true;
                return any;
            }

            try
            {
                return await tries.Call.ResponseStream.MoveNext(cancellationToken);
            }
            catch (RpcException fault) when (IsSilence(fault))
            {
                tries.Leave();
                throw;
            }
        }
    }
}
