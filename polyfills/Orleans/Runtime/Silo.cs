namespace Orleans.Runtime;

internal abstract class Silo
{
    public abstract IGrainFactory GrainFactory { get; }
    public abstract object Reference(Type type, GrainTarget target);
}
internal abstract record GrainTarget(GrainId Id);
internal abstract class GrainProxy
{
    public abstract Silo Silo { get; }
    public abstract GrainTarget Target { get; }
}
internal abstract class Activation : IGrainContext
{
    public abstract GrainId GrainId { get; }
    public abstract object? GrainInstance { get; }
    public abstract IServiceProvider ActivationServices { get; }
    public abstract Silo Silo { get; }
    public abstract GrainTarget Target { get; }
    public abstract IGrainTimer AddTimer(Func<CancellationToken, Task> callback, GrainTimerCreationOptions options);
    public abstract void Deactivate(DeactivationReason reason);
    public abstract void DelayDeactivation(TimeSpan timeSpan);
    public abstract void EnterReentrantSection(Guid id);
    public abstract void LeaveReentrantSection(Guid id);
}
internal static class RuntimeContext
{
    [ThreadStatic]
    public static Activation? Current;
}
