using System.Runtime.InteropServices;
using System.Text.Json;
using static TorchSharp.torch;

namespace Cluster.Models.Tests.Reference;

/// <summary>Logits and gradients against nets written from the papers in Python.</summary>
public sealed class PaperNetsTests
{
    // Both sides sum the same products in float64, in different orders: about √n·2⁻⁵³ relative to the largest terms, n below 10⁵.
    private const double RelativeTolerance = 1e-9;

    [Theory]
    [InlineData("lenet5", """{"inputSize":28,"activation":"relu","init":"he"}""", 3, 1, 28)]
    [InlineData("lenet5", """{"inputSize":32,"channels":3,"activation":"tanh","init":"he"}""", 3, 3, 32)]
    [InlineData("alexnet", """{"inputSize":28,"channels":1,"classes":10,"width":0.0625,"dropout":0.0,"lrn":true,"init":"he"}""", 3, 1, 28)]
    [InlineData("alexnet", """{"inputSize":64,"channels":3,"classes":6,"width":0.0625,"dropout":0.0,"lrn":false,"init":"he"}""", 2, 3, 64)]
    [InlineData("alexnet", """{"inputSize":224,"channels":3,"classes":10,"width":0.03125,"dropout":0.0,"lrn":true,"init":"he"}""", 2, 3, 224)]
    public async Task ForwardAndBackward_EqualThePaper(string model, string optionsJson, int samples, int channels, int size)
    {
        var cancellationToken = TestContext.Current.CancellationToken;
        var options = Options(optionsJson);
        using var scope = NewDisposeScope();
        using var network = ModelRegistry.Create(model, options, seed: 5, ScalarType.Float64);
        var input = Counting([samples, channels, size, size]);
        var logits = network.call(input);
        (logits * arange(logits.numel(), dtype: ScalarType.Float64).view(logits.shape)).sum().backward();

        var folder = Directory.CreateTempSubdirectory("paper-nets-");
        try
        {
            var parameters = network.named_parameters().ToList();
            var shapes = parameters.Select(p => new { p.name, p.parameter.shape });
            options.TryAdd("lrn", true);
            await File.WriteAllTextAsync(
                Path.Combine(folder.FullName, "case.json"),
                JsonSerializer.Serialize(new { model, options, input = input.shape, parameters = shapes }),
                cancellationToken);
            await File.WriteAllBytesAsync(
                Path.Combine(folder.FullName, "values.bin"),
                [.. input.bytes, .. parameters.SelectMany(p => p.parameter.detach().contiguous().bytes.ToArray())],
                cancellationToken);

            await PythonTorch.RunAsync("Reference/paper_nets.py", folder.FullName, cancellationToken);

            var expected = await File.ReadAllBytesAsync(Path.Combine(folder.FullName, "results.bin"), cancellationToken);
            var offset = 0;
            foreach (var (name, actual) in parameters.Select(p => (p.name, p.parameter.grad!)).Prepend(("logits", logits)))
            {
                var bytes = (int)actual.numel() * sizeof(double);
                Distance(Doubles(actual), expected.AsSpan(offset, bytes)).ShouldBeLessThan(RelativeTolerance, name);
                offset += bytes;
            }

            offset.ShouldBe(expected.Length);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static double[] Doubles(Tensor tensor) => MemoryMarshal.Cast<byte, double>(tensor.detach().contiguous().bytes).ToArray();

    /// <summary>‖actual − expected‖ / ‖expected‖; an expected zero vector would prove nothing and is refused.</summary>
    private static double Distance(double[] actual, ReadOnlySpan<byte> expectedBytes)
    {
        var expected = MemoryMarshal.Cast<byte, double>(expectedBytes);
        var (difference, norm) = (0.0, 0.0);
        for (var i = 0; i < actual.Length; i++)
        {
            difference += (actual[i] - expected[i]) * (actual[i] - expected[i]);
            norm += expected[i] * expected[i];
        }

        norm.ShouldBeGreaterThan(0);
        return Math.Sqrt(difference / norm);
    }

    private static Tensor Counting(long[] shape)
    {
        var tensor = empty(shape, dtype: ScalarType.Float64);
        var values = MemoryMarshal.Cast<byte, double>(tensor.bytes);
        for (var i = 0; i < values.Length; i++)
            values[i] = CounterRandom.Normal(17, (ulong)i);
        return tensor;
    }

    private static Dictionary<string, object> Options(string json) =>
        JsonDocument.Parse(json).RootElement.EnumerateObject().ToDictionary(p => p.Name, p => p.Value.ValueKind switch
        {
            JsonValueKind.True or JsonValueKind.False => p.Value.GetBoolean(),
            JsonValueKind.String => p.Value.GetString()!,
            _ => p.Value.TryGetInt64(out var whole) ? whole : (object)p.Value.GetDouble(),
        });
}
