using System.Reflection;

namespace Orleans.Runtime;

/// <summary>A reference to a grain: an object of the grain's interface whose methods send requests. Equal when the grain is the same.</summary>
internal class GrainProxy : DispatchProxy
{
    // Set right after creation: DispatchProxy makes the object through a parameterless constructor.
    public Silo Silo { get; private set; } = null!;

    public GrainTarget Target { get; private set; } = null!;

    public static object Create(Silo silo, Type grainInterface, GrainTarget target)
    {
        var proxy = Create(grainInterface, typeof(GrainProxy));
        var self = (GrainProxy)proxy;
        self.Silo = silo;
        self.Target = target;
        return proxy;
    }

    public override bool Equals(object? obj) => obj is GrainProxy other && other.Target.Id == Target.Id;

    public override int GetHashCode() => Target.Id.GetHashCode();

    public override string ToString() => $"GrainReference:{Target.Id}";

    protected override object? Invoke(MethodInfo? targetMethod, object?[]? args) =>
        GrainMethod.For(targetMethod!).Call(Silo, Target, args ?? []);
}
