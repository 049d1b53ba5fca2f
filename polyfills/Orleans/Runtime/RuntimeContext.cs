namespace Orleans.Runtime;

/// <summary>The activation whose turn this thread runs; null elsewhere, and after <c>ConfigureAwait(false)</c>.</summary>
internal static class RuntimeContext
{
    [ThreadStatic]
    private static Activation? current;

    public static Activation? Current
    {
        get => current;
        set => current = value;
    }
}
