using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Parallel;

/// <summary>
/// Gradients in one flat tensor, of which each parameter's <c>grad</c> is a view: their norm is one call, and an optimizer whose weights
/// lie alike reads them where they are.
/// </summary>
internal class FlatGradients : IDisposable
{
    private readonly Tensor[] _views; // of each parameter

    /// <param name="layout">Of the gradients.</param>
    /// <param name="flat">Laid out so, in no dispose scope; this object's from here on.</param>
    public FlatGradients(FlatLayout layout, Tensor flat)
    {
        (Layout, Flat) = (layout, flat);
        _views = [.. layout.Views(flat).Select(view => view.DetachFromDisposeScope())];
        foreach (var (parameter, view) in Parameters.Zip(_views))
            parameter.Tensor.grad = view;
    }

    public FlatLayout Layout { get; }

    /// <summary>All gradients, laid out so. The same memory for good.</summary>
    public Tensor Flat { get; }

    public IReadOnlyList<LocalParameter> Parameters => Layout.Parameters;

    /// <summary>Before forward: backward is to add to what lies here.</summary>
    public void Clear() => Flat.zero_();

    public virtual void Dispose()
    {
        DropGradients();
        foreach (var view in _views)
            view.Dispose();
        Flat.Dispose();
    }

    /// <summary>Backward is to leave its own tensors.</summary>
    protected void DropGradients()
    {
        foreach (var parameter in Parameters)
            parameter.Tensor.grad = null;
    }

    /// <summary>Copies what backward left of a parameter's gradient to its view, unless it lies there.</summary>
    protected void CopyGradient(int parameter)
    {
        var (tensor, view) = (Parameters[parameter].Tensor, _views[parameter]);
        using var gradient = tensor.grad;
        if (gradient is null)
            view.zero_();
        else if (TensorMemory.AddressOf(gradient) != TensorMemory.AddressOf(view))
            view.copy_(gradient);
        tensor.grad = view;
    }
}
