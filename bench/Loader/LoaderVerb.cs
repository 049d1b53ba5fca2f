using System.CommandLine;
using System.Diagnostics;
using Cluster.Bench.Measuring;
using Cluster.Bench.Reporting;

namespace Cluster.Bench.Loader;

/// <summary>
/// <c>bench loader</c>: JPEG files to normalised batches, against PyTorch's DataLoader with torchvision's transforms on the same files.
/// </summary>
internal static class LoaderVerb
{
    private const int Classes = 4;
    private const string Folder = "pictures";

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
        var command = new Command("loader", "JPEG files to normalised batches, against torch.utils.data.DataLoader (python3-torchvision)")
        {
            rounds, images, RatioReport.Option,
        };
        command.SetAction((arguments, cancellationToken) =>
            RunAsync(arguments.GetValue(rounds), arguments.GetValue(images), RatioReport.For(arguments), cancellationToken));
        return command;
    }

    private static async Task RunAsync(int rounds, int images, RatioReport report, CancellationToken cancellationToken)
    {
        BenchEnvironment.Print(report);
        report.Note($"{images} JPEG files of 500 × 375 pixels to batches of 64 × 3 × 224 × 224; "
            + $"medians of {rounds} interleaved rounds after one that is not counted");
        var root = Directory.CreateTempSubdirectory("bench-loader-");
        try
        {
            await MakeAsync(Path.Combine(root.FullName, Folder), images, cancellationToken);
            var ours = new LoaderPass(root.FullName, Folder, Classes);
            await using var peer = MeasuredProcess.StartPeer("loader.py", null, "run", Path.Combine(root.FullName, Folder));
            await peer.ReceiveAsync<LoaderTime>(cancellationToken); // it has started
            foreach (var order in Orders())
                await MeasureAsync(order, rounds, ours, peer, report, cancellationToken);
        }
        finally
        {
            root.Delete(recursive: true);
        }
    }

    private static IEnumerable<LoaderOrder> Orders()
    {
        foreach (var threads in new[] { 1, Environment.ProcessorCount }.Distinct())
        {
            yield return new LoaderOrder("training", threads);
            yield return new LoaderOrder("evaluation", threads);
        }
    }

    private static async Task MeasureAsync(
        LoaderOrder order, int rounds, LoaderPass ours, MeasuredProcess peer, RatioReport report, CancellationToken cancellationToken)
    {
        var epoch = 0;
        await Ours();
        await Peer(); // its workers start
        var medians = await Interleaved.MediansAsync(rounds, [Ours, Peer]);
        report.Add(RatioRow.MoreIsBetter($"{order.View} views, {order.Threads} {(order.Threads == 1 ? "thread" : "threads")} vs DataLoader",
            medians[0], medians[1], "images/s"));

        async Task<double> Ours() => Rate(await Task.Run(() => ours.Run(order, epoch++, cancellationToken), cancellationToken));

        async Task<double> Peer()
        {
            await peer.SendAsync(order);
            return Rate(await peer.ReceiveAsync<LoaderTime>(cancellationToken));
        }
    }

    private static double Rate(LoaderTime time) => time.Images / time.Seconds;

    private static async Task MakeAsync(string folder, int images, CancellationToken cancellationToken)
    {
        using var python = Process.Start(new ProcessStartInfo(
            "/usr/bin/python3", [Path.Combine(AppContext.BaseDirectory, "peers", "loader.py"), "make", folder, $"{images}"]))!;
        await python.WaitForExitAsync(cancellationToken);
        if (python.ExitCode != 0)
            throw new InvalidOperationException("the pictures could not be made; install Debian's python3-pil and python3-numpy");
    }
}
