namespace Cluster.Models.ResNet;

/// <summary>A column of Table 1 of He et al. 2015, arXiv:1512.03385.</summary>
/// <param name="Name">The registry's name.</param>
/// <param name="Blocks">How many each of the four stages has.</param>
/// <param name="Bottleneck">Blocks of three convolutions rather than two.</param>
public sealed record ResNetDepth(string Name, IReadOnlyList<int> Blocks, bool Bottleneck)
{
    public static ResNetDepth ResNet18 { get; } = new("resnet18", [2, 2, 2, 2], Bottleneck: false);

    public static ResNetDepth ResNet34 { get; } = new("resnet34", [3, 4, 6, 3], Bottleneck: false);

    public static ResNetDepth ResNet50 { get; } = new("resnet50", [3, 4, 6, 3], Bottleneck: true);

    public static ResNetDepth ResNet101 { get; } = new("resnet101", [3, 4, 23, 3], Bottleneck: true);

    public static ResNetDepth ResNet152 { get; } = new("resnet152", [3, 8, 36, 3], Bottleneck: true);
}
