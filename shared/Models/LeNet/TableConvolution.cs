using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Cluster.Models.LeNet;

/// <summary>C3 of LeNet-5: a 5×5 convolution whose 16 output maps each see some of the 6 input maps: LeCun et al. 1998, Table I.</summary>
/// <remarks>
/// (N, 6, H, W) → (N, 16, H − 4, W − 4); 60 kernels and 16 biases, 1,516 parameters. <c>weight</c> holds the kernels by output map, then
/// input map.
/// </remarks>
public sealed class TableConvolution : nn.Module<Tensor, Tensor>
{
    private const int Inputs = 6;
    private const int Kernel = 5;

    // Table I by column.
    private static readonly int[][] Connections =
    [
        [0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5], [0, 4, 5], [0, 1, 5],
        [0, 1, 2, 3], [1, 2, 3, 4], [2, 3, 4, 5], [0, 3, 4, 5], [0, 1, 4, 5], [0, 1, 2, 5],
        [0, 1, 3, 4], [1, 2, 4, 5], [0, 2, 3, 5],
        [0, 1, 2, 3, 4, 5],
    ];

    private static readonly long[] Places =
        [.. Connections.SelectMany((inputs, output) => inputs.Select(input => (long)((output * Inputs) + input)))];

    private readonly Parameter weight;
    private readonly Parameter bias;

    public TableConvolution(ScalarType dtype)
        : base(nameof(TableConvolution))
    {
        weight = (Parameter)nn.Parameter(zeros(Places.Length, Kernel, Kernel, dtype)).DetachFromDisposeScope();
        bias = (Parameter)nn.Parameter(zeros(Connections.Length, dtype)).DetachFromDisposeScope();
        RegisterComponents();
    }

    /// <summary>Inputs of a unit, by output map.</summary>
    public static double[] MapFanIns() => [.. Connections.Select(inputs => (double)(Kernel * Kernel * inputs.Length))];

    /// <summary>Inputs of the unit that a kernel belongs to, by kernel.</summary>
    public static double[] KernelFanIns() =>
        [.. Connections.SelectMany(inputs => inputs.Select(_ => (double)(Kernel * Kernel * inputs.Length)))];

    /// <inheritdoc/>
    public override Tensor forward(Tensor input)
    {
        using Scalar once = 1;
        var none = zeros(Connections.Length * Inputs, Kernel * Kernel, weight.dtype, weight.device);
        // 96×25, 36 rows zero
        var dense = none.index_add(0, tensor(Places, device: weight.device), weight.view(Places.Length, Kernel * Kernel), once);
        return nn.functional.conv2d(input, dense.view(Connections.Length, Inputs, Kernel, Kernel), bias);
    }
}
