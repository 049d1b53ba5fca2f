using Cluster.Bench.Measuring;

namespace Cluster.Bench.Training;

/// <summary>A row to be measured.</summary>
/// <param name="Network">What is trained.</param>
/// <param name="Ranks">That share the work.</param>
/// <param name="Threads">Of a rank.</param>
/// <param name="Sets">Up to which everybody computes.</param>
internal sealed record TrainEntry(TrainCase Network, int Ranks, int Threads, InstructionSets Sets)
{
    public string Name =>
        $"{Network.Model}, {(Ranks == 1 ? "1 rank" : $"{Ranks} ranks")}"
        + (Network.IsOnGpu ? $", {Network.Precision}" : "") + (Sets == InstructionSets.Native ? "" : $", {Sets.Name}");
}
