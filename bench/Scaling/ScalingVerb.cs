using System.CommandLine;
using System.Globalization;
using Cluster.Bench.AllReduce;
using Cluster.Bench.Measuring;
using Cluster.Bench.Reporting;
using Cluster.Bench.Training;
using Cluster.Contracts.Catalog;
using Cluster.Worker.Parallel;

namespace Cluster.Bench.Scaling;

/// <summary>
/// <c>bench scaling</c>: what a step would take on many devices, by a cost model from measured computation and links, after the model has
/// been held against runs on 2 and 4 ranks here.
/// </summary>
internal static class ScalingVerb
{
    private const int MostStages = 8, MostParts = 8;
    private const double Milli = 1e3, Micro = 1e6, Giga = 1e9;

    private static readonly string[] Sequences = ["alexnet_owt", "vgg11", "resnet18", "mobilenet_v2"];

    public static Command Build()
    {
        var models = new Option<string[]>("--models")
        {
            Description = "networks",
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => Sequences,
        };
        models.AcceptOnlyFromAmong(Sequences);
        var devices = new Option<int[]>("--devices")
        {
            Description = "to project to, one a node",
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => [8, 64, 512],
        };
        var ranks = new Option<int[]>("--ranks")
        {
            Description = "to run here and compare with",
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => [2, 4],
        };
        var bandwidth = new Option<double?>("--bandwidth")
        {
            Description = "GB/s of the nodes' network, each way (measured: TCP on this machine)",
        };
        var latency = new Option<double?>("--latency")
        {
            Description = "µs of a small exchange between nodes (measured: TCP on this machine)",
        };
        var command = new Command(
            "scaling", "step time on many devices, by a cost model from measured computation and links; about 10 minutes on two cores")
        {
            models, devices, ranks, bandwidth, latency, RatioReport.MarkdownOption, RatioReport.JsonOption,
        };
        command.SetAction(async (arguments, cancellationToken) =>
        {
            var report = RatioReport.For(arguments, "Scaling");
            BenchEnvironment.Print(report, peers: false);
            var (memory, tcp) = await LinkMeasurement.RunAsync(cancellationToken);
            var between = new Link(
                arguments.GetValue(latency) / Micro ?? tcp.Latency, arguments.GetValue(bandwidth) * Giga ?? tcp.SumRate,
                arguments.GetValue(bandwidth) * Giga ?? tcp.MoveRate);
            report.Note($"shared memory: {Describe(memory)}; between nodes: {Describe(between)}");
            report.Note("one thread a device; each device adds its batch to the global one; check: ours is the model's step, "
                + "peer the measured one; projection: peer is so many times one device");
            foreach (var model in arguments.GetValue(models)!)
            {
                var network = TrainCase.All.Single(known => known.Model == model);
                var figures = await MeasureAsync(network, processors: 1, cancellationToken);
                var crowded = await MeasureAsync(network, Environment.ProcessorCount, cancellationToken);
                report.Note(string.Create(CultureInfo.InvariantCulture,
                    $"{model}: batch {figures.Batch} a device, {figures.Units.Count} units, {figures.Step * Milli:0} ms a step on one, "
                        + $"of which {figures.Rest * Milli:0} ms outside the units; "
                        + $"{crowded.Step * Milli:0} ms where each of {Environment.ProcessorCount} processors does one"));
                foreach (var count in arguments.GetValue(ranks)!)
                    await CheckAsync(crowded, memory, count, report, cancellationToken);
                foreach (var count in arguments.GetValue(devices)!)
                    Project(figures, between, count, report);
            }

            report.Finish();
        });
        return command;
    }

    private static string Describe(Link link) => string.Create(
        CultureInfo.InvariantCulture,
        $"{link.Latency * Micro:0.0} µs, sums {link.SumRate / Giga:0.00} GB/s, moves {link.MoveRate / Giga:0.00} GB/s");

