using System.Globalization;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;

namespace Cluster.Worker.Training;

/// <summary>A trainer's way to its agent: gRPC over the agent's Unix socket.</summary>
/// <remarks>Deadlines are longer than the agent's patience with a scheduler that is away, so that the agent's word comes first.</remarks>
internal sealed class TrainerHostLink : ITrainerLink, IDisposable
{
    private static readonly TimeSpan LocalTimeout = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan RelayTimeout = TimeSpan.FromHours(2);

    private readonly TrainerLaunch _launch;
    private readonly TimeProvider _timeProvider;
    private readonly GrpcChannel _channel;
    private readonly AttemptService.AttemptServiceClient _attempt;
    private readonly LocalAgentService.LocalAgentServiceClient _agent;

    public TrainerHostLink(TrainerLaunch launch, TimeProvider timeProvider)
    {
        _launch = launch;
        _timeProvider = timeProvider;
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            ConnectCallback = async (_, cancellationToken) =>
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                try
                {
                    await socket.ConnectAsync(new UnixDomainSocketEndPoint(launch.AgentSocket), cancellationToken);
                    return new NetworkStream(socket, ownsSocket: true);
                }
                catch
                {
                    socket.Dispose();
                    throw;
                }
            },
        };
        // The name matters not: the callback knows where to go.
        _channel = GrpcChannel.ForAddress(
            "http://agent", new GrpcChannelOptions { HttpHandler = handler, DisposeHttpClient = true, MaxReceiveMessageSize = null });
        _attempt = new AttemptService.AttemptServiceClient(_channel);
        _agent = new LocalAgentService.LocalAgentServiceClient(_channel);
    }

    /// <summary>Attaches. The task in the task ends when the agent, or the connection to it, is gone.</summary>
    public async Task<Task> AttachAsync(TrainerStop stop, CancellationToken cancellationToken)
    {
        var call = _agent.Attach(new AttachRequest(), new CallOptions(Headers(), cancellationToken: cancellationToken));
        try
        {
            // The first signal is empty and says that the agent has accepted this rank.
            if (!await call.ResponseStream.MoveNext(cancellationToken).WaitAsync(LocalTimeout, _timeProvider, cancellationToken))
                throw new IOException("the agent closed the connection before it had accepted this rank");
        }
        catch
        {
            call.Dispose();
            throw;
        }

        return ListenAsync(call, stop, cancellationToken);
    }

    public Task ReportFaultAsync(string message) => CallAsync(async () =>
        await _agent.ReportFaultAsync(new ReportFaultRequest { Message = message }, Options(LocalTimeout, CancellationToken.None)));

    public Task<RendezvousResponse> RendezvousAsync(string name, string address, CancellationToken cancellationToken) =>
        RendezvousAsync(new RendezvousRequest { Name = name, Endpoint = new RankEndpoint { Address = address } }, cancellationToken);

    public Task PrepareRendezvousAsync(string name, string preparing, CancellationToken cancellationToken) =>
        RendezvousAsync(new RendezvousRequest { Name = name, Endpoint = new RankEndpoint(), Preparing = preparing }, cancellationToken);

    public Task<string> ReserveSharedMemoryAsync(string name, long bytes, CancellationToken cancellationToken) => CallAsync(async () =>
    {
        try
        {
            var request = new ReserveSharedMemoryRequest { Name = name, Bytes = bytes };
            return (await _agent.ReserveSharedMemoryAsync(request, Options(LocalTimeout, cancellationToken))).Path;
        }
        catch (RpcException e) when (e.StatusCode == StatusCode.ResourceExhausted)
        {
            throw new IOException(e.Status.Detail, e);
        }
    });

    public Task ReportAsync(ReportRequest report, CancellationToken cancellationToken) =>
        CallAsync(async () => await _attempt.ReportAsync(report, Options(RelayTimeout, cancellationToken)));

    public Task PutChunksAsync(IAsyncEnumerable<PutChunksRequest> chunks, CancellationToken cancellationToken) => CallAsync(async () =>
    {
        using var call = _attempt.PutChunks(Options(RelayTimeout, cancellationToken));
        return await call.SendAsync(chunks, cancellationToken);
    });

    public Task<string> CommitCheckpointAsync(CheckpointManifest part, int parts, CancellationToken cancellationToken) =>
        CallAsync(async () =>
            (await _attempt.CommitCheckpointAsync(
                new CommitCheckpointRequest { Manifest = part, Parts = parts }, Options(RelayTimeout, cancellationToken))).CheckpointId);

    public Task<CheckpointManifest> GetCheckpointAsync(string checkpointId, CancellationToken cancellationToken) => CallAsync(async () =>
        (await _attempt.GetCheckpointAsync(
            new GetCheckpointRequest { CheckpointId = checkpointId }, Options(RelayTimeout, cancellationToken))).Manifest);

    public async IAsyncEnumerable<ReadOnlyMemory<byte>> GetChunksAsync(
        string checkpointId, IReadOnlyList<ByteString> sha256, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var call = _attempt.GetChunks(
            new GetChunksRequest { CheckpointId = checkpointId, Sha256 = { sha256 } }, Options(RelayTimeout, cancellationToken));
        while (await CallAsync(() => call.ResponseStream.MoveNext(cancellationToken)))
            yield return call.ResponseStream.Current.Data.Memory;
    }

    public void Dispose() => _channel.Dispose();

    private Task<RendezvousResponse> RendezvousAsync(RendezvousRequest request, CancellationToken cancellationToken)
    {
        (request.Endpoint.Rank, request.Endpoint.NodeId) = (_launch.Rank, _launch.NodeId);
        return CallAsync(async () => await _attempt.RendezvousAsync(request, Options(RelayTimeout, cancellationToken)));
    }

    private static async Task ListenAsync(AsyncServerStreamingCall<AgentSignal> call, TrainerStop stop, CancellationToken cancellationToken)
    {
        using (call)
        {
            try
            {
                while (await call.ResponseStream.MoveNext(cancellationToken))
                {
                    if (call.ResponseStream.Current.Stop is { } signal)
                        stop.Request(signal.Reason, signal.Grace?.ToTimeSpan() ?? TimeSpan.Zero);
                }
            }
            catch (RpcException)
            {
                // Gone, whatever the words; and the end of this task says so.
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                // The trainer itself ends.
            }
        }
    }

    private static async Task<T> CallAsync<T>(Func<Task<T>> call)
    {
        try
        {
            return await call();
        }
        catch (RpcException e) when (e.StatusCode == StatusCode.Aborted)
        {
            throw new StaleAttemptException(e);
        }
    }

    private CallOptions Options(TimeSpan timeout, CancellationToken cancellationToken) =>
        new(Headers(), (_timeProvider.GetUtcNow() + timeout).UtcDateTime, cancellationToken);

    private Metadata Headers() => new()
    {
        { CallMetadata.Job, _launch.JobId },
        { CallMetadata.Attempt, _launch.Attempt.ToString(CultureInfo.InvariantCulture) },
        { CallMetadata.Rank, _launch.Rank.ToString(CultureInfo.InvariantCulture) },
        { CallMetadata.Authorization, CallMetadata.Bearer(_launch.AttemptSecret) },
    };
}
