using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Cluster.Models.LeNet;

/// <summary>
/// S2 and S4 of LeNet-5: the four inputs of a 2×2 field are added, multiplied by a trained coefficient of the map, and a trained bias is
/// added: LeCun et al. 1998, §II.B.
/// </summary>
/// <remarks>(N, maps, H, W) → (N, maps, H/2, W/2), before the squashing.</remarks>
public sealed class Subsampling : nn.Module<Tensor, Tensor>
{
    private readonly int maps;
    private readonly Parameter weight;
    private readonly Parameter bias;

    public Subsampling(int maps, ScalarType dtype)
        : base(nameof(Subsampling))
    {
        this.maps = maps;
        weight = (Parameter)nn.Parameter(zeros(maps, dtype)).DetachFromDisposeScope();
        bias = (Parameter)nn.Parameter(zeros(maps, dtype)).DetachFromDisposeScope();
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor input) =>
        (nn.functional.avg_pool2d(input, 2, divisor_override: 1) * weight.view(1, maps, 1, 1)) + bias.view(1, maps, 1, 1);
}
