using System.Globalization;
using Cluster.Cli.Nodes;
using Cluster.Cli.Rendering;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Cluster.Cli.Top;

/// <summary>The cluster on a screen: a line of sums, the machines, what runs, what waits and why.</summary>
internal static class TopView
{
    /// <summary>Lines beside the tables' rows: the sums, what is said of an absence, headings and blank lines.</summary>
    private const int OtherLines = 9;

    private const int FewestRows = 3;

    /// <param name="lostAt">Since when no scheduler answers; null: one does.</param>
    public static IRenderable Render(TopState state, DateTimeOffset? lostAt, CliHost host)
    {
        var lost = lostAt is { } since
            ? $"no scheduler has answered for {Words.Length(host.Time.GetUtcNow() - since)}; this is as it was then\n"
            : "";
        var rows = Math.Max(FewestRows, (host.Height - OtherLines) / 3);
        return new Rows(new Text(lost, new Style(Color.Red)), new Text(Text(state, host.Time, host.Width, rows)));
    }

    /// <summary>All of it, as a pipe gets it.</summary>
    public static string Text(TopState state, TimeProvider time) => Text(state, time, null, int.MaxValue);

    private static string Text(TopState state, TimeProvider time, int? width, int rows) => string.Join('\n', [
        Sums(state) + "\n",
        Section(state.Nodes.OrderBy(node => node.Name, StringComparer.Ordinal), rows, width, "machine", Nodes),
        Section(state.Running, rows, width, "running job", jobs => Running(jobs, time)),
        Section(state.Waiting.OrderBy(job => job.QueueName, StringComparer.Ordinal).ThenBy(Position), rows, width, "waiting job", Waiting),
    ]);

    /// <summary>"2 machines, 1 of them not ready; 3 of 4 devices in use; 2 jobs running, 5 waiting".</summary>
    private static string Sums(TopState state)
    {
        var devices = state.Nodes.Where(node => node.State == NodeState.Ready).SelectMany(node => node.Devices).ToList();
        var unready = state.Nodes.Count(node => node.State != NodeState.Ready || node.Drain is not null);
        return $"{Count(state.Nodes.Count, "machine")}{(unready > 0 ? $", {unready} of them not ready" : "")}; "
            + $"{devices.Count(device => device.IsHeld())} of {Count(devices.Count, "device")} in use; "
            + $"{Count(state.Running.Count, "job")} running, {state.Waiting.Count} waiting";
    }

    private static string Section<T>(IEnumerable<T> all, int rows, int? width, string what, Func<IEnumerable<T>, ColumnTable> table)
    {
        var listed = all.ToList();
        var shown = listed.Count <= rows ? rows : rows - 1;
        var rest = listed.Count > shown ? $"and {Count(listed.Count - shown, $"more {what}")}\n" : "";
        return table(listed.Take(shown)).Render(width) + rest;
    }

    private static ColumnTable Nodes(IEnumerable<Node> nodes)
    {
        var table = new ColumnTable("MACHINE", "STATE", "IN USE", "UTILIZATION", "JOBS");
        foreach (var node in nodes)
        {
            var measured = node.Devices.Where(device => device.HasUtilization).ToList();
            table.Add(
                node.Name, NodeStates.Of(node), $"{node.Devices.Count(device => device.IsHeld())}/{node.Devices.Count}",
                measured.Count > 0 ? Words.Percent(measured.Average(device => device.Utilization)) : "",
                Words.Some(NodeJobs.Of(node), 40));
        }

        return table;
    }

    private static ColumnTable Running(IEnumerable<Job> jobs, TimeProvider time)
    {
        var table = new ColumnTable("RUNNING", "NAME", "OWNER", "STATE", "DEVICES", "EPOCH", "LOSS", "IMAGES/S", "TIME", "REASON");
        foreach (var job in jobs)
        {
            var progress = job.Progress ?? new Contracts.V1.Progress();
            table.Add(
                Words.Short(job.Id), job.Spec.Name, job.Owner, job.State.Word(), $"{job.Spec.Resources.Devices}",
                progress.Epochs > 0 ? Words.Epoch(progress) : "", progress.HasTrainLoss ? Words.Loss(progress.TrainLoss) : "",
                progress.HasSamplesPerSecond ? Words.Rate(progress.SamplesPerSecond) : "",
                Words.RunTime(job.StartedAt, job.FinishedAt, time) is { } ran ? Words.Length(ran) : "", job.Reason);
        }

        return table;
    }

    private static ColumnTable Waiting(IEnumerable<Job> jobs)
    {
        var table = new ColumnTable("WAITING", "NAME", "OWNER", "QUEUE", "PLACE", "DEVICES", "STARTS ABOUT", "REASON");
        foreach (var job in jobs)
        {
            table.Add(
                Words.Short(job.Id), job.Spec.Name, job.Owner, job.QueueName,
                job.Queue is { Position: > 0 } queue ? $"{queue.Position}{(queue.OrLater ? "+" : "")}" : "",
                $"{job.Spec.Resources.Devices}", Words.Clock(job.Queue?.EstimatedStart), job.Reason);
        }

        return table;
    }

    // Those whose place is not known yet stand behind.
    private static int Position(Job job) => job.Queue is { Position: > 0 } queue ? queue.Position : int.MaxValue;

    private static string Count(int count, string what) =>
        string.Create(CultureInfo.InvariantCulture, $"{count} {what}{(count == 1 ? "" : "s")}");
}
