using static TorchSharp.torch;

namespace Cluster.Worker.Training;

/// <summary>The Euclidean norm of a tensor.</summary>
internal static class TensorNorm
{
    /// <summary>In the tensor's own precision: not finite if an element is not, or if a square leaves the range.</summary>
    public static double Of(Tensor tensor)
    {
        using var scope = NewDisposeScope();
        return tensor.norm().to(ScalarType.Float64).item<double>();
    }
}
