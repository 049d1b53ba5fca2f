using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using Cluster.Contracts.V1;
using Cluster.Models;
using Cluster.Models.Summary;
using Cluster.Worker.Agent;
using static TorchSharp.torch;
using MemoryEstimate = Cluster.Models.Summary.MemoryEstimate;

namespace Cluster.Worker.Tests.Agent;

/// <summary>
/// The estimate against the resident memory of a process that trains in a trainer's environment; a process of its own for each net, since
/// memory once used is not given back.
/// </summary>
public sealed class TrainerMemoryTests
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

        var child = await MeasureAsync(one, TestContext.Current.CancellationToken);

        child.HasJemalloc.ShouldBeTrue();
        estimate.Activations.ShouldBeGreaterThan(estimate.Total / 4, "else the test says little of what is hard to estimate");
        var measured = child.Bytes + MemoryEstimate.ProcessBytes;  // a trainer's, which is not this process's
        var expected = estimate.Resident - estimate.Snapshot;      // no checkpoint is written here
        TestContext.Current.TestOutputHelper
            ?.WriteLine($"{model}: measured {measured >> 20} MiB, estimated {expected >> 20} MiB: {estimate}");
        ((double)expected / measured).ShouldBeInRange(0.8, 1.2);
    }

    /// <summary>What the test's child process runs.</summary>
    [Fact(Explicit = true)]
    public void Child_Trains()
    {
        var one = JsonSerializer.Deserialize<Case>(Environment.GetEnvironmentVariable(ChildCase)!)!;
        Train(new Case("lenet5", "{}", 2, 0), steps: 1); // what the libraries allocate once
        var before = Status("VmRSS");
        Train(one, Steps);
        File.WriteAllText(Environment.GetEnvironmentVariable(ChildResult)!,
            JsonSerializer.Serialize(new Result(Status("VmHWM") - before, HasJemalloc())));
    }

    private static async Task<Result> MeasureAsync(Case one, CancellationToken cancellationToken)
    {
        var result = Path.GetTempFileName();
        try
        {
            var start = new ProcessStartInfo(Environment.ProcessPath!, ["--explicit", "only", "--filter-method",
                "*" + nameof(Child_Trains)])
            {
                RedirectStandardOutput = true,
            };
            var environment = TrainerEnvironment.For(
                Environment.GetEnvironmentVariables(), new TrainerLaunch { Device = "cpu:0", Threads = 2, WorldSize = 1 });
            foreach (var (name, value) in environment.Append(new(ChildCase, JsonSerializer.Serialize(one)))
                .Append(new(ChildResult, result)))
                start.Environment[name] = value;
            using var child = Process.Start(start)!;
            var output = await child.StandardOutput.ReadToEndAsync(cancellationToken);
            await child.WaitForExitAsync(cancellationToken);
            child.ExitCode.ShouldBe(0, output);
            return JsonSerializer.Deserialize<Result>(await File.ReadAllTextAsync(result, cancellationToken))!;
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
        File.ReadLines("/proc/self/status").Single(line => line.StartsWith(field + ":", StringComparison.Ordinal))
            .Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2],
        CultureInfo.InvariantCulture) * 1024;

    private static bool HasJemalloc() => NativeLibrary.TryGetExport(NativeLibrary.GetMainProgramHandle(), "mallctl", out _);

    private sealed record Result(long Bytes, bool HasJemalloc);

    private sealed record Case(string Model, string Options, int Batch, int StatesPerParameter)
    {
        public Dictionary<string, object> Values() => JsonSerializer.Deserialize<Dictionary<string, JsonElement>>(Options)!
            .ToDictionary(o => o.Key, o => o.Value.TryGetInt32(out var whole) ? (object)whole : o.Value.GetDouble());
    }
}
