using static TorchSharp.torch;

namespace Cluster.Models.Inception;

/// <summary>
/// An auxiliary head's pooling: the papers' 5×5 averages, three pixels apart, on maps of the papers' sizes, and adaptive ones on others.
/// </summary>
/// <remarks>(N, C, H, W) → (N, C, cells, cells), or more cells where a larger map is still one of the paper's.</remarks>
internal sealed class HeadPool : nn.Module<Tensor, Tensor>
{
    private readonly long smallest;
    private readonly long largest;
    private readonly long cells;

    private HeadPool(long smallest, long largest, long cells)
        : base(nameof(HeadPool)) => (this.smallest, this.largest, this.cells) = (smallest, largest, cells);

    /// <summary>14×14 → 4×4, as the fully connected layer behind it needs.</summary>
    public static HeadPool OfGoogLeNet() => new(14, 14, 4);

    /// <summary>17×17 → 5×5; larger maps as in torchvision.</summary>
    public static HeadPool OfV3() => new(17, long.MaxValue, 5);

    /// <inheritdoc/>
    public override Tensor forward(Tensor input) => input.shape[2] >= smallest && input.shape[2] <= largest
        ? nn.functional.avg_pool2d(input, 5, 3)
        : nn.functional.adaptive_avg_pool2d(input, cells);
}
