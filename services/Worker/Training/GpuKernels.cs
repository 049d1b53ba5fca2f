using System.Runtime.InteropServices;
using Cluster.Contracts.V1;
using TorchSharp;

namespace Cluster.Worker.Training;

/// <summary>Which kernels libtorch takes on a GPU, in this process from here on.</summary>
internal static unsafe class GpuKernels
{
    /// <summary>
    /// Of float32 products those of the tensor cores, if the job says so: PyTorch's own default is convolutions yes, other products no. Of
    /// convolutions the fastest.
    /// </summary>
    public static void Choose(Precision precision)
    {
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == Precision.Tf32;
        if (torch.cuda.is_available())
            SearchForTheFastest();
    }

    /// <summary>
    /// Has cuDNN time its kernels for each new shape instead of guessing: PyTorch's <c>torch.backends.cudnn.benchmark</c>, which TorchSharp
    /// does not show. libtorch's own C++ functions do, by their mangled names; false where it has none of these, which leaves it guessing.
    /// </summary>
    internal static bool SearchForTheFastest()
    {
        if (!NativeLibrary.TryLoad("libtorch_cpu.so", out var libtorch)
            || !NativeLibrary.TryGetExport(libtorch, "_ZN2at13globalContextEv", out var globalContext)
            || !NativeLibrary.TryGetExport(libtorch, "_ZN2at7Context17setBenchmarkCuDNNEb", out var setBenchmark))
            return false;
        ((delegate* unmanaged<nint, byte, void>)setBenchmark)(((delegate* unmanaged<nint>)globalContext)(), 1);
        return true;
    }
}
