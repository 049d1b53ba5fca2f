using Cluster.Models.LeNet;
using Cluster.Models.Summary;

namespace Cluster.Models.Tests.LeNet;

public sealed class LeNet5Of1998Tests
{
    [Fact]
    public void Layers_HaveThePapersSizes()
    {
        using var network = ModelRegistry.CreateToLoad("lenet5_1998", new Dictionary<string, object>());

        var summary = NetworkSummary.Of(network);

        summary.Layers.Select(layer => (layer.Name, layer.Parameters, string.Join('×', layer.OutputShape))).ShouldBe(
        [
            ("c1", 156, "6×28×28"), ("s2", 12, "6×14×14"), ("c3", 1_516, "16×10×10"), ("s4", 32, "16×5×5"), ("c5", 48_120, "120×1×1"),
            ("f6", 10_164, "84"),
        ]);
        network.training.ShouldBeTrue("the walk leaves the mode as it was");
    }

    [Fact]
    public void Codes_OfTheDigitsAndBeyondDiffer()
    {
        var codes = DigitCodes.Of(40).Chunk(DigitCodes.Bits).ToList();

        codes.Count.ShouldBe(40);
        codes.ShouldAllBe(code => code.Length == DigitCodes.Bits && code.All(bit => bit == 1 || bit == -1));
        codes.Select(code => string.Concat(code.Select(bit => bit > 0 ? '#' : '.'))).Distinct().Count().ShouldBe(40);
    }
}