    /// <summary>
    /// One device's figures where so many processors do the same at once, which share the machine's memory: the slowest one's.
    /// </summary>
    private static async Task<NetworkFigures> MeasureAsync(TrainCase network, int processors, CancellationToken cancellationToken)
    {
        var cores = Enumerable.Range(0, processors);
        var units = await Task.WhenAll(cores.Select(core => UnitsRank.MeasureAsync(network, core, cancellationToken)));
        var figures = units.Select(ofOne => new NetworkFigures(network.Model, network.Batch, ofOne, network.Classes, Rest: 0))
            .MaxBy(figures => figures.Step)!;
        var steps = await Task.WhenAll(cores.Select(core => SplitRun.SecondsAStepAloneAsync(network, core, cancellationToken)));
        return figures with { Rest = Math.Max(0, steps.Max() - figures.Step) };
    }

    private static async Task CheckAsync(
        NetworkFigures figures, Link memory, int ranks, RatioReport report, CancellationToken cancellationToken)
    {
        var model = new StepModel(figures, memory, new GradientOptions().BucketBytes) { Processors = Environment.ProcessorCount };
        foreach (var way in Ways(model, figures, ranks, most: ranks))
        {
            if (way.Seconds is not { } predicted)
            {
                report.Note($"{figures.Model}, {way.Name} over {ranks}: {way.WhyNot}");
                continue;
            }

            var network = TrainCase.All.Single(known => known.Model == figures.Model) with { Split = way.Split };
            var measured = await SplitRun.SecondsAStepAsync(network, ranks, cancellationToken);
            report.Add(
                RatioRow.LessIsBetter($"check: {figures.Model}, {way.Name} over {ranks}", predicted * Milli, measured * Milli, "ms"));
        }
    }

    private static void Project(NetworkFigures figures, Link between, int devices, RatioReport report)
    {
        var model = new StepModel(figures, between, new GradientOptions().BucketBytes);
        var images = (double)figures.Batch * devices;
        foreach (var way in Ways(model, figures, devices, most: MostParts))
        {
            if (way.Seconds is { } seconds)
                report.Add(RatioRow.MoreIsBetter(
                    $"{figures.Model}, {way.Name} over {devices}", images / seconds, images / figures.Step, "images/s"));
            else
                report.Note($"{figures.Model}, {way.Name} over {devices}: {way.WhyNot}");
        }
    }

    /// <param name="model">Of one network.</param>
    /// <param name="figures">The same network's.</param>
    /// <param name="devices">In all.</param>
    /// <param name="most">Devices in a group that divides channels or units; several groups are replicas.</param>
    private static IEnumerable<Way> Ways(StepModel model, NetworkFigures figures, int devices, int most)
    {
        yield return new Way("data", "data", model.Data(devices), "");
        var definition = ModelCatalog.All.Single(known => known.Name == figures.Model);
        var parts = Math.Min(devices, most);
        yield return Divides([.. definition.DividedChannels, figures.Classes], parts, out var odd)
            ? new Way(Mesh("model", parts, devices), "model", model.Model(devices, parts), "")
            : new Way("model", "model", null, odd);
        yield return Divides([.. definition.DividedUnits, figures.Classes], devices, out odd)
            ? new Way("hybrid", "hybrid", model.Hybrid(devices), "")
            : new Way("hybrid", "hybrid", null, odd);
        var stages = Math.Min(Math.Min(devices, MostStages), figures.Units.Count);
        yield return new Way(Mesh("pipeline", stages, devices), "pipeline", model.Pipeline(devices, stages), "");
    }

    private static string Mesh(string axis, int along, int devices) => along == devices ? axis : $"data × {axis} {along}";

    /// <param name="widths">Of the layers, and the classes; classes alone where the network has no such split.</param>
    /// <param name="parts">To divide them into.</param>
    /// <param name="why">If it cannot be.</param>
    private static bool Divides(IReadOnlyList<int> widths, int parts, out string why)
    {
        var odd = widths.FirstOrDefault(width => width % parts != 0);
        why = widths.Count == 1 ? "the network has no such split" : $"{odd} channels, units or classes cannot be shared evenly";
        return widths.Count > 1 && odd == 0;
    }

    private sealed record Way(string Name, string Split, double? Seconds, string WhyNot);
}
