using System.Diagnostics;
using Cluster.Models;
using Cluster.Models.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Parallel;

/// <summary>What a unit of a network takes here, forward and backward.</summary>
/// <param name="Cost">The quickest of some passes.</param>
/// <param name="OutputShape">Of one sample.</param>
internal sealed record UnitCosts(TimeSpan Cost, IReadOnlyList<long> OutputShape)
{
    /// <summary>Normalisation over a 1×1 map needs more than one.</summary>
    private const int FewestImages = 2;

    /// <summary>So that a large network is measured within seconds, which the other ranks wait for.</summary>
    private const int MostImages = 8;

    /// <summary>The first warms up.</summary>
    private const int Passes = 3;

    /// <summary>
    /// Sends blank images through a network that nobody trains: its running statistics move and it is left with gradients.
    /// </summary>
    /// <param name="network">To measure.</param>
    /// <param name="microBatch">Images that its units will get at a time, of which at most eight are sent: a fully connected layer costs
    /// the less an image the more come together.</param>
    public static IReadOnlyList<UnitCosts> Measure(ImageClassifier network, int microBatch)
    {
        var images = Math.Clamp(microBatch, FewestImages, MostImages);
        var units = network.Units;
        var costs = new UnitCosts[units.Count];
        for (var pass = 0; pass < Passes; pass++)
        {
            using var scope = NewDisposeScope();
            var (shape, parameter) = (network.Shape, network.parameters().First());
            var x = zeros([images, shape.Channels, shape.InputSize, shape.InputSize], parameter.dtype, parameter.device);
            foreach (var (i, unit) in units.Index())
            {
                var began = Stopwatch.GetTimestamp();
                var output = unit.Forward(i == 0 ? x : x.requires_grad_());
                output.backward([ones_like(output)]);
                HandedGradients.Release();
                if (x.device_type == DeviceType.CUDA)
                    cuda.synchronize(); // what was launched is not done yet
                var cost = Stopwatch.GetElapsedTime(began);
                costs[i] = new UnitCosts(pass > 0 && costs[i].Cost < cost ? costs[i].Cost : cost, [.. output.shape.Skip(1)]);
                x = output.detach();
            }
        }

        return costs;
    }
}
