using System.Runtime.InteropServices;
using Cluster.Worker.Collectives;
using Cluster.Worker.Devices.Cuda;

namespace Cluster.Worker.Training;

/// <summary>Tells an allocation that failed from other faults.</summary>
internal static class MemoryFault
{
    // c10::OutOfMemoryError of the CUDA allocator, cuDNN and cuBLAS; the CUDA driver's own, as libtorch and as we word it; NCCL's, which
    // says no more of what it could not get; c10's allocator of host memory, as an allocation and as a mapping.
    private static readonly string[] Words = ["CUDA out of memory", "CUDA error: out of memory", "CUDNN_STATUS_ALLOC_FAILED",
        "CUBLAS_STATUS_ALLOC_FAILED", "CUDA_ERROR_OUT_OF_MEMORY", "Cuda failure 'out of memory'",
        "DefaultCPUAllocator: can't allocate memory"];

    /// <summary>
    /// The allocator's own sentence, or null if this is another fault. TorchSharp hands on libtorch's errors without their class, as text
    /// and backtrace.
    /// </summary>
    public static string? Find(Exception fault)
    {
        for (var cause = fault; cause is not null; cause = cause.InnerException)
        {
            var mayTell = cause is ExternalException or DeviceException or CollectiveException;
            if (cause is OutOfMemoryException
                || (mayTell && Array.Exists(Words, word => cause.Message.Contains(word, StringComparison.Ordinal))))
                return cause.Message.Split('\n')[0].TrimEnd();
        }

        return null;
    }
}
