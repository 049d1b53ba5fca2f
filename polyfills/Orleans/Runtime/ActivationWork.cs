namespace Orleans.Runtime;

/// <summary>Something that waits for its turn in an activation: a request or a timer's tick.</summary>
internal abstract class ActivationWork
{
    public virtual bool AlwaysInterleave => false;

    public virtual bool ReadOnly => false;

    /// <summary>The call chain whose members may re-enter each other; empty for most.</summary>
    public virtual Guid ReentrancyId => Guid.Empty;

    /// <summary>Whether it counts as use of the activation, which puts off idle collection.</summary>
    public virtual bool CountsAsUse => true;

    /// <summary>Nobody waits for it any more: it is dropped instead of run.</summary>
    public virtual bool IsAbandoned => false;

    /// <summary>Runs on the activation's scheduler; reports its own failures and never throws.</summary>
    public abstract Task RunAsync(Activation activation);

    /// <summary>It will not run.</summary>
    public abstract void Reject(Exception exception);

    /// <summary>The activation that it waited for has ended; a request goes to the next one.</summary>
    public abstract void Reroute();
}
