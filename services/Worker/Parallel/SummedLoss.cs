using TorchSharp;

namespace Cluster.Worker.Parallel;

/// <summary>Sum over the batch of the samples' losses: (n, K) logits and (n) int64 labels → a scalar.</summary>
/// <remarks>A sum, not a mean, because a rank knows only its own samples; the partition divides by the global batch.</remarks>
public delegate torch.Tensor SummedLoss(torch.Tensor logits, torch.Tensor labels);
