using System.Collections.Concurrent;
using static TorchSharp.torch;

namespace Cluster.Models.Layers;

/// <summary>
/// What custom functions' backward hands to libtorch: kept until libtorch has a hold of its own on it, and freed right after.
/// </summary>
/// <remarks>
/// TorchSharp 0.107 passes the handles of what backward returns on and keeps nothing, so that a collection in between would free the
/// gradients under libtorch's hands. libtorch copies them before it calls anything else on the same thread. So what a thread handed over
/// last stays rooted here until it hands over again, or until backward has ended (<see cref="Release"/>); left to a dispose scope, every
/// gradient would stay until the step's end. A GPU's functions are called by a thread of libtorch's own, which several graphs may share:
/// what it hands over belongs to the thread that built the graph, since that one calls backward and knows when it has ended.
/// </remarks>
public sealed class HandedGradients
{
    private const string Owner = "handed gradients";

    [ThreadStatic]
    private static HandedGradients? ofGraphsBuiltHere;

    private readonly ConcurrentDictionary<int, List<Tensor>> held = new(); // by the thread that called backward functions

    private HandedGradients()
    {
    }

    /// <summary>In a function's forward, whose backward is to hand over.</summary>
    public static void Prepare(autograd.AutogradContext ctx) => ctx.save_data(Owner, ofGraphsBuiltHere ??= new HandedGradients());

    /// <summary>The list for backward to return.</summary>
    /// <param name="ctx">That forward has prepared.</param>
    /// <param name="received">The gradient that backward was given: freed unless it is handed on.</param>
    /// <param name="gradients">One for each of forward's arguments; null for what is no tensor.</param>
    public static List<Tensor> HandOver(autograd.AutogradContext ctx, Tensor received, params ReadOnlySpan<Tensor?> gradients)
    {
        var held = ((HandedGradients)ctx.get_data(Owner)!).held.GetOrAdd(Environment.CurrentManagedThreadId, _ => []);
        Free(held);
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

    /// <summary>
    /// After backward, on the thread that built the graph and called it: frees what was handed over, on whichever thread. Not after a
    /// failure, when another thread may not have come to its end yet.
    /// </summary>
    public static void Release()
    {
        foreach (var held in ofGraphsBuiltHere?.held.Values ?? [])
            Free(held);
    }

    private static void Free(List<Tensor> held)
    {
        held.ForEach(gradient => gradient.Dispose());
        held.Clear();
    }
}
