using System.Threading.Channels;
using Grpc.Core;
using Grpc.Health.V1;
using static Grpc.Health.V1.HealthCheckResponse.Types;

namespace Grpc.HealthCheck;

/// <summary>
/// <c>grpc.health.v1.Health</c> from states that are set. A watcher that reads slowly misses states in between, never the latest.
/// </summary>
public class HealthServiceImpl : Health.V1.Health.HealthBase
{
    private readonly Lock gate = new();
    private readonly Dictionary<string, ServingStatus> states = new(StringComparer.Ordinal);
    private readonly Dictionary<string, List<ChannelWriter<ServingStatus>>> watchers = new(StringComparer.Ordinal);

    /// <param name="service">The full name of a service; empty for the server as a whole.</param>
    /// <param name="status">Its state from now on.</param>
    public void SetStatus(string service, ServingStatus status)
    {
        ArgumentNullException.ThrowIfNull(service);
        lock (gate)
        {
            if (states.TryGetValue(service, out var old) && old == status)
                return;
            states[service] = status;
            foreach (var watcher in watchers.GetValueOrDefault(service) ?? [])
                watcher.TryWrite(status);
        }
    }

    public override Task<HealthCheckResponse> Check(HealthCheckRequest request, ServerCallContext context)
    {
        ArgumentNullException.ThrowIfNull(request);
        lock (gate)
        {
            return states.TryGetValue(request.Service, out var status)
                ? Task.FromResult(new HealthCheckResponse { Status = status })
                : throw new RpcException(new Status(StatusCode.NotFound, ""));
        }
    }

    /// <summary>Runs until the call is cancelled.</summary>
    public override async Task Watch(HealthCheckRequest request, IServerStreamWriter<HealthCheckResponse> responseStream, ServerCallContext context)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(responseStream);
        ArgumentNullException.ThrowIfNull(context);
        await foreach (var status in WatchAsync(request.Service, context.CancellationToken))
            await responseStream.WriteAsync(new HealthCheckResponse { Status = status });
    }

    /// <summary>The state now and at each change, until cancelled; the enumeration then ends normally.</summary>
    internal async IAsyncEnumerable<ServingStatus> WatchAsync(
        string service, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var changes = Channel.CreateBounded<ServingStatus>(new BoundedChannelOptions(capacity: 1) { FullMode = BoundedChannelFullMode.DropOldest });
        lock (gate)
        {
            // Under one lock with the registration, so that no change falls between the first state and the first watch.
            changes.Writer.TryWrite(states.GetValueOrDefault(service, ServingStatus.ServiceUnknown));
            if (!watchers.TryGetValue(service, out var list))
                watchers[service] = list = [];
            list.Add(changes.Writer);
        }
        await using var registration = cancellationToken.UnsafeRegister(_ => changes.Writer.TryComplete(), state: null);
        try
        {
            await foreach (var status in changes.Reader.ReadAllAsync(CancellationToken.None))
                yield return status;
        }
        finally
        {
            lock (gate)
            {
                if (watchers[service].Remove(changes.Writer) && watchers[service].Count == 0)
                    watchers.Remove(service);
            }
        }
    }
}
