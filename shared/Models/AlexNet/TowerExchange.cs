using static TorchSharp.torch;

namespace Cluster.Models.AlexNet;

/// <summary>How a tower on its own device meets the other: the seam where model parallelism plugs in its collectives.</summary>
/// <param name="Tower">The tower computed here, 0 or 1.</param>
/// <param name="Gather">(N, c, …) → (N, 2c, …): both towers' channels in tower order. Each tower goes on to use all of them for something
/// else, so backward adds the gradients of both towers and keeps this tower's channels.</param>
/// <param name="GatherReplicated">The same forward, for scores that both towers feed to the same loss: backward keeps this tower's columns of
/// the gradient, which is already whole on each.</param>
public sealed record TowerExchange(int Tower, Func<Tensor, Tensor> Gather, Func<Tensor, Tensor> GatherReplicated);
