using Cluster.Worker.Parallel;

namespace Cluster.Bench.Scaling;

/// <summary>
/// How long a training step of a network takes on several devices, for each way to split it. Each device adds its batch to the global one.
/// </summary>
/// <remarks>
/// Computation is taken to divide without loss: a part of a layer takes its share of what the layer takes for the same samples. Exchanges
/// cost what <see cref="Link"/> says; gradients travel while backward goes on, activations do not.
/// </remarks>
/// <param name="network">Measured on one device.</param>
/// <param name="link">Between the devices.</param>
/// <param name="bucketBytes">Gradients that travel together.</param>
internal sealed class StepModel(NetworkFigures network, Link link, int bucketBytes)
{
    /// <summary>Micro-batches for each stage of a pipeline, the job file's default.</summary>
    public const int MicroBatchesAStage = 4;

    /// <summary>Processors that the devices are made of; fewer than devices where they share them.</summary>
    public double Processors { get; init; } = double.PositiveInfinity;

    /// <summary>Replicas, whose gradients are summed.</summary>
    public double Data(int devices) => Replicas(devices, parts: 1, network.Units) + network.Rest * Crowding(devices);

    /// <summary>Channels divided over <paramref name="parts"/> devices; several such groups are replicas of each other.</summary>
    /// <param name="devices">A multiple of <paramref name="parts"/>.</param>
    /// <param name="parts">That see the same samples.</param>
    public double Model(int devices, int parts)
    {
        var samples = (double)parts * network.Batch;
        var gathered = network.Units.Skip(1).Select(unit => unit.InputElements).Append(network.Classes);
        return Replicas(devices / parts, parts, network.Units) + Exchanges(gathered, samples, parts, devices)
            + (network.Rest / parts * Crowding(devices));
    }

    /// <summary>Convolutions as replicas, fully connected layers divided over all devices.</summary>
    public double Hybrid(int devices)
    {
        var dense = network.Units.Where(unit => unit.IsDense).ToList();
        var convolutions = network.Units.Where(unit => !unit.IsDense).ToList();
        var gathered = dense.Select(unit => unit.InputElements).Append(network.Classes);
        var held = convolutions.Sum(unit => unit.Parameters) + (dense.Sum(unit => unit.Parameters) / (double)devices);
        return Replicas(devices, parts: 1, convolutions)
            + (dense.Sum(unit => unit.Forward.Of(devices * network.Batch) + unit.Backward.Of(devices * network.Batch)) / devices
                * Crowding(devices))
            + Exchanges(gathered, (double)devices * network.Batch, devices, devices)
            + (network.Rest * held / network.Parameters * Crowding(devices));
    }

    /// <summary>Stages of consecutive units; several pipelines are replicas of each other.</summary>
    /// <param name="devices">A multiple of <paramref name="stages"/>.</param>
    /// <param name="stages">At most as many as units.</param>
    public double Pipeline(int devices, int stages)
    {
        var microBatches = MicroBatchesAStage * stages;
        var samples = (double)stages * network.Batch / microBatches;
        var costs = network.Units.Select(unit => unit.Forward.Of(samples) + unit.Backward.Of(samples)).ToList();
        var cut = PipelineCut.Balance(costs, stages);
        var slowest = Enumerable.Range(0, stages).Max(stage => Within(cut, stage, costs).Sum());
        var shared = link.SharedBy(Crowding(devices));
        var message = cut.Skip(1).Select(first => 2 * shared.Message(samples * network.Units[first].InputElements * Link.ElementBytes))
            .DefaultIfEmpty().Max();
        // One forward, one backward for every micro-batch at the pace of the slowest stage or of its messages; before and after it the
        // pipeline fills and empties.
        var paced = (microBatches * Math.Max(slowest, message)) + ((stages - 1) * (slowest + message));
        var worked = microBatches * costs.Sum() * (devices / stages) / Processors; // stages that wait leave their processor to others
        var largest = Enumerable.Range(0, stages).Max(stage => Within(cut, stage, network.Units).Sum(unit => unit.Parameters));
        return Math.Max(paced, worked) + shared.AllReduce((double)largest * Link.ElementBytes, devices / stages)
            + (network.Rest * largest / network.Parameters * Crowding(devices));
    }

    /// <summary>
    /// Forward and backward of the batches of <paramref name="parts"/> devices that divide them, and what of the sums over the replicas
    /// backward does not hide.
    /// </summary>
    private double Replicas(int replicas, int parts, IReadOnlyList<UnitFigures> units)
    {
        var crowding = Crowding(replicas * parts);
        var shared = link.SharedBy(crowding);
        var samples = (double)parts * network.Batch;
        var (clock, sent, waiting) = (0.0, 0.0, 0.0);
        foreach (var unit in units.Reverse())
        {
            clock += unit.Backward.Of(samples) / parts * crowding;
            waiting += (double)unit.Parameters * Link.ElementBytes / parts;
            if (waiting >= bucketBytes)
                Send();
        }

        if (waiting > 0)
            Send();
        return (units.Sum(unit => unit.Forward.Of(samples)) / parts * crowding) + Math.Max(clock, sent);

        void Send()
        {
            sent = Math.Max(sent, clock) + shared.AllReduce(waiting, replicas);
            waiting = 0;
        }
    }

    /// <summary>Activations are gathered in forward; in backward their gradients take the same way back.</summary>
    private double Exchanges(IEnumerable<long> elements, double samples, int parts, int devices)
    {
        var shared = link.SharedBy(Crowding(devices));
        return elements.Sum(count => 2 * shared.AllGather(samples * count * Link.ElementBytes, parts));
    }

    private double Crowding(int devices) => Math.Max(1, devices / Processors);

    private static IEnumerable<T> Within<T>(int[] cut, int stage, IReadOnlyList<T> units)
    {
        var end = stage + 1 < cut.Length ? cut[stage + 1] : units.Count;
        return units.Skip(cut[stage]).Take(end - cut[stage]);
    }
}
