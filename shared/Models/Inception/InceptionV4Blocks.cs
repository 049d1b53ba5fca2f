using static TorchSharp.torch;

namespace Cluster.Models.Inception;

/// <summary>Blocks that Inception v4 and the Inception-ResNets share: Szegedy et al. 2016, arXiv:1602.07261.</summary>
internal static class InceptionV4Blocks
{
    /// <summary>Fig. 3 from its first parting on: what v4's stem has after its three convolutions. N×64×147×147 → N×384×35×35.</summary>
    public static Stages Figure3(Stages stages)
    {
        var (stride, padding) = stages.IsSmall ? (1, 1) : (2, 0);
        var valid = !stages.IsSmall;
        return stages
            .Block("Mixed_3a", (s, input) => new Branches(                    // N×160×73×73
                new Branch(s, input, "branch0").Pool(nn.MaxPool2d(3, stride, padding)),
                new Branch(s, input, "branch1").Conv(96, 3, stride, valid)))
            .Block("Mixed_4a", (s, input) => new Branches(                    // N×192×71×71
                new Branch(s, input, "branch0").Conv(64, 1).Conv(96, 3, valid: valid),
                new Branch(s, input, "branch1").Conv(64, 1).Conv(64, (7, 1)).Conv(64, (1, 7)).Conv(96, 3, valid: valid)))
            .Block("Mixed_5a", (s, input) => new Branches(                    // N×384×35×35
                new Branch(s, input, "branch0").Conv(192, 3, stride, valid),
                new Branch(s, input, "branch1").Pool(nn.MaxPool2d(3, stride, padding))));
    }

    /// <summary>Reduction-A, Fig. 7, with the letters of Table 1. N×C×35×35 → N×(C+n+m)×17×17.</summary>
    public static Func<UnitStyle, int, Branches> ReductionA(int k, int l, int m, int n) => (s, input) => new Branches(
        new Branch(s, input, "branch0").Conv(n, 3, 2, valid: true),
        new Branch(s, input, "branch1").Conv(k, 1).Conv(l, 3).Conv(m, 3, 2, valid: true),
        new Branch(s, input, "branch2").Pool(nn.MaxPool2d(3, 2)));

    /// <summary>Inception-ResNet-A's branches, Figs. 10 and 16: the third one's second and third convolutions vary.</summary>
    public static Func<UnitStyle, int, Branches> ResidualA(int second, int third) => (s, input) => new Branches(
        new Branch(s, input, "branch0").Conv(32, 1),
        new Branch(s, input, "branch1").Conv(32, 1).Conv(32, 3),
        new Branch(s, input, "branch2").Conv(32, 1).Conv(second, 3).Conv(third, 3));

    /// <summary>Inception-ResNet-B's, Figs. 11 and 17.</summary>
    public static Func<UnitStyle, int, Branches> ResidualB(int direct, int wide, int high) => (s, input) => new Branches(
        new Branch(s, input, "branch0").Conv(direct, 1),
        new Branch(s, input, "branch1").Conv(128, 1).Conv(wide, (1, 7)).Conv(high, (7, 1)));

    /// <summary>Inception-ResNet-C's, Figs. 13 and 19.</summary>
    public static Func<UnitStyle, int, Branches> ResidualC(int wide, int high) => (s, input) => new Branches(
        new Branch(s, input, "branch0").Conv(192, 1),
        new Branch(s, input, "branch1").Conv(192, 1).Conv(wide, (1, 3)).Conv(high, (3, 1)));

    /// <summary>Reduction-B of the Inception-ResNets, Figs. 12 and 18.</summary>
    public static Func<UnitStyle, int, Branches> ResidualReductionB(int second, int third, int fourth) => (s, input) => new Branches(
        new Branch(s, input, "branch0").Conv(256, 1).Conv(384, 3, 2, valid: true),
        new Branch(s, input, "branch1").Conv(256, 1).Conv(second, 3, 2, valid: true),
        new Branch(s, input, "branch2").Conv(256, 1).Conv(third, 3).Conv(fourth, 3, 2, valid: true),
        new Branch(s, input, "branch3").Pool(nn.MaxPool2d(3, 2)));
}
