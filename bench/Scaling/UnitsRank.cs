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

/// <summary>
/// A trainer's process that measures every unit of a network by itself, for a batch and for a pipeline's micro-batch, and answers once.
/// </summary>
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
        command.SetAction(arguments =>
            Console.WriteLine(JsonSerializer.Serialize(Measure(JsonSerializer.Deserialize<TrainCase>(arguments.GetValue(network)!)!))));
        return command;
    }

    /// <param name="network">What to measure.</param>
    /// <param name="core">That it runs on, counted among this process's.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public static async Task<IReadOnlyList<UnitFigures>> MeasureAsync(TrainCase network, int core, CancellationToken cancellationToken)
    {
        await using var process = MeasuredProcess.StartOurs(TrainerPlace.Alone(core), Verb, JsonSerializer.Serialize(network));
        return await process.ReceiveAsync<UnitFigures[]>(cancellationToken);
    }

    private static UnitFigures[] Measure(TrainCase network)
    {
        set_num_threads(1);
        var spec = TrainRank.Spec(network, worldSize: 1);
        using var whole = ModelRegistry.Create(spec.Model.Name, TrainingPartitions.OptionsOf(spec.Model), spec.Seed, ScalarType.Float32);
        whole.train();
        var channelsLast = BatchPlacement.For(spec, whole.Shape, CPU).ChannelsLast;
        var few = network.Batch / StepModel.MicroBatchesAStage;
        // Micro-batches add to the gradients of those before them, a batch has them to itself.
        var ofFew = Quickest(whole, network, few, channelsLast, afterEachPass: () => { });
        var ofMany = Quickest(whole, network, network.Batch, channelsLast, afterEachPass: () => whole.zero_grad());
        return [.. whole.Units.Select((unit, i) => Figures(
            whole, unit, ofMany[i].InputElements,
            Cost.Through((few, ofFew[i].Forward), (network.Batch, ofMany[i].Forward)),
            Cost.Through((few, ofFew[i].Backward), (network.Batch, ofMany[i].Backward))))];
    }

    private static UnitFigures Figures(ImageClassifier whole, NetworkUnit unit, long inputElements, Cost forward, Cost backward)
    {
        var modules = whole.named_modules().Where(module => unit.Modules.Contains(module.name)).Select(module => module.module).ToList();
        return new UnitFigures(
            forward, backward, modules.Sum(module => module.parameters().Sum(p => p.numel())), inputElements,
            modules.Exists(module => module is Linear) && !modules.Exists(module => module is Convolution));
    }

    /// <summary>Of each unit the pass in which forward and backward together were quickest.</summary>
    private static UnitTimes[] Quickest(ImageClassifier whole, TrainCase network, int samples, bool channelsLast, Action afterEachPass)
    {
        var quickest = new UnitTimes[whole.Units.Count];
        for (var pass = 0; pass < Passes; pass++)
        {
            using var scope = NewDisposeScope();
            var x = randn(samples, network.Channels, network.InputSize, network.InputSize);
            if (channelsLast)
                x = ImageLayout.ToChannelsLast(x);
            foreach (var (i, unit) in whole.Units.Index())
            {
                var (times, output) = Measure(unit, i == 0 ? x : x.requires_grad_());
                quickest[i] = pass > 1 && quickest[i].Both < times.Both ? quickest[i] : times;
                x = output;
            }

            afterEachPass();
        }

        return quickest;
    }

    private static (UnitTimes Times, Tensor Output) Measure(NetworkUnit unit, Tensor input)
    {
        var began = Stopwatch.GetTimestamp();
        var output = unit.Forward(input);
        var forward = Stopwatch.GetElapsedTime(began);
        var gradient = ones_like(output);
        began = Stopwatch.GetTimestamp();
        output.backward([gradient]);
        var backward = Stopwatch.GetElapsedTime(began);
        return (new UnitTimes(forward.TotalSeconds, backward.TotalSeconds, input.numel() / input.shape[0]), output.detach());
    }

    private readonly record struct UnitTimes(double Forward, double Backward, long InputElements)
    {
        public double Both => Forward + Backward;
    }
}
