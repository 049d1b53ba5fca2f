using Cluster.Models.Vgg;
using static TorchSharp.torch;

namespace Cluster.Models.Tests.Vgg;

public sealed class DenseVggTests
{
    private static readonly Dictionary<string, object> Options = new()
    {
        ["channels"] = 3,
        ["classes"] = 10,
        ["width"] = 0.0625,
        ["init"] = "he",
    };

    [Theory]
    [InlineData(64)]
    [InlineData(224)]
    public void AtItsOwnSize_GivesTheNetsLogits(int size)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        using var net = Net("vgg11", size);
        var images = Images(size, size);

        var map = new DenseVgg(net).ScoreMap(images);

        map.shape.ShouldBe([2, 10, 1, 1]);
        ShouldBeClose(map.flatten(1), net.call(images));
    }

    [Theory]
    [InlineData("vgg11", 64, 128, 96)]
    [InlineData("vgg16_c", 64, 96, 160)]
    [InlineData("vgg11", 224, 256, 320)]
    public void AtOtherSizes_IsTheClassifierAtEveryPlace(string name, int size, int height, int width)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        using var net = Net(name, size);
        var cells = size / 32; // a side of the map that the first fully connected layer sees, and so of its convolution
        var images = Images(height, width);
        var dense = new DenseVgg(net);

        var map = dense.ScoreMap(images);

        map.shape.ShouldBe([2, 10, (height / 32) - cells + 1, (width / 32) - cells + 1]);
        var (features, classifier) = (Child(net, "features").call(images), Child(net, "classifier"));
        for (var y = 0L; y < map.shape[2]; y++)
        {
            for (var x = 0L; x < map.shape[3]; x++)
                ShouldBeClose(map[.., .., TensorIndex.Single(y), TensorIndex.Single(x)],
                    classifier.call(features.narrow(2, y, cells).narrow(3, x, cells).flatten(1)));
        }

        ShouldBeClose(dense.Scores(images), map.flatten(2).mean([2]));
    }

    [Fact]
    public void Training_ReachesTheConvolutions()
    {
        using var scope = NewDisposeScope();
        using var net = Net("vgg11", 64);
        var images = Images(64, 64);
        var dense = new DenseVgg(net);
        var before = dense.Scores(images).detach();

        using (no_grad())
            net.get_parameter("classifier.6.bias")!.add_(1);

        ShouldBeClose(dense.Scores(images).detach(), before + 1);
    }

    [Fact]
    public void SmallerThanTheNet_IsRefused()
    {
        using var scope = NewDisposeScope();
        using var net = Net("vgg11", 64);

        Should.Throw<ArgumentException>(() => new DenseVgg(net).ScoreMap(Images(63, 64)))
            .Message.ShouldContain("63×64 are smaller than the net's 64×64");
    }

    private static Cluster.Models.Vgg.Vgg Net(string name, int size)
    {
        var net = (Cluster.Models.Vgg.Vgg)ModelRegistry.Create(
            name, new Dictionary<string, object>(Options) { ["inputSize"] = size }, seed: 1, ScalarType.Float64);
        net.eval();
        return net;
    }

    private static nn.Module<Tensor, Tensor> Child(ImageClassifier net, string name) =>
        (nn.Module<Tensor, Tensor>)net.named_children().Single(child => child.name == name).module;

    private static Tensor Images(int height, int width) => tensor(
        Enumerable.Range(0, 2 * 3 * height * width).Select(i => CounterRandom.Normal(3, (ulong)i)).ToArray(), [2, 3, height, width]);

    /// <summary>The same float64 sums in another order.</summary>
    private static void ShouldBeClose(Tensor actual, Tensor expected)
    {
        actual.shape.ShouldBe(expected.shape);
        (actual - expected).abs().max().item<double>().ShouldBeLessThan(1e-12 * (1 + expected.abs().max().item<double>()));
    }
}
