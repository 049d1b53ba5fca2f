using System.CommandLine;
using System.Diagnostics;
using Cluster.Bench.Measuring;
using Cluster.Bench.Reporting;
using Cluster.Contracts.Catalog;
using Cluster.Worker.Data.Packing;

namespace Cluster.Bench.Loader;

/// <summary>
/// <c>bench loader</c>: JPEG files and raw shards of them to normalised batches, against PyTorch's DataLoader with torchvision's
/// transforms.
/// </summary>
internal static class LoaderVerb
{
    private const int Classes = 4;
    private const string Folder = "pictures", Packed = "packed";
    private const string Training = "training", Evaluation = "evaluation";

    /// <summary>Images a second and core that FFCV's authors publish for ImageNet: JPEG of at most 512 pixels, and raw at 256.</summary>
    private static readonly Dictionary<string, double> Published = new()
    {
        [DataCatalog.ImageFolder] = 326,
        [DataCatalog.RawShards] = 1800,
    };

    public static Command Build()
    {
        var rounds = new Option<int>("--rounds")
        {
            Description = "turns of each contestant; medians are printed",
            DefaultValueFactory = _ => 5,
        };
        var images = new Option<int>("--images")
        {
            Description = "pictures of 500 × 375 pixels that a turn loads",
            DefaultValueFactory = _ => 512,
        };
        var command = new Command(
            "loader",
            "JPEG files, and raw shards packed of them, to normalised batches, against torch.utils.data.DataLoader (python3-torchvision); "
            + "about 4 minutes on two cores")
        {
            rounds, images, RatioReport.MarkdownOption, RatioReport.JsonOption,
        };
        command.SetAction((arguments, cancellationToken) =>
            RunAsync(arguments.GetValue(rounds), arguments.GetValue(images), RatioReport.For(arguments, "Loading"), cancellationToken));
        return command;
    }

    private static async Task RunAsync(int rounds, int images, RatioReport report, CancellationToken cancellationToken)
    {
        BenchEnvironment.Print(report);
        report.Note(
            $"{images} JPEG files of 500 × 375 pixels, and raw shards of their middle 256 × 256, to batches of 64 × 3 × 224 × 224, "
            + "from the page cache; "
            + $"medians of {rounds} interleaved rounds after one that is not counted");
        report.Note(
            "DataLoader: as many worker processes as we have threads, PIL for JPEG; for raw shards a mapped NumPy array and torchvision's "
            + "transforms of tensors; "
            + "FFCV: what its authors publish for a core of another machine, JPEG of up to 512 pixels and raw at 256");
        var root = Directory.CreateTempSubdirectory("bench-loader-");
        try
        {
            await MakeAsync(Path.Combine(root.FullName, Folder), images, cancellationToken);
            Pack(root.FullName, images, report);
            await using var peer = MeasuredProcess.StartPeer("loader.py", null, "run", root.FullName);
            await peer.ReceiveAsync<LoaderTime>(cancellationToken); // it has started
            foreach (var (source, folder) in ((string, string)[])[(DataCatalog.ImageFolder, Folder), (DataCatalog.RawShards, Packed)])
            {
                var ours = new LoaderPass(root.FullName, source, folder, Classes);
                foreach (var order in Orders(source))
                    await MeasureAsync(order, rounds, ours, peer, report, cancellationToken);
            }

            report.Finish();
        }
        finally
        {
            root.Delete(recursive: true);
        }
    }

    private static IEnumerable<LoaderOrder> Orders(string source)
    {
        foreach (var threads in new[] { 1, Environment.ProcessorCount }.Distinct())
        {
            yield return new LoaderOrder(source, Training, threads);
            yield return new LoaderOrder(source, Evaluation, threads);
        }
    }

    private static async Task MeasureAsync(
        LoaderOrder order, int rounds, LoaderPass ours, MeasuredProcess peer, RatioReport report, CancellationToken cancellationToken)
    {
        var epoch = 0;
        await Ours();
        await Peer(); // its workers start
        var medians = await Interleaved.MediansAsync(rounds, [Ours, Peer]);
        var name = $"{order.Source}, {order.View} views, {order.Threads} {(order.Threads == 1 ? "thread" : "threads")}";
        report.Add(RatioRow.MoreIsBetter($"{name} vs DataLoader", medians[0], medians[1], "images/s"));
        if (order is { View: Training, Threads: 1 })
            report.Add(RatioRow.MoreIsBetter($"{name} vs FFCV, published", medians[0], Published[order.Source], "images/s"));

        async Task<double> Ours() => Rate(await Task.Run(() => ours.Run(order, epoch++, cancellationToken), cancellationToken));

        async Task<double> Peer()
        {
            await peer.SendAsync(order);
            return Rate(await peer.ReceiveAsync<LoaderTime>(cancellationToken));
        }
    }

    private static double Rate(LoaderTime time) => time.Images / time.Seconds;

    private static void Pack(string root, int images, RatioReport report)
    {
        var (folder, output) = (Path.Combine(root, Folder), Path.Combine(root, Packed));
        var order = new PackOrder(folder, output, PackOrder.DefaultSide, PackOrder.DefaultShardMib, Channels: 3);
        var began = Stopwatch.GetTimestamp();
        new PicturePacker(order, TextWriter.Null).Run();
        report.Note($"packed at {images / Stopwatch.GetElapsedTime(began).TotalSeconds:0} images/s on {Environment.ProcessorCount} cores");
    }

    private static async Task MakeAsync(string folder, int images, CancellationToken cancellationToken)
    {
        using var python = Process.Start(MeasuredProcess.Python("loader.py", redirected: false, "make", folder, $"{images}"))!;
        await python.WaitForExitAsync(cancellationToken);
        if (python.ExitCode != 0)
            throw new InvalidOperationException("the pictures could not be made; install Debian's python3-pil and python3-numpy");
    }
}
