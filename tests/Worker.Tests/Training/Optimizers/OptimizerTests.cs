using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Cluster.Contracts.V1;
using Cluster.Models;
using Cluster.Worker.Parallel;
using Cluster.Worker.Training;
using Cluster.Worker.Training.Optimizers;
using static TorchSharp.torch;

namespace Cluster.Worker.Tests.Training.Optimizers;

public sealed class OptimizerTests
{
    private const int Elements = 24;
    private const int Steps = 12;

    public static TheoryData<OptimizerSpec, string> AgainstPyTorch => new()
    {
        { new OptimizerSpec { Name = "sgd" }, "{}" },
        { new OptimizerSpec { Name = "sgd", WeightDecay = 0.1 }, """{"weight_decay":0.1}""" },
        { new OptimizerSpec { Name = "sgd", Momentum = 0.9, WeightDecay = 0.1 }, """{"momentum":0.9,"weight_decay":0.1}""" },
        { new OptimizerSpec { Name = "sgd", Momentum = 0.9, WeightDecay = 0.1, Nesterov = true }, """{"momentum":0.9,"weight_decay":0.1,"nesterov":true}""" },
        { new OptimizerSpec { Name = "adam", Beta1 = 0.9, Beta2 = 0.999, Epsilon = 1e-8 }, "{}" },
        { new OptimizerSpec { Name = "adam", Beta1 = 0.8, Beta2 = 0.9, Epsilon = 1e-3, WeightDecay = 0.1 }, """{"betas":[0.8,0.9],"eps":1e-3,"weight_decay":0.1}""" },
    };

    [Theory]
    [MemberData(nameof(AgainstPyTorch))]
    public async Task Steps_EqualPyTorchs(OptimizerSpec spec, string pythonArguments)
    {
        using var scope = NewDisposeScope();
        var (weight, state) = Train(spec, 0, Elements);

        var (expectedWeight, expectedState) = await PyTorchAsync(spec.Name, pythonArguments);

        // The same few operations an element and step, at most in another order: a few units of 2⁻⁵³ each.
        weight.ShouldBe(expectedWeight, 1e-13);
        state.Keys.ShouldBe(expectedState.Keys, ignoreOrder: true);
        foreach (var (slot, values) in state)
            values.ShouldBe(expectedState[slot], 1e-13, slot);
    }

    [Theory]
    [MemberData(nameof(AgainstPyTorch))]
    public void Steps_OfASlice_AreTheSliceOfTheWholesSteps(OptimizerSpec spec, string _)
    {
        using var scope = NewDisposeScope();
        var (whole, wholeState) = Train(spec, 0, Elements);

        var (slice, sliceState) = Train(spec, 8, 10);

        slice.ShouldBe(whole[8..18]);
        foreach (var (slot, values) in sliceState)
            values.ShouldBe(wholeState[slot][8..18]);
    }

    [Fact]
    public void UnknownName_IsRefused() =>
        Should.Throw<JobMisconfiguredException>(() => OptimizerFactory.Create(new OptimizerSpec { Name = "lion" }, []))
            .Message.ShouldBe("hyperparameters.optimizer.name is lion; choose sgd or adam");

    private static (double[] Weight, Dictionary<string, double[]> State) Train(OptimizerSpec spec, int first, int count)
    {
        var weight = tensor(Values(1, Elements)[first..(first + count)]).requires_grad_();
        using var optimizer = OptimizerFactory.Create(spec, [new LocalParameter("w", weight, [Elements], [first], IsOwner: true)]);
        for (var step = 0; step < Steps; step++)
        {
            weight.grad = tensor(Values(2 + (ulong)step, Elements)[first..(first + count)]);
            optimizer.Step(Rate(step), step);
        }

        optimizer.State.ShouldAllBe(state => state.Parameter == "w");
        return (weight.data<double>().ToArray(), optimizer.State.ToDictionary(s => s.Slot, s => s.Tensor.data<double>().ToArray()));
    }

    private static double Rate(int step) => 0.1 / (1 + step);

    private static double[] Values(ulong key, int count) => [.. Enumerable.Range(0, count).Select(i => CounterRandom.Normal(key, (ulong)i))];

    private static async Task<(double[] Weight, Dictionary<string, double[]> State)> PyTorchAsync(string name, string arguments)
    {
        var token = TestContext.Current.CancellationToken;
        var folder = Directory.CreateTempSubdirectory("optimizers-");
        try
        {
            await File.WriteAllTextAsync(
                Path.Combine(folder.FullName, "case.json"),
                JsonSerializer.Serialize(new
                {
                    name,
                    arguments = JsonDocument.Parse(arguments).RootElement,
                    weight = Values(1, Elements),
                    rates = Enumerable.Range(0, Steps).Select(Rate),
                    gradients = Enumerable.Range(0, Steps).Select(step => Values(2 + (ulong)step, Elements)),
                }),
                token);
            using var python = Process.Start(new ProcessStartInfo("/usr/bin/python3", [Script(), folder.FullName]) { RedirectStandardError = true, UseShellExecute = false })!;
            var errors = await python.StandardError.ReadToEndAsync(token);
            await python.WaitForExitAsync(token);
            python.ExitCode.ShouldBe(0, errors);
            var results = JsonDocument.Parse(await File.ReadAllTextAsync(Path.Combine(folder.FullName, "results.json"), token)).RootElement;
            return (
                results.GetProperty("weight").Deserialize<double[]>()!,
                results.GetProperty("state").Deserialize<Dictionary<string, double[]?>>()!.Where(s => s.Value is not null).ToDictionary(s => s.Key, s => s.Value!));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static string Script([CallerFilePath] string path = "") => Path.Combine(Path.GetDirectoryName(path)!, "torch_optimizers.py");
}
