using Cluster.Models.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Models;

/// <summary>
/// Which tensors of a network are bfloat16 when it computes in bfloat16: Kalamkar et al. 2019, "A study of BFLOAT16 for deep learning
/// training", arXiv:1905.12322, §3.
/// </summary>
/// <remarks>
/// Weights, images and what passes between layers. Batch normalisation keeps its parameters and running statistics in float32 and
/// normalises in it, whatever comes in; losses are computed in float32 (<see cref="Widened"/>). There is no scaling of losses: bfloat16 has
/// float32's range.
/// </remarks>
public static class MixedPrecision
{
    /// <summary>Rounds the parameters to bfloat16, all but batch normalisation's. The parameters rounded are new tensors.</summary>
    /// <param name="network">With float32 parameters.</param>
    public static void Narrow(ImageClassifier network)
    {
        foreach (var module in network.modules().Where(module => module is not BatchNormalization && !module.children().Any()).ToList())
            module.to(ScalarType.BFloat16);
    }

    /// <summary>Scores as losses and probabilities are computed of them: float32 for bfloat16, others as they are.</summary>
    public static Tensor Widened(Tensor scores) => scores.dtype == ScalarType.BFloat16 ? scores.to(ScalarType.Float32) : scores;
}
