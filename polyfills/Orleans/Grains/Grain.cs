using Orleans.Runtime;

namespace Orleans;

/// <summary>
/// Base of every grain class. All code of one activation runs one turn at a time on the activation's own task scheduler,
/// so fields need no locks as long as grain code uses plain <c>await</c>.
/// </summary>
public abstract class Grain : IGrainBase, IAddressable
{
    /// <remarks>Runs inside the activation that is being made: key and services are available in a subclass's constructor.</remarks>
    /// <exception cref="InvalidOperationException">The class was created by hand and not by the runtime.</exception>
    protected Grain() =>
        Activation = RuntimeContext.Current
            ?? throw new InvalidOperationException($"{GetType()} was created outside the Orleans runtime; use IGrainFactory.GetGrain.");

    /// <summary>The activation that this instance is.</summary>
    public IGrainContext GrainContext => Activation;

    internal Activation Activation { get; }

    /// <summary>Type and key, for logs.</summary>
    public string IdentityString => Activation.GrainId.ToString();

    protected IGrainFactory GrainFactory => Activation.Silo.GrainFactory;

    /// <summary>The services of this activation: a scope that ends with it.</summary>
    protected internal IServiceProvider ServiceProvider => Activation.ActivationServices;

    /// <summary>Ends this activation once no request runs; requests that wait go to a new activation.</summary>
    protected void DeactivateOnIdle() => GrainBaseExtensions.DeactivateOnIdle(this);

    /// <summary>Holds off idle collection for at least <paramref name="timeSpan"/>.</summary>
    /// <param name="timeSpan">Zero withdraws an earlier delay; <see cref="Timeout.InfiniteTimeSpan"/> delays for ever.</param>
    protected void DelayDeactivation(TimeSpan timeSpan) => Activation.DelayDeactivation(timeSpan);

    /// <summary>Runs before the first request. If it throws, waiting callers get the failure and the next call tries anew.</summary>
    public virtual Task OnActivateAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Runs after the last request and before the instance is dropped. Not run when the process dies.</summary>
    public virtual Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken) => Task.CompletedTask;
}
