using Cluster.Models.Layers;
using Cluster.Models.Summary;
using static TorchSharp.torch;

namespace Cluster.Models.Tests.Summary;

/// <summary>
/// What an estimate counts; the sizes of processes that train are held against it where those are started, in the worker's tests.
/// </summary>
public sealed class MemoryEstimateTests
{
    [Fact]
    public void EstimateInBFloat16_HasMastersBesideItsCopiesAndHalvesActivations()
    {
        var options = new Dictionary<string, object> { ["inputSize"] = 28L };
        using var wide = ModelRegistry.CreateToLoad("lenet5", options);
        using var narrow = ModelRegistry.CreateToLoad("lenet5", options);
        MixedPrecision.Narrow(narrow);

        var (expected, estimate) = (MemoryEstimate.Of(wide, 8, statesPerParameter: 2), MemoryEstimate.Of(narrow, 8, statesPerParameter: 2));

        estimate.Parameters.ShouldBe(expected.Parameters * 3 / 2); // float32 masters and copies of half their size
        estimate.Gradients.ShouldBe(expected.Gradients * 3 / 2);
        estimate.OptimizerState.ShouldBe(expected.OptimizerState);
        ((double)estimate.Activations / expected.Activations).ShouldBeInRange(0.45, 0.7); // indices of pooling stay as large
    }

    [Fact]
    public void EstimateWithRelu6_KeepsWhatCameIntoIt()
    {
        var options = new Dictionary<string, object> { ["inputSize"] = 32L, ["activation"] = "relu" };
        using var rectified = ModelRegistry.CreateToLoad("mobilenet_v1", options);
        using var clipped = ModelRegistry.CreateToLoad(
            "mobilenet_v1", new Dictionary<string, object>(options) { ["activation"] = "relu6" });

        // Of convolution, normalisation and activation, ReLU in place keeps the first two's outputs.
        var (expected, estimate) = (
            MemoryEstimate.Of(rectified, 8, statesPerParameter: 1), MemoryEstimate.Of(clipped, 8, statesPerParameter: 1));

        ((double)estimate.Activations / expected.Activations).ShouldBeInRange(1.45, 1.5);
    }

    [Fact]
    public void EstimateWithRelu6InBFloat16_KeepsWhatCameIntoItInFloat32()
    {
        var options = new Dictionary<string, object> { ["inputSize"] = 32L };
        using var wide = ModelRegistry.CreateToLoad("mobilenet_v2", options);
        using var narrow = ModelRegistry.CreateToLoad("mobilenet_v2", options);
        MixedPrecision.Narrow(narrow);

        // Of an activated convolution 2 bytes for its output, 4 for the normalised and 2 for the activated one, where float32 has 4 for
        // each; of the others 2 and 4.
        var (expected, estimate) = (MemoryEstimate.Of(wide, 8, statesPerParameter: 1), MemoryEstimate.Of(narrow, 8, statesPerParameter: 1));

        ((double)estimate.Activations / expected.Activations).ShouldBeInRange(0.6, 2.0 / 3);
    }

    [Fact]
    public void Estimate_CountsForAGpuTwoBatchesAndTheGradientsInOnePiece()
    {
        using var network = ModelRegistry.CreateToLoad("lenet5", new Dictionary<string, object> { ["inputSize"] = 28L });

        var estimate = MemoryEstimate.Of(network, 8, statesPerParameter: 2);

        estimate.GpuOnly.ShouldBe((2 * 8 * 28 * 28 * sizeof(float)) + estimate.Gradients);
    }

    [Fact]
    public void Transient_CountsWhatTorchSharpMakesLikeTheOutputOfAFunction()
    {
        using var scope = NewDisposeScope();
        var (input, output) = (zeros(1, 2, 4, 4), zeros(1, 2, 2, 2));
        const long OfInput = 2 * 4 * 4 * sizeof(float), OfOutput = 2 * 2 * 2 * sizeof(float);
        using var fused = new TanhPool();
        using var library = nn.MaxPool2d(2);

        // What stands before a layer has an output like the layer's input; a function of our own has its output besides.
        ActivationTrace.Transient(library, input, output).ShouldBe(2 * OfInput);
        ActivationTrace.Transient(fused, input, output).ShouldBe((2 * OfInput) + OfOutput);
    }
}
