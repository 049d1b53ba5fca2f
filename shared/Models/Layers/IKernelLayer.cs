namespace Cluster.Models.Layers;

/// <summary>
/// A layer that a kernel of our own computes faster than libtorch's operators do on most processors, with other last bits.
/// </summary>
public interface IKernelLayer
{
    /// <summary>Whether it does so, where the kernel fits the input; by default it does.</summary>
    bool UsesKernel { get; set; }
}
