using static TorchSharp.torch;

namespace Cluster.Models.Layers;

/// <summary>
/// What a custom function's backward hands to libtorch: kept until libtorch has a hold of its own on it, and freed right after.
/// </summary>
/// <remarks>
/// TorchSharp 0.107 passes the handles of what backward returns on and keeps nothing, so that a collection in between would free the
/// gradients under libtorch's hands. libtorch copies them before it calls anything else on the same thread. So what a thread handed over
/// last stays rooted here until it hands over again, or <see cref="Release"/>; left to a dispose scope, every gradient would stay until the
/// step's end.
/// </remarks>
public static class HandedGradients
{
    [ThreadStatic]
    private static List<Tensor>? held;

    /// <summary>The list for backward to return.</summary>
    /// <param name="received">The gradient that backward was given: freed unless it is handed on.</param>
    /// <param name="gradients">One for each of forward's arguments; null for what is no tensor.</param>
    public static List<Tensor> HandOver(Tensor received, params ReadOnlySpan<Tensor?> gradients)
    {
        Release();
        held ??= [];
        var handed = new List<Tensor>(gradients.Length);
        foreach (var gradient in gradients)
        {
            handed.Add(gradient!); // TorchSharp takes null for "none", and does not say so
            if (gradient is not null)
                held.Add(gradient.DetachFromDisposeScope()!);
        }

        if (!handed.Exists(gradient => ReferenceEquals(gradient, received)))
            received.Dispose();
        return handed;
    }

    /// <summary>After backward, on the thread that called it.</summary>
    public static void Release()
    {
        held?.ForEach(gradient => gradient.Dispose());
        held?.Clear();
    }
}
