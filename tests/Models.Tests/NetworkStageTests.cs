using Cluster.Contracts.Catalog;
using static TorchSharp.torch;

namespace Cluster.Models.Tests;

/// <summary>Networks as sequences of units, and pieces of them.</summary>
public sealed class NetworkStageTests
{
    public static TheoryData<string> Sequences => [.. ModelCatalog.All.Where(model => model.Units > 0).Select(model => model.Name)];

    [Theory]
    [MemberData(nameof(Sequences))]
    public void Units_RunOneAfterTheOther_AreTheNetwork(string name)
    {
        using var scope = NewDisposeScope();
        using var network = Small(name);
        var images = rand(2, 1, 28, 28);
        network.eval();

        var logits = network.call(images);

        NetworkUnit.Run(network.Units, images).data<float>().ToArray().ShouldBe(logits.data<float>().ToArray());
        network.Units.SelectMany(unit => unit.Modules).Distinct().Count().ShouldBe(network.Units.Sum(unit => unit.Modules.Count));
    }

    [Theory]
    [MemberData(nameof(Sequences))]
    public void Stages_HaveTheNetworksWeightsUnderItsNamesAndComputeWhatItDoes(string name)
    {
        using var scope = NewDisposeScope();
        using var network = Small(name);
        var (images, cut) = (rand(2, 1, 28, 28), network.Units.Count / 2);
        network.train();
        var logits = network.call(images);

        using var first = new NetworkStage(Small(name), 0, cut);
        using var second = new NetworkStage(Small(name), cut, network.Units.Count - cut);
        var joined = second.call(first.call(images));

        joined.data<float>().ToArray().ShouldBe(logits.data<float>().ToArray());
        var stages = first.state_dict().Concat(second.state_dict()).ToDictionary();
        stages.Keys.ShouldBe(network.state_dict().Keys, ignoreOrder: true);
        foreach (var (key, value) in network.state_dict().Where(tensor => tensor.Value.dtype == ScalarType.Float32))
            stages[key].data<float>().ToArray().ShouldBe(value.data<float>().ToArray(), key);
        first.ParameterCount.ShouldBe(network.ParameterCount);
        first.HeldElsewhere.ShouldContain(second.Shards()[^1].Name);
        first.HeldElsewhere.ShouldNotContain(first.Shards()[0].Name);
    }

    [Fact]
    public void Stage_BeyondTheLastUnit_IsRefused()
    {
        using var network = Small("lenet5");
        Should.Throw<ArgumentOutOfRangeException>(() => new NetworkStage(network, 3, 3)).Message.ShouldContain("lenet5 has 5 units");
    }

    private static ImageClassifier Small(string name)
    {
        var options = new Dictionary<string, object> { ["inputSize"] = 28L, ["channels"] = 1L, ["classes"] = 10L };
        ModelCatalog.TryGet(name, out var model).ShouldBeTrue();
        foreach (var width in (string[])["width", "widthMultiplier"])
        {
            if (model!.Option(width) is not null)
                options[width] = 0.0625;
        }

        return ModelRegistry.Create(name, options, seed: 3);
    }
}
