using System.Text.Json;
using Cluster.Bench.Measuring;
using Cluster.Bench.Reporting;
using Cluster.Contracts;

namespace Cluster.Bench.Training;

/// <summary>One network on so many ranks: ours, PyTorch as installed, and PyTorch in our environment, all kept ready and asked in turn.</summary>
internal sealed class TrainContest : IAsyncDisposable
{
    private const string Script = "train.py";

    private readonly TrainCase network;
    private readonly int worldSize;
    private readonly int threads;
    private readonly string folder;
    private readonly List<MeasuredRanks> contestants = []; // ours first

    private TrainContest(TrainCase network, int worldSize, int threads)
    {
        (this.network, this.worldSize, this.threads) = (network, worldSize, threads);
        folder = BenchGroup.MakeFolder();
    }

    public string Name => worldSize == 1 ? $"{network.Model}, 1 rank" : $"{network.Model}, {worldSize} ranks";

    public static async Task<TrainContest> StartAsync(TrainCase network, int worldSize, int threads, CancellationToken cancellationToken)
    {
        var contest = new TrainContest(network, worldSize, threads);
        try
        {
            await contest.StartAsync(cancellationToken);
            return contest;
        }
        catch
        {
            await contest.DisposeAsync();
            throw;
        }
    }

    /// <summary>Our step beside PyTorch's in the same environment, from the same weights, without dropout: with images that lie as PyTorch's do, and as ours do when they are timed.</summary>
    public async Task<(StepDifference Contiguous, StepDifference AsTimed)> CompareStepsAsync(CancellationToken cancellationToken)
    {
        var peer = await CheckAsync(contestants[^1], "peer", MemoryFormats.Contiguous, cancellationToken);
        var contiguous = await CheckAsync(contestants[0], "ours", MemoryFormats.Contiguous, cancellationToken);
        var asTimed = await CheckAsync(contestants[0], "ours", network.MemoryFormat, cancellationToken);
        return (Between(contiguous), Between(asTimed));

        StepDifference Between((double Loss, Dictionary<string, float[]> Gradients) ours) => StepDifference.Between(ours.Loss, ours.Gradients, peer.Loss, peer.Gradients);
    }

    public async Task<TrainRow> MeasureAsync(int rounds, double seconds, CancellationToken cancellationToken)
    {
        var turns = new List<Func<Task<double>>>();
        foreach (var contestant in contestants)
        {
            var first = await SecondsAStepAsync(contestant, steps: 1, cancellationToken);
            var steps = (int)Math.Clamp(Math.Round(seconds / first), 1, 10_000);
            await SecondsAStepAsync(contestant, steps, cancellationToken); // all code is compiled and all memory there after it
            turns.Add(() => SecondsAStepAsync(contestant, steps, cancellationToken));
        }

        var medians = await Interleaved.MediansAsync(rounds, turns);
        var images = (double)network.Batch * worldSize;
        return new TrainRow(Name, network, threads, Ours: images / medians[0], AsInstalled: images / medians[1], SameEnvironment: images / medians[2]);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var contestant in contestants)
            await contestant.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    private async Task StartAsync(CancellationToken cancellationToken)
    {
        contestants.Add(await MeasuredRanks.StartAsync<TrainAnswer>(
            worldSize, rank => TrainRank.Start(OurPlace(rank), [folder, $"{rank}", $"{worldSize}", $"{threads}", JsonSerializer.Serialize(network)]), cancellationToken));
        // As torchrun says it; OpenBLAS, which knows nothing of torch.set_num_threads, reads it too.
        var threadsOnly = new Dictionary<string, string> { ["OMP_NUM_THREADS"] = $"{threads}" };
        contestants.Add(await StartPeersAsync("as-installed", (_, arguments) => MeasuredProcess.StartPeer(Script, threadsOnly, arguments), cancellationToken));
        contestants.Add(await StartPeersAsync("same-environment", (rank, arguments) => MeasuredProcess.StartPeer(OurPlace(rank), Script, arguments), cancellationToken));
    }

    private Task<MeasuredRanks> StartPeersAsync(string meeting, Func<int, string[], MeasuredProcess> start, CancellationToken cancellationToken)
    {
        var settings = JsonSerializer.Serialize(new { TrainCase.LearningRate, TrainCase.Momentum, TrainCase.WeightDecay });
        return MeasuredRanks.StartAsync<TrainAnswer>(
            worldSize,
            rank => start(rank, [folder, Path.Combine(folder, meeting), $"{rank}", $"{worldSize}", $"{threads}", JsonSerializer.Serialize(network), settings]),
            cancellationToken);
    }

    private TrainerPlace OurPlace(int rank) => TrainerPlace.Of(rank, worldSize, threads);

    private async Task<(double Loss, Dictionary<string, float[]> Gradients)> CheckAsync(
        MeasuredRanks ranks, string file, string memoryFormat, CancellationToken cancellationToken)
    {
        var path = Path.Combine(folder, $"{file}-gradients.safetensors");
        var answers = await ranks.AskAsync<TrainOrder, TrainAnswer>(new TrainOrder(0, path, memoryFormat), cancellationToken);
        return (answers[0].Loss, TensorFile.ReadFloats(path));
    }

    private static async Task<double> SecondsAStepAsync(MeasuredRanks ranks, int steps, CancellationToken cancellationToken)
    {
        var answers = await ranks.AskAsync<TrainOrder, TrainAnswer>(new TrainOrder(steps), cancellationToken);
        return answers.Max(answer => answer.Seconds);
    }
}
