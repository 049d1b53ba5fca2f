using System.Collections.Concurrent;

namespace Cluster.EndToEnd.Tests.Faults;

/// <summary>
/// Looks at the machine's processes all the time: on a node of one device no trainer may live beside one of another attempt, whatever the
/// scheduler believes.
/// </summary>
/// <remarks>A node's trainers are known by a variable that its agent was started with and they inherit.</remarks>
internal sealed class DeviceWatch : IAsyncDisposable
{
    private const string Trainer = "trainer --job ";
    private const string Variable = "TEST_NODE";
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(50);

    private readonly CancellationTokenSource _end = new();
    private readonly ConcurrentQueue<string> _collisions = new();
    private readonly Task _watching;

    public DeviceWatch() => _watching = Task.Run(WatchAsync);

    /// <summary>Two trainers on one device, by their command lines.</summary>
    public IReadOnlyCollection<string> Collisions => _collisions;

    /// <summary>Tells the agents of a cluster apart.</summary>
    public static void Mark(LocalCluster cluster)
    {
        for (var worker = 1; worker <= cluster.Workers; worker++)
            cluster.Configure($"worker-{worker}", $"{Variable}={cluster.State}/worker-{worker}");
    }

    /// <summary>The processes of all trainers on a cluster's nodes.</summary>
    public static IReadOnlyList<int> TrainersOf(LocalCluster cluster) => [.. Processes.With(Trainer)
        .Where(id => Processes.VariableOf(id, Variable).StartsWith(cluster.State + "/", StringComparison.Ordinal))];

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await _watching;
        _end.Dispose();
    }

    private async Task WatchAsync()
    {
        using var timer = new PeriodicTimer(Interval);
        try
        {
            while (await timer.WaitForNextTickAsync(_end.Token))
            {
                var nodes = Processes.With(Trainer).Select(id => (Node: Processes.VariableOf(id, Variable), Id: id))
                    .Where(trainer => trainer.Node.Length > 0).GroupBy(trainer => trainer.Node);
                foreach (var node in nodes.Where(node => node.Count() > 1))
                    _collisions.Enqueue($"{node.Key}: {string.Join("; ", node.Select(trainer => Processes.CommandLine(trainer.Id)))}");
            }
        }
        catch (OperationCanceledException) when (_end.IsCancellationRequested)
        {
            // The test is over.
        }
    }
}
