using System.Runtime.InteropServices;
using System.Text.Json;
using static TorchSharp.torch;

namespace Cluster.Models.Tests.Reference;

/// <summary>
/// Logits and gradients of the zoo's nets beside those of nets written from the papers in Python: all cases in one Python process, since
/// importing torch takes longer than the nets.
/// </summary>
public sealed class PaperNets : IAsyncLifetime
{
    /// <summary>Small enough to be quick; between them every branch of the two forward bodies.</summary>
    public static IReadOnlyList<Case> Cases { get; } =
    [
        new("lenet5", new() { ["inputSize"] = 28, ["activation"] = "relu", ["init"] = "he" }, [3, 1, 28, 28]),
        new("lenet5", new() { ["inputSize"] = 32, ["activation"] = "tanh", ["init"] = "he", ["channels"] = 3 }, [3, 3, 32, 32]),
        new("alexnet", AlexNet(28, channels: 1, classes: 10, width: 0.0625, lrn: true), [3, 1, 28, 28]),
        new("alexnet", AlexNet(64, channels: 3, classes: 6, width: 0.0625, lrn: false), [2, 3, 64, 64]),
        new("alexnet", AlexNet(224, channels: 3, classes: 10, width: 0.03125, lrn: true), [2, 3, 224, 224]),
        new("alexnet", new(AlexNet(64, channels: 3, classes: 10, width: 0.0625, lrn: true)) { ["pooling"] = "plain" }, [2, 3, 64, 64]),
    ];

    internal IReadOnlyList<IReadOnlyList<Comparison>> Comparisons { get; private set; } = [];

    public async ValueTask InitializeAsync()
    {
        var root = Directory.CreateTempSubdirectory("paper-nets-");
        try
        {
            var ours = Cases.Select((c, i) => Compute(c, root.CreateSubdirectory(i.ToString()).FullName)).ToList();
            var folders = Enumerable.Range(0, Cases.Count).Select(i => Path.Combine(root.FullName, i.ToString())).ToList();
            await PythonTorch.RunAsync("Reference/paper_nets.py", folders, CancellationToken.None);
            Comparisons = [
                .. ours.Zip(folders, (tensors, folder) => Pair(tensors, File.ReadAllBytes(Path.Combine(folder, "results.bin"))))];
        }
        finally
        {
            root.Delete(recursive: true);
        }
    }

    public ValueTask DisposeAsync() => default;

    private static Dictionary<string, object> AlexNet(int inputSize, int channels, int classes, double width, bool lrn) => new()
    {
        ["inputSize"] = inputSize,
        ["channels"] = channels,
        ["classes"] = classes,
        ["width"] = width,
        ["lrn"] = lrn,
        ["dropout"] = 0.0,
        ["init"] = "he",
    };

    /// <summary>Our logits and gradients, by name; leaves the same net's values in <paramref name="folder"/> for Python.</summary>
    private static List<(string Name, double[] Values)> Compute(Case @case, string folder)
    {
        using var scope = NewDisposeScope();
        using var network = ModelRegistry.Create(@case.Model, @case.Options, seed: 5, ScalarType.Float64);
        var input = tensor(
            Enumerable.Range(0, (int)@case.Input.Aggregate((a, b) => a * b)).Select(i => CounterRandom.Normal(17, (ulong)i)).ToArray(),
            @case.Input);
        var logits = network.call(input);
        (logits * arange(logits.numel(), dtype: ScalarType.Float64).view(logits.shape)).sum().backward();

        var parameters = network.named_parameters().ToList();
        var shapes = parameters.Select(p => new { p.name, p.parameter.shape });
        File.WriteAllText(
            Path.Combine(folder, "case.json"),
            JsonSerializer.Serialize(new { model = @case.Model, options = @case.Options, input = @case.Input, parameters = shapes }));
        using (var values = File.Create(Path.Combine(folder, "values.bin")))
        {
            values.Write(input.bytes);
            foreach (var (_, parameter) in parameters)
                values.Write(parameter.detach().contiguous().bytes);
        }

        return [("logits", Doubles(logits)), .. parameters.Select(p => (p.name, Doubles(p.parameter.grad!)))];
    }

    private static List<Comparison> Pair(List<(string Name, double[] Values)> ours, byte[] theirs)
    {
        var expected = MemoryMarshal.Cast<byte, double>(theirs).ToArray();
        expected.Length.ShouldBe(ours.Sum(tensor => tensor.Values.Length));
        var pairs = new List<Comparison>();
        foreach (var (name, values) in ours)
        {
            var offset = pairs.Sum(pair => pair.Actual.Length);
            pairs.Add(new Comparison(name, values, expected[offset..(offset + values.Length)]));
        }

        return pairs;
    }

    private static double[] Doubles(Tensor tensor) => MemoryMarshal.Cast<byte, double>(tensor.detach().contiguous().bytes).ToArray();

    public sealed record Case(string Model, Dictionary<string, object> Options, long[] Input);

    internal sealed record Comparison(string Name, double[] Actual, double[] Expected);
}
