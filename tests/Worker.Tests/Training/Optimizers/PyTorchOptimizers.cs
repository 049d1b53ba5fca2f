using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Cluster.Contracts.V1;
using Cluster.Models;

namespace Cluster.Worker.Tests.Training.Optimizers;

/// <summary>
/// What torch.optim makes of the same weight, rates and gradients: all cases in one Python process, since importing torch takes longer than
/// the steps. LARS, which it lacks, is written there from its paper.
/// </summary>
public sealed class PyTorchOptimizers : IAsyncLifetime
{
    public const int Elements = 24;
    public const int Steps = 12;

    /// <summary>The job's words for an optimizer and the arguments that PyTorch takes for the same.</summary>
    public static IReadOnlyList<(OptimizerSpec Spec, string Arguments)> Cases { get; } =
    [
        (new() { Name = "sgd" }, "{}"),
        (new() { Name = "sgd", WeightDecay = 0.1 }, """{"weight_decay":0.1}"""),
        (new() { Name = "sgd", Momentum = 0.9, WeightDecay = 0.1 }, """{"momentum":0.9,"weight_decay":0.1}"""),
        (new() { Name = "sgd", Momentum = 0.9, WeightDecay = 0.1, Nesterov = true },
            """{"momentum":0.9,"weight_decay":0.1,"nesterov":true}"""),
        (new() { Name = "adam", Beta1 = 0.9, Beta2 = 0.999, Epsilon = 1e-8 }, "{}"),
        (new() { Name = "adam", Beta1 = 0.8, Beta2 = 0.9, Epsilon = 1e-3, WeightDecay = 0.1 },
            """{"betas":[0.8,0.9],"eps":1e-3,"weight_decay":0.1}"""),
        (new() { Name = "adamw", Beta1 = 0.8, Beta2 = 0.9, Epsilon = 1e-3, WeightDecay = 0.1 },
            """{"betas":[0.8,0.9],"eps":1e-3,"weight_decay":0.1}"""),
        (new() { Name = "rmsprop", Decay = 0.9, Epsilon = 1e-3 }, """{"alpha":0.9,"eps":1e-3}"""),
        (new() { Name = "rmsprop", Decay = 0.8, Epsilon = 1, Momentum = 0.9, WeightDecay = 0.1 },
            """{"alpha":0.8,"eps":1,"momentum":0.9,"weight_decay":0.1}"""),
        (new() { Name = "lars", TrustCoefficient = 0.02, Momentum = 0.9, WeightDecay = 0.1 },
            """{"trust":0.02,"momentum":0.9,"weight_decay":0.1}"""),
        (new() { Name = "lars", TrustCoefficient = 0.02, Momentum = 0, WeightDecay = 0 },
            """{"trust":0.02,"momentum":0,"weight_decay":0}"""),
    ];

    /// <summary>Falls, stays, falls by less than the threshold, rises.</summary>
    public static double[] ValidationLosses { get; } =
        [2, 1.5, 1.5, 1.4999, 1.495, 1.2, 1.21, 1.19, 1.2, 1.3, 1.1, 1.1, 1.1, 1.1, 1.1, 1.1, 1.1, 1.1, 0.9, 0.95, 0.91, 0.899, 0.8, 0.8,
            0.8, 0.8];

    public static ScheduleSpec PlateauSchedule { get; } = new() { Name = "plateau", Gamma = 0.5, PatienceEpochs = 2, Threshold = 0.01 };

    internal IReadOnlyList<Result> Results { get; private set; } = [];

    /// <summary>After each of the <see cref="ValidationLosses"/>, from 1.</summary>
    internal IReadOnlyList<double> PlateauRates { get; private set; } = [];

    public static double Rate(int step) => 0.1 / (1 + step);

    public static double[] Weight() => Values(1);

    public static double[] Gradient(int step) => Values(2 + (ulong)step);

    public async ValueTask InitializeAsync()
    {
        var folder = Directory.CreateTempSubdirectory("optimizers-");
        try
        {
            var cases = Cases.Select(c => new { name = c.Spec.Name, arguments = JsonDocument.Parse(c.Arguments).RootElement });
            var steps = Enumerable.Range(0, Steps);
            await File.WriteAllTextAsync(
                Path.Combine(folder.FullName, "cases.json"),
                JsonSerializer.Serialize(new
                {
                    cases,
                    weight = Weight(),
                    rates = steps.Select(Rate),
                    gradients = steps.Select(Gradient),
                    plateau = new { factor = PlateauSchedule.Gamma, patience = PlateauSchedule.PatienceEpochs,
                        threshold = PlateauSchedule.Threshold },
                    losses = ValidationLosses,
                }));
            var start = new ProcessStartInfo("/usr/bin/python3", [Script(), folder.FullName])
            {
                RedirectStandardError = true,
                UseShellExecute = false,
            };
            using var python = Process.Start(start)!;
            var errors = await python.StandardError.ReadToEndAsync();
            await python.WaitForExitAsync();
            python.ExitCode.ShouldBe(0, errors);
            await using var results = File.OpenRead(Path.Combine(folder.FullName, "results.json"));
            var read = (await JsonSerializer.DeserializeAsync<All>(results, JsonSerializerOptions.Web))!;
            (Results, PlateauRates) = (read.Optimizers, read.PlateauRates);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    public ValueTask DisposeAsync() => default;

    private static double[] Values(ulong key) => [.. Enumerable.Range(0, Elements).Select(i => CounterRandom.Normal(key, (ulong)i))];

    private static string Script([CallerFilePath] string path = "") => Path.Combine(Path.GetDirectoryName(path)!, "torch_optimizers.py");

    private sealed record All(List<Result> Optimizers, List<double> PlateauRates);

    /// <summary>After the last step.</summary>
    internal sealed record Result(double[] Weight, Dictionary<string, double[]> State);
}
