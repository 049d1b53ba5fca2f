using TorchSharp;

namespace Cluster.Worker.Parallel;

/// <summary>Sum over the batch of the samples' losses: (n, K) logits and (n) int64 labels → a scalar.</summary>
/// <remarks>A sum, not a mean, because a rank knows only its own samples; the partition divides by the global batch.</remarks>
public delegate torch.Tensor SummedLoss(torch.Tensor logits_NK, torch.Tensor labels_N);

/// <summary>Tells the network where the coming forward stands, so that dropout draws from (seed, step, layer, sample, unit).</summary>
/// <param name="step">Number of the optimizer step.</param>
/// <param name="firstSample">Position in the global batch of the first sample this rank feeds.</param>
public delegate void BeginForward(long step, int firstSample);
