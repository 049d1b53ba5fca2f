using static TorchSharp.torch;

namespace Cluster.Models.Tests.AlexNet;

public sealed class AlexNetTowerTests
{
    private static readonly Dictionary<string, object> Options = new()
    {
        ["inputSize"] = 28,
        ["channels"] = 1,
        ["classes"] = 10,
        ["width"] = 0.0625,
        ["init"] = "he",
    };

    [Fact]
    public void Towers_HoldTheWholeNetsRows()
    {
        using var scope = NewDisposeScope();
        using var whole = ModelRegistry.Create("alexnet", Options, seed: 3, ScalarType.Float64);
        ImageClassifier[] towers = [Tower(0, x => x), Tower(1, x => x)];

        foreach (var (name, parameter) in whole.named_parameters())
        {
            var parts = towers.Select(tower => tower.get_parameter(name)!.detach()).ToArray();
            cat(parts, 0).shape.ShouldBe(parameter.shape, name);
            cat(parts, 0).data<double>().ToArray().ShouldBe(parameter.data<double>().ToArray(), name);
        }

        for (var t = 0; t < 2; t++)
        {
            foreach (var shard in towers[t].Shards())
            {
                shard.GlobalShape.ShouldBe(whole.get_parameter(shard.Name)!.shape);
                shard.FirstRow.ShouldBe(t * shard.GlobalShape[0] / 2);
                shard.LocalShape[0].ShouldBe(shard.GlobalShape[0] / 2);
            }
        }
    }

    [Fact]
    public async Task TwoTowersTogether_ComputeTheWholeNetsLogits()
    {
        const int Samples = 3;
        using var scope = NewDisposeScope();
        using var whole = ModelRegistry.Create("alexnet", Options, seed: 3, ScalarType.Float64);
        whole.Position.Step = 5;
        var images = arange(Samples * 28 * 28, dtype: ScalarType.Float64).sin().view(Samples, 1, 28, 28);
        var expected = whole.call(images).data<double>().ToArray();

        using var meeting = new Meeting();
        var logits = await Task.WhenAll(Enumerable.Range(0, 2).Select(t => Task.Factory.StartNew(
            () =>
            {
                using var mine = NewDisposeScope();
                using var guard = no_grad();
                using var tower = Tower(t, x => meeting.Gather(t, x));
                tower.Position.Step = 5;
                return tower.call(images).data<double>().ToArray();
            },
            TestContext.Current.CancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default)));

        // Dropout is on: both sides drop the same units. Sums of at most 2000 products in another order: 2000 · 2⁻⁵³ ≈ 2e-13 of the largest
        // term.
        for (var t = 0; t < 2; t++)
        {
            logits[t].Length.ShouldBe(expected.Length);
            for (var i = 0; i < expected.Length; i++)
                logits[t][i].ShouldBe(expected[i], 1e-11 * expected.Max(Math.Abs));
        }
    }

    [Fact]
    public void OddClasses_CannotBeSplit()
    {
        var options = new Dictionary<string, object>(Options) { ["classes"] = 7 };

        Should.Throw<ModelOptionException>(() => ModelRegistry.CreatePart("alexnet", options, 1, new ChannelSplit(0, 2, x => x, x => x)))
            .Message.ShouldContain("model.options.classes is 7");
    }

    private static ImageClassifier Tower(int tower, Func<Tensor, Tensor> gather) =>
        ModelRegistry.CreatePart("alexnet", Options, seed: 3, new ChannelSplit(tower, 2, gather, gather), ScalarType.Float64);

    /// <summary>Joins what two threads bring, in tower order.</summary>
    private sealed class Meeting : IDisposable
    {
        private readonly Barrier _barrier = new(2);
        private readonly (double[] Values, long[] Shape)[] _brought = new (double[], long[])[2];

        public Tensor Gather(int tower, Tensor part)
        {
            _brought[tower] = (part.contiguous().data<double>().ToArray(), part.shape);
            _barrier.SignalAndWait();
            var joined = cat([.. _brought.Select(b => tensor(b.Values, b.Shape))], 1);
            _barrier.SignalAndWait(); // nobody overwrites what the other still reads
            return joined;
        }

        public void Dispose() => _barrier.Dispose();
    }
}
