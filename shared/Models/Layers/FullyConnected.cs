using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Cluster.Models.Layers;

/// <summary>Fully connected layers of nets that set every parameter themselves.</summary>
internal static class FullyConnected
{
    /// <summary>
    /// (…, inputs) → (…, outputs). The parameters hold anything: <c>nn.Linear</c> would draw them first, which takes longer than all else
    /// for the hundred million of a VGG.
    /// </summary>
    public static Linear Undrawn(long inputs, long outputs, ScalarType dtype) =>
        nn.Linear(nn.Parameter(empty(outputs, inputs, dtype)), nn.Parameter(empty(outputs, dtype)));
}
