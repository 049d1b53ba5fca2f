using System.Text.Json;
using Cluster.Bench.Measuring;
using Cluster.Bench.Reporting;
using Cluster.Contracts;

namespace Cluster.Bench.Training;

/// <summary>
/// One network on so many ranks: ours, PyTorch as installed, and PyTorch in our environment, all kept ready and asked in turn.
/// </summary>
internal sealed class TrainContest : IAsyncDisposable
{
    private const string Script = "train.py";

    private readonly TrainCase network;
    private readonly int worldSize;
    private readonly int threads;
    private readonly string folder;
    private readonly List<MeasuredRanks> contestants = []; // ours, PyTorch as installed, PyTorch in our environment

    private TrainContest(TrainCase network, int worldSize, int threads)
    {
        (this.network, this.worldSize, this.threads) = (network, worldSize, threads);
        folder = BenchGroup.MakeFolder();
    }

    public string Name =>
        (worldSize == 1 ? $"{network.Model}, 1 rank" : $"{network.Model}, {worldSize} ranks")
        + (network.IsOnGpu ? $", {network.Precision}" : "");

    /// <summary>PyTorch has the whole network where our ranks have parts of it.</summary>
    private int PeerRanks => network.Split == TrainCase.ByData ? worldSize : 1;

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

    /// <summary>Our step beside PyTorch's, from the same weights, without dropout.</summary>
    /// <returns>Whether they are the same but for rounding, and how far they are apart.</returns>
    public async Task<(bool AreEqual, string Difference)> CompareStepsAsync(CancellationToken cancellationToken)
    {
        // PyTorch as installed on a GPU, where the other would search for the fastest kernels first: of float32, which is not what it is
        // timed in.
        var judge = contestants[network.IsOnGpu ? 1 : 2];
        var peer = await CheckAsync(judge, PeerRanks, new TrainOrder(0), cancellationToken);
        var asTimed = Beside(
            peer, await CheckAsync(contestants[0], worldSize, new TrainOrder(0, MemoryFormat: network.MemoryFormat), cancellationToken));
        if (network.IsOnGpu)
        {
            var rounded = Beside(
                peer, await CheckAsync(judge, PeerRanks, new TrainOrder(0, Precision: network.Precision), cancellationToken));
            var rounding = network.Precision == TrainCase.BFloat16 ? 1.0 / (1 << 8) : 1.0 / (1 << 11);
            return (asTimed.IsAsNearAs(rounded, rounding),
                $"{network.Precision} beside PyTorch's float32: {asTimed}; PyTorch's own {network.Precision}: {rounded}");
        }

        // With images that lie as PyTorch's do, and as ours do when they are timed.
        var contiguous = Beside(peer,
            await CheckAsync(contestants[0], worldSize, new TrainOrder(0, MemoryFormat: MemoryFormats.Contiguous), cancellationToken));
        return (contiguous.IsRounding && asTimed.IsRoundingBetweenLayouts, $"contiguous: {contiguous}; as timed: {asTimed}");

        static StepDifference Beside(
            (double Loss, Dictionary<string, float[]> Gradients) peer, (double Loss, Dictionary<string, float[]> Gradients) other) =>
            StepDifference.Between(other.Loss, other.Gradients, peer.Loss, peer.Gradients);
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
        return new TrainRow(
            Name, network, threads, Ours: images / medians[0], AsInstalled: images / medians[1], SameEnvironment: images / medians[2]);
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
            worldSize,
            rank => TrainRank.Start(OurPlace(rank), [folder, $"{rank}", $"{worldSize}", $"{threads}", JsonSerializer.Serialize(network)]),
            cancellationToken));
        TensorFile.Join(Path.Combine(folder, "weights.safetensors"),
            [.. Enumerable.Range(0, worldSize).Select(rank => TrainRank.WeightsFile(folder, rank))]);
        // As torchrun says it; OpenBLAS, which knows nothing of torch.set_num_threads, reads it too.
        var threadsOnly = new Dictionary<string, string> { ["OMP_NUM_THREADS"] = $"{threads}" };
        contestants.AddRange(await Task.WhenAll(
            StartPeersAsync("as-installed", tuned: false, (_, arguments) => MeasuredProcess.StartPeer(Script, threadsOnly, arguments),
                cancellationToken),
            StartPeersAsync("same-environment", tuned: network.IsOnGpu,
                (rank, arguments) => MeasuredProcess.StartPeer(OurPlace(rank), Script, arguments), cancellationToken)));
    }

    private Task<MeasuredRanks> StartPeersAsync(
        string meeting, bool tuned, Func<int, string[], MeasuredProcess> start, CancellationToken cancellationToken)
    {
        var settings = JsonSerializer.Serialize(new { TrainCase.LearningRate, TrainCase.Momentum, TrainCase.WeightDecay, Tuned = tuned });
        return MeasuredRanks.StartAsync<TrainAnswer>(
            PeerRanks,
            rank => start(rank, [folder, Path.Combine(folder, meeting), $"{rank}", $"{PeerRanks}", $"{threads}",
                JsonSerializer.Serialize(network), settings]),
            cancellationToken);
    }

    private TrainerPlace OurPlace(int rank) =>
        network.IsOnGpu ? TrainerPlace.OnGpu(rank, worldSize, threads) : TrainerPlace.Of(rank, worldSize, threads);

    private async Task<(double Loss, Dictionary<string, float[]> Gradients)> CheckAsync(
        MeasuredRanks ranks, int count, TrainOrder order, CancellationToken cancellationToken)
    {
        var answers = await ranks.AskAsync<TrainOrder, TrainAnswer>(order with { Folder = folder }, cancellationToken);
        var whole = Path.Combine(folder, "gradients.safetensors");
        TensorFile.Join(whole, [.. Enumerable.Range(0, count).Select(rank => TrainRank.GradientsFile(folder, rank))]);
        return (answers[0].Loss, TensorFile.ReadFloats(whole));
    }

    private static async Task<double> SecondsAStepAsync(MeasuredRanks ranks, int steps, CancellationToken cancellationToken)
    {
        var answers = await ranks.AskAsync<TrainOrder, TrainAnswer>(new TrainOrder(steps), cancellationToken);
        return answers.Max(answer => answer.Seconds);
    }
}
