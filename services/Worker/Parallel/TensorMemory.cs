using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Parallel;

/// <summary>Where a tensor's elements lie: in the CPU's memory, or on its device, which TorchSharp's public members do not tell.</summary>
internal static unsafe class TensorMemory
{
    private static readonly delegate* unmanaged<nint, nint> Data;

    // Only once a tensor is asked after: then TorchSharp has loaded what its native library depends on.
    static TensorMemory() =>
        Data = (delegate* unmanaged<nint, nint>)NativeLibrary.GetExport(
            NativeLibrary.Load("LibTorchSharp", typeof(TensorMemory).Assembly, searchPath: null), "THSTensor_data");

    /// <summary>Of the first element.</summary>
    public static nint AddressOf(Tensor tensor)
    {
        var address = Data(tensor.Handle);
        GC.KeepAlive(tensor);
        return address;
    }

    /// <summary>All elements, for an exchange. On a GPU they can be handed on but not read.</summary>
    /// <param name="tensor">Contiguous; must outlive the span.</param>
    public static Span<T> Values<T>(Tensor tensor)
        where T : unmanaged => new((void*)AddressOf(tensor), checked((int)tensor.numel()));
}
