using System.Collections.Concurrent;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Data.Loading;

/// <summary>
/// Flat tensors in the CPU's memory that are used again and again. In a process that has a GPU they are page-locked: the device then copies
/// by itself, at several times the speed.
/// </summary>
internal static class HostMemory
{
    private static readonly ConcurrentDictionary<(ScalarType Type, long Elements), ConcurrentBag<Tensor>> Free = [];
    private static readonly Lazy<bool> Locked = new(cuda.is_available);

    /// <summary>Undefined elements, outside of any dispose scope.</summary>
    public static Tensor Rent(ScalarType type, long elements)
    {
        if (Free.TryGetValue((type, elements), out var free) && free.TryTake(out var used))
            return used;
        var made = empty(elements, dtype: type).DetachFromDisposeScope();
        if (!Locked.Value || elements == 0)
            return made;
        using (made)
            return made.pin_memory().DetachFromDisposeScope();
    }

    /// <summary>No view of it may be in use any more, nor a copy of it under way.</summary>
    public static void Return(Tensor tensor) => Free.GetOrAdd((tensor.dtype, tensor.numel()), _ => []).Add(tensor);
}
