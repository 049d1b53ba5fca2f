using System.Runtime.ExceptionServices;
using Cluster.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Parallel;

/// <summary>Puts <see cref="GradientReady"/> in front of every layer that has parameters of its own, so that backward tells when their gradients are there.</summary>
internal sealed class GradientHooks : IDisposable
{
    private readonly Action<int[]> ready;
    private readonly List<HookedLayer> layers = [];
    private readonly List<Action> removals = [];
    private bool watching;
    private ExceptionDispatchInfo? fault;

    /// <param name="network">Whose layers are watched.</param>
    /// <param name="parameters">Those whose gradients are waited for; others are left alone.</param>
    /// <param name="ready">Called within backward with places in <paramref name="parameters"/>.</param>
    public GradientHooks(ImageClassifier network, IReadOnlyList<LocalParameter> parameters, Action<int[]> ready)
    {
        this.ready = ready;
        var index = parameters.Index().ToDictionary(p => p.Item.Name, p => p.Index);
        foreach (var (name, module) in network.named_modules())
        {
            var own = module.named_parameters(recurse: false).Select(p => name + "." + p.name).Where(index.ContainsKey).Select(p => index[p]).ToArray();
            if (own.Length == 0 || module is not nn.Module<Tensor, Tensor> layer)
                continue;
            var hooked = new HookedLayer(own, OnReady);
            layers.Add(hooked);
            var remover = layer.register_forward_pre_hook((_, input) => Watch(hooked, input));
            removals.Add(remover.remove);
        }
    }

    /// <summary>Before a step.</summary>
    public void Begin() => layers.ForEach(layer => layer.Begin());

    /// <summary>Runs a forward pass, whose backward pass tells if it is the last of the step that adds to the gradients.</summary>
    public T Forward<T>(bool gradientsAreFinal, Func<T> forward)
    {
        watching = gradientsAreFinal;
        try
        {
            return forward();
        }
        finally
        {
            watching = false;
        }
    }

    /// <summary>Throws what could not pass through libtorch, after backward.</summary>
    public void ThrowIfFaulted() => fault?.Throw();

    public void Dispose() => removals.ForEach(remove => remove());

    private Tensor Watch(HookedLayer layer, Tensor input)
    {
        if (!watching || !input.requires_grad)
            return input; // nothing will come back through here; what the layer has is sent after backward
        layer.Used();
        return GradientReady.apply(input, layer);
    }

    private void OnReady(int[] parameters)
    {
        try
        {
            ready(parameters);
        }
        catch (Exception e)
        {
            fault ??= ExceptionDispatchInfo.Capture(e);
        }
    }
}
