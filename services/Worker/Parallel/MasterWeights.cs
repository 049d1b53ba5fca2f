using Cluster.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Parallel;

/// <summary>
/// The weights that are trained, where a network computes in bfloat16: float32 masters, of which the network's parameters are rounded
/// copies. Micikevicius et al. 2017, "Mixed precision training", arXiv:1710.03740, §3.1: a step smaller than half of bfloat16's spacing
/// would otherwise be lost.
/// </summary>
/// <remarks>
/// Masters take the place of parameters in everything but forward and backward: gradients' buckets, optimizer, average, checkpoints.
/// Networks that compute in the type of their parameters have none, and everything here does nothing.
/// </remarks>
internal sealed class MasterWeights : IDisposable
{
    private readonly Dictionary<string, (Tensor Copy, Tensor Master)> _narrowed;

    private MasterWeights(Dictionary<string, (Tensor Copy, Tensor Master)> narrowed) => _narrowed = narrowed;

    public static MasterWeights None { get; } = new([]);

    /// <summary>Rounds a network's parameters to bfloat16 (<see cref="MixedPrecision"/>) and keeps what they were as masters.</summary>
    /// <param name="network">With float32 parameters.</param>
    public static MasterWeights Narrow(ImageClassifier network)
    {
        var wide = network.named_parameters().ToDictionary(p => p.name, p => p.parameter.detach().clone().DetachFromDisposeScope());
        MixedPrecision.Narrow(network);
        var narrowed = new Dictionary<string, (Tensor Copy, Tensor Master)>(StringComparer.Ordinal);
        foreach (var (name, parameter) in network.named_parameters())
        {
            if (parameter.dtype == ScalarType.BFloat16)
                narrowed.Add(name, (parameter, wide[name]));
            else
                wide[name].Dispose();
        }

        return new MasterWeights(narrowed);
    }

    /// <summary>The network's parameters, masters in place of their copies.</summary>
    public IReadOnlyList<LocalParameter> Of(IReadOnlyList<LocalParameter> parameters) =>
        [.. parameters.Select(
            parameter => _narrowed.TryGetValue(parameter.Name, out var pair) ? parameter with { Tensor = pair.Master } : parameter)];

    /// <summary>Before forward: the copies become what the masters are now, whoever has changed those.</summary>
    public void Publish()
    {
        using var guard = no_grad();
        foreach (var (copy, master) in _narrowed.Values)
            copy.copy_(master);
    }

    /// <summary>Before a step whose gradients are not flat: no master has a gradient.</summary>
    public void DropGradients()
    {
        foreach (var (_, master) in _narrowed.Values)
            master.grad = null;
    }

    /// <summary>After a pass: adds the copies' gradients to their masters'.</summary>
    public void TakeGradients()
    {
        foreach (var name in _narrowed.Keys)
            TakeGradient(name);
    }

    /// <summary>
    /// Once a parameter has its gradient of a pass: adds it, in float32, to its master's. Passes would lose more if they were added up in
    /// bfloat16.
    /// </summary>
    public void TakeGradient(string name)
    {
        if (!_narrowed.TryGetValue(name, out var pair))
            return;
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        if (pair.Copy.grad is not { } gradient)
            return; // taken already, or a rank without samples
        if (pair.Master.grad is { } sum)
            sum.add_(gradient);
        else
            pair.Master.grad = gradient.to(ScalarType.Float32);
        pair.Copy.grad = null;
    }

    public void Dispose()
    {
        foreach (var (_, master) in _narrowed.Values)
            master.Dispose();
    }
}
