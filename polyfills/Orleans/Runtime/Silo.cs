using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Orleans.Configuration;
using Orleans.Hosting;
using Orleans.Serialization;

namespace Orleans.Runtime;

/// <summary>The host's grains: the directory of living activations, and their collection and shutdown.</summary>
internal sealed partial class Silo(
    IServiceProvider services,
    TimeProvider time,
    IOptions<GrainCollectionOptions> collection,
    IOptions<SiloMessagingOptions> messaging,
    IOptions<SiloTracing> tracing,
    ILoggerFactory loggers)
{
    private readonly ConcurrentDictionary<GrainId, Activation> _activations = new();
    private readonly GrainClasses _classes = new();
    private volatile SiloState _state;
    private ITimer? _collector;

    private enum SiloState
    {
        Created,
        Running,
        Stopping,
        Stopped,
    }

    public IServiceProvider Services => services;

    public TimeProvider Time => time;

    public GrainCollectionOptions Collection => collection.Value;

    public SiloMessagingOptions Messaging => messaging.Value;

    public bool Tracing => tracing.Value.Enabled;

    public ILogger Logger { get; } = loggers.CreateLogger("Orleans");

    public Copier Copier { get; } = new(services);

    public IGrainFactory GrainFactory => field ??= new GrainFactory(this);

    /// <summary>How many grains live now.</summary>
    internal int ActivationCount => _activations.Count;

    public object Reference(Type grainInterface, string key, string? classNamePrefix)
    {
        var grainClass = _classes.Resolve(grainInterface, classNamePrefix);
        return Reference(grainInterface, new GrainTarget(new GrainId(grainClass.TypeName, key), grainClass));
    }

    public object Reference(Type grainInterface, GrainTarget target) => GrainProxy.Create(this, grainInterface, target);

    /// <summary>Queues work at the grain's activation, which is made if there is none.</summary>
    public void Dispatch(GrainTarget target, ActivationWork work, Dictionary<string, object>? requestContext)
    {
        while (true)
        {
            if (_activations.TryGetValue(target.Id, out var activation))
            {
                if (activation.TryEnqueue(work))
                    return;
                continue; // It has just ended and is out of the directory by now.
            }

            if (_state != SiloState.Running)
            {
                work.Reject(new SiloUnavailableException($"{target.Id} cannot be called: the host is {(_state == SiloState.Created ? "not started" : "stopping")}."));
                return;
            }

            activation = new Activation(this, target);
            activation.TryEnqueue(work);
            if (!_activations.TryAdd(target.Id, activation))
                continue;
            activation.Activate(requestContext);
            return;
        }
    }

    public void Remove(Activation activation) => _activations.TryRemove(new(activation.GrainId, activation));

    public void Start()
    {
        _state = SiloState.Running;
        using var noFlow = ActivationScheduler.SuppressFlow();
        _collector = time.CreateTimer(_ => CollectIdle(), null, Collection.CollectionQuantum, Collection.CollectionQuantum);
    }

    /// <summary>Deactivates every grain. Those that have not ended when the token is cancelled are given up, and named in the log.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        _state = SiloState.Stopping;
        if (_collector is not null)
            await _collector.DisposeAsync();
        // More than one round: a request that was about to be queued may still make an activation after the first.
        while (!_activations.IsEmpty)
        {
            var living = _activations.Values.ToArray();
            foreach (var activation in living)
                activation.Deactivate(new DeactivationReason(DeactivationReasonCode.ShuttingDown, "The host is stopping."), cancellationToken);
            try
            {
                await Task.WhenAll(living.Select(activation => activation.Ended)).WaitAsync(cancellationToken);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                Abandon(living.Where(activation => !activation.Ended.IsCompleted));
                break;
            }
        }

        _state = SiloState.Stopped;
    }

    private void Abandon(IEnumerable<Activation> living)
    {
        foreach (var activation in living)
        {
            LogAbandoned(Logger, activation.GrainId);
            activation.Abandon(new SiloUnavailableException($"The host stopped before {activation.GrainId} had answered."));
        }
    }

    private void CollectIdle()
    {
        foreach (var (_, activation) in _activations)
            activation.CollectIfIdle();
    }
}
