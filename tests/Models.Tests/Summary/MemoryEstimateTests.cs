using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Cluster.Models.Summary;
using static TorchSharp.torch;

namespace Cluster.Models.Tests.Summary;

/// <summary>The estimate against the resident memory of a process that trains; a process of its own for each net, since memory once used is not given back.</summary>
public sealed class MemoryEstimateTests
{
    private const string ChildCase = "MEMORY_ESTIMATE_CASE", ChildResult = "MEMORY_ESTIMATE_RESULT";
    private const int Steps = 3;

    [Theory]
    [InlineData("lenet5", """{"inputSize":28}""", 2000, 1)]
    [InlineData("resnet18", """{"inputSize":32,"classes":10,"width":0.5}""", 64, 1)]
    [InlineData("vgg11", """{"inputSize":64,"classes":10,"width":0.25}""", 64, 2)]
    public async Task Estimate_IsWithinAFifthOfWhatTrainingTakes(string model, string options, int batch, int statesPerParameter)
    {
        var one = new Case(model, options, batch, statesPerParameter);
        using var network = ModelRegistry.CreateToLoad(model, one.Values());
        var estimate = MemoryEstimate.Of(network, batch, statesPerParameter);

        // Two runs differ, as their heaps fragment differently; their mean by less.
        var training = (await MeasureAsync(one, TestContext.Current.CancellationToken) + await MeasureAsync(one, TestContext.Current.CancellationToken)) / 2;
        var measured = training + MemoryEstimate.ProcessBytes; // a trainer's, which is not this process's

        estimate.Activations.ShouldBeGreaterThan(estimate.Total / 4, "else the test says little of what is hard to estimate");
        var expected = estimate.Resident - estimate.Snapshot; // no checkpoint is written here
        TestContext.Current.TestOutputHelper?.WriteLine($"{model}: measured {measured >> 20} MiB, estimated {expected >> 20} MiB: {estimate}");
        ((double)expected / measured).ShouldBeInRange(0.8, 1.2);
    }

    [Fact]
    public void EstimateInBFloat16_HasMastersBesideItsCopiesAndHalvesActivations()
    {
        var options = new Dictionary<string, object> { ["inputSize"] = 28L };
        using var wide = ModelRegistry.CreateToLoad("lenet5", options);
        using var narrow = ModelRegistry.CreateToLoad("lenet5", options);
        MixedPrecision.Narrow(narrow);

        var (expected, estimate) = (MemoryEstimate.Of(wide, 8, statesPerParameter: 2), MemoryEstimate.Of(narrow, 8, statesPerParameter: 2));

        estimate.Parameters.ShouldBe(expected.Parameters * 3 / 2); // float32 masters and copies of half their size
        estimate.Gradients.ShouldBe(expected.Gradients * 3 / 2);
        estimate.OptimizerState.ShouldBe(expected.OptimizerState);
        ((double)estimate.Activations / expected.Activations).ShouldBeInRange(0.45, 0.7); // indices of pooling stay as large
    }

    /// <summary>What the test's child process runs.</summary>
    [Fact(Explicit = true)]
    public void Child_Trains()
    {
        var one = JsonSerializer.Deserialize<Case>(Environment.GetEnvironmentVariable(ChildCase)!)!;
        Train(new Case("lenet5", "{}", 2, 0), steps: 1); // what the libraries allocate once
        var before = Status("VmRSS");
        Train(one, Steps);
        File.WriteAllText(Environment.GetEnvironmentVariable(ChildResult)!, (Status("VmHWM") - before).ToString(CultureInfo.InvariantCulture));
    }

    private static async Task<long> MeasureAsync(Case one, CancellationToken cancellationToken)
    {
        var result = Path.GetTempFileName();
        try
        {
            var start = new ProcessStartInfo(Environment.ProcessPath!, ["--explicit", "only", "--filter-method", "*" + nameof(Child_Trains)])
            {
                RedirectStandardOutput = true,
                Environment =
                {
                    [ChildCase] = JsonSerializer.Serialize(one),
                    [ChildResult] = result,
                    // As a trainer is started.
                    ["MALLOC_ARENA_MAX"] = "1",
                    ["MALLOC_MMAP_THRESHOLD_"] = "1073741824",
                    ["MALLOC_TRIM_THRESHOLD_"] = "2147483647",
                    ["MALLOC_TOP_PAD_"] = "67108864",
                    ["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1",
                    ["OMP_NUM_THREADS"] = "2",
                    ["OPENBLAS_NUM_THREADS"] = "2",
                },
            };
            using var child = Process.Start(start)!;
            var output = await child.StandardOutput.ReadToEndAsync(cancellationToken);
            await child.WaitForExitAsync(cancellationToken);
            child.ExitCode.ShouldBe(0, output);
            return long.Parse(await File.ReadAllTextAsync(result, cancellationToken), CultureInfo.InvariantCulture);
        }
        finally
        {
            File.Delete(result);
        }
    }

    private static void Train(Case one, int steps)
    {
        using var outer = NewDisposeScope();
        using var network = ModelRegistry.Create(one.Model, one.Values(), seed: 1);
        var state = network.parameters().SelectMany(p => Enumerable.Range(0, one.StatesPerParameter).Select(_ => zeros_like(p))).ToList();
        var shape = network.Shape;
        for (var step = 0; step < steps; step++)
        {
            using var scope = NewDisposeScope();
            network.zero_grad();
            var images = randn(one.Batch, shape.Channels, shape.InputSize, shape.InputSize);
            if (ModelRegistry.PrefersChannelsLast(one.Model))
                images = ImageLayout.ToChannelsLast(images);
            network.Outputs(images).Select(logits => logits.pow(2).mean())
                .Aggregate((sum, loss) => sum + loss).backward();
            foreach (var tensor in state)
                tensor.add_(1);
        }
    }

    private static long Status(string field) => long.Parse(
        File.ReadLines("/proc/self/status").Single(line => line.StartsWith(field + ":", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2],
        CultureInfo.InvariantCulture) * 1024;

    private sealed record Case(string Model, string Options, int Batch, int StatesPerParameter)
    {
        public Dictionary<string, object> Values() => JsonSerializer.Deserialize<Dictionary<string, JsonElement>>(Options)!
            .ToDictionary(o => o.Key, o => o.Value.TryGetInt32(out var whole) ? (object)whole : o.Value.GetDouble());
    }
}
