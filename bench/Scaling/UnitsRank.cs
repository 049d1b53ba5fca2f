using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using Cluster.Bench.Measuring;
using Cluster.Bench.Training;
using Cluster.Models;
using Cluster.Worker.Training;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Cluster.Bench.Scaling;

/// <summary>A trainer's process that measures every unit of a network by itself, and answers once.</summary>
internal static class UnitsRank
{
    private const string Verb = "scaling-units";

    /// <summary>The first warms up; of the others the quickest counts.</summary>
    private const int Passes = 4;

    public static Command Build()
    {
        var network = new Argument<string>("case");
        var command = new Command(Verb, "the units of scaling") { network };
        command.Hidden = true;
        command.SetAction(arguments => Console.WriteLine(JsonSerializer.Serialize(Measure(JsonSerializer.Deserialize<TrainCase>(arguments.GetValue(network)!)!))));
        return command;
    }

    public static async Task<IReadOnlyList<UnitFigures>> MeasureAsync(TrainCase network, CancellationToken cancellationToken)
    {
        await using var process = MeasuredProcess.StartOurs(TrainerPlace.Of(rank: 0, worldSize: 1, threads: 1), Verb, JsonSerializer.Serialize(network));
        return await process.ReceiveAsync<UnitFigures[]>(cancellationToken);
    }

    private static UnitFigures[] Measure(TrainCase network)
    {
        set_num_threads(1);
        var spec = TrainRank.Spec(network, worldSize: 1);
        using var whole = ModelRegistry.Create(spec.Model.Name, TrainingPartitions.OptionsOf(spec.Model), spec.Seed, ScalarType.Float32);
        whole.train();
        var figures = new UnitFigures[whole.Units.Count];
        for (var pass = 0; pass < Passes; pass++)
        {
            using var scope = NewDisposeScope();
            var x = randn(network.Batch, network.Channels, network.InputSize, network.InputSize);
            if (BatchPlacement.For(spec, whole.Shape, CPU).ChannelsLast)
                x = ImageLayout.ToChannelsLast(x);
            foreach (var (i, unit) in whole.Units.Index())
            {
                var (figure, output) = Measure(whole, unit, i == 0 ? x : x.requires_grad_());
                figures[i] = pass > 1 && figures[i].Forward + figures[i].Backward < figure.Forward + figure.Backward ? figures[i] : figure;
                x = output;
            }

            whole.zero_grad();
        }

        return figures;
    }

    private static (UnitFigures Figures, Tensor Output) Measure(ImageClassifier whole, NetworkUnit unit, Tensor input)
    {
        var began = Stopwatch.GetTimestamp();
        var output = unit.Forward(input);
        var forward = Stopwatch.GetElapsedTime(began);
        var gradient = ones_like(output);
        began = Stopwatch.GetTimestamp();
        output.backward([gradient]);
        var backward = Stopwatch.GetElapsedTime(began);
        var modules = whole.named_modules().Where(module => unit.Modules.Contains(module.name)).Select(module => module.module).ToList();
        var samples = input.shape[0];
        return (
            new UnitFigures(
                forward.TotalSeconds / samples, backward.TotalSeconds / samples, modules.Sum(module => module.parameters().Sum(p => p.numel())),
                input.numel() / samples, modules.Exists(module => module is Linear) && !modules.Exists(module => module is Convolution)),
            output.detach());
    }
}
