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

    private readonly TrainCase _network;
    private readonly int _worldSize;
    private readonly int _threads;
    private readonly string _folder;
    private readonly List<MeasuredRanks> _contestants = []; // ours, PyTorch as installed, PyTorch in our environment

    private TrainContest(TrainCase network, int worldSize, int threads)
    {
        (_network, _worldSize, _threads) = (network, worldSize, threads);
        _folder = BenchGroup.MakeFolder();
    }

    public string Name =>
        (_worldSize == 1 ? $"{_network.Model}, 1 rank" : $"{_network.Model}, {_worldSize} ranks")
        + (_network.IsOnGpu ? $", {_network.Precision}" : "");

    /// <summary>PyTorch has the whole network where our ranks have parts of it.</summary>
    private int PeerRanks => _network.Split == TrainCase.ByData ? _worldSize : 1;

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
        var judge = _contestants[_network.IsOnGpu ? 1 : 2];
        var peer = await CheckAsync(judge, PeerRanks, new TrainOrder(0), cancellationToken);
        var asTimed = Beside(
            peer, await CheckAsync(_contestants[0], _worldSize, new TrainOrder(0, MemoryFormat: _network.MemoryFormat), cancellationToken));
        if (_network.IsOnGpu)
        {
            var rounded = Beside(
                peer, await CheckAsync(judge, PeerRanks, new TrainOrder(0, Precision: _network.Precision), cancellationToken));
            var rounding = _network.Precision == TrainCase.BFloat16 ? 1.0 / (1 << 8) : 1.0 / (1 << 11);
            return (asTimed.IsAsNearAs(rounded, rounding),
                $"{_network.Precision} beside PyTorch's float32: {asTimed}; PyTorch's own {_network.Precision}: {rounded}");
        }

        // With images that lie as PyTorch's do, and as ours do when they are timed.
        var contiguous = Beside(peer,
            await CheckAsync(_contestants[0], _worldSize, new TrainOrder(0, MemoryFormat: MemoryFormats.Contiguous), cancellationToken));
        return (contiguous.IsRounding && asTimed.IsRoundingBetweenLayouts, $"contiguous: {contiguous}; as timed: {asTimed}");

        static StepDifference Beside(
            (double Loss, Dictionary<string, float[]> Gradients) peer, (double Loss, Dictionary<string, float[]> Gradients) other) =>
            StepDifference.Between(other.Loss, other.Gradients, peer.Loss, peer.Gradients);
    }

    public async Task<TrainRow> MeasureAsync(int rounds, double seconds, CancellationToken cancellationToken)
    {
        var turns = new List<Func<Task<double>>>();
        foreach (var contestant in _contestants)
        {
            var first = await SecondsAStepAsync(contestant, steps: 1, cancellationToken);
            var steps = (int)Math.Clamp(Math.Round(seconds / first), 1, 10_000);
            await SecondsAStepAsync(contestant, steps, cancellationToken); // all code is compiled and all memory there after it
            turns.Add(() => SecondsAStepAsync(contestant, steps, cancellationToken));
        }

        var medians = await Interleaved.MediansAsync(rounds, turns);
        var images = (double)_network.Batch * _worldSize;
        return new TrainRow(
            Name, _network, _threads, Ours: images / medians[0], AsInstalled: images / medians[1], SameEnvironment: images / medians[2]);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var contestant in _contestants)
            await contestant.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private async Task StartAsync(CancellationToken cancellationToken)
    {
        _contestants.Add(await MeasuredRanks.StartAsync<TrainAnswer>(
            _worldSize,
            rank =>
                TrainRank.Start(OurPlace(rank), [_folder, $"{rank}", $"{_worldSize}", $"{_threads}", JsonSerializer.Serialize(_network)]),
            cancellationToken));
        TensorFile.Join(Path.Combine(_folder, "weights.safetensors"),
            [.. Enumerable.Range(0, _worldSize).Select(rank => TrainRank.WeightsFile(_folder, rank))]);
        // As torchrun says it; OpenBLAS, which knows nothing of torch.set_num_threads, reads it too.
        var threadsOnly = new Dictionary<string, string> { ["OMP_NUM_THREADS"] = $"{_threads}" };
        _contestants.AddRange(await Task.WhenAll(
            StartPeersAsync("as-installed", tuned: false, (_, arguments) => MeasuredProcess.StartPeer(Script, threadsOnly, arguments),
                cancellationToken),
            StartPeersAsync("same-environment", tuned: _network.IsOnGpu,
                (rank, arguments) => MeasuredProcess.StartPeer(OurPlace(rank), Script, arguments), cancellationToken)));
    }

    private Task<MeasuredRanks> StartPeersAsync(
        string meeting, bool tuned, Func<int, string[], MeasuredProcess> start, CancellationToken cancellationToken)
    {
        var settings = JsonSerializer.Serialize(new { TrainCase.LearningRate, TrainCase.Momentum, TrainCase.WeightDecay, Tuned = tuned });
        return MeasuredRanks.StartAsync<TrainAnswer>(
            PeerRanks,
            rank => start(rank, [_folder, Path.Combine(_folder, meeting), $"{rank}", $"{PeerRanks}", $"{_threads}",
                JsonSerializer.Serialize(_network), settings]),
            cancellationToken);
    }

    private TrainerPlace OurPlace(int rank) =>
        _network.IsOnGpu ? TrainerPlace.OnGpu(rank, _worldSize, _threads) : TrainerPlace.Of(rank, _worldSize, _threads);

    private async Task<(double Loss, Dictionary<string, float[]> Gradients)> CheckAsync(
        MeasuredRanks ranks, int count, TrainOrder order, CancellationToken cancellationToken)
    {
        var answers = await ranks.AskAsync<TrainOrder, TrainAnswer>(order with { Folder = _folder }, cancellationToken);
        var whole = Path.Combine(_folder, "gradients.safetensors");
        TensorFile.Join(whole, [.. Enumerable.Range(0, count).Select(rank => TrainRank.GradientsFile(_folder, rank))]);
        return (answers[0].Loss, TensorFile.ReadFloats(whole));
    }

    private static async Task<double> SecondsAStepAsync(MeasuredRanks ranks, int steps, CancellationToken cancellationToken)
    {
        var answers = await ranks.AskAsync<TrainOrder, TrainAnswer>(new TrainOrder(steps), cancellationToken);
        return answers.Max(answer => answer.Seconds);
    }
}
