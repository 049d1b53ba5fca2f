using System.Text.Json;
using Cluster.Bench.Measuring;
using Cluster.Bench.Reporting;
using Cluster.Bench.Training.Plain;

namespace Cluster.Bench.Training;

/// <summary>
/// One network on so many ranks: ours, PyTorch and, on one rank, a plain TorchSharp program, all kept ready and asked in turn.
/// </summary>
internal sealed class TrainContest : IAsyncDisposable
{
    public const string TorchSharpAsInstalled = "TorchSharp as installed", TorchSharpInOurs = "TorchSharp, same environment";
    public const string PyTorchAsInstalled = "PyTorch as installed", PyTorchInOurs = "PyTorch, same environment";

    private const string Script = "train.py", Ours = "ours", Float64 = "float64";

    private readonly TrainEntry _entry;
    private readonly string _folder;
    private readonly List<Contestant> _contestants = []; // ours first
    private (double Loss, Dictionary<string, double[]> Gradients) _exact; // the step in float64

    private TrainContest(TrainEntry entry) => (_entry, _folder) = (entry, BenchGroup.MakeFolder());

    /// <summary>Those that ours may have beside it, in the table's order.</summary>
    public static IReadOnlyList<string> Peers { get; } = [TorchSharpAsInstalled, TorchSharpInOurs, PyTorchAsInstalled, PyTorchInOurs];

    private TrainCase Network => _entry.Network;

    /// <summary>PyTorch has the whole network where our ranks have parts of it.</summary>
    private int PeerRanks => Network.Split == TrainCase.ByData ? _entry.Ranks : 1;

    public static async Task<TrainContest> StartAsync(TrainEntry entry, CancellationToken cancellationToken)
    {
        var contest = new TrainContest(entry);
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

    /// <summary>Everybody's step beside the same in float64, from the same weights, without dropout, as it is timed.</summary>
    /// <returns>Whether they are the same but for rounding, and how far they are apart.</returns>
    public async Task<(bool AreEqual, IReadOnlyList<string> Differences)> CompareStepsAsync(CancellationToken cancellationToken)
    {
        var differences = new Dictionary<string, StepDifference>();
        foreach (var one in _contestants.Where(one => !Network.IsOnGpu || one.Name is Ours or PyTorchAsInstalled))
        {
            var (loss, gradients) = await CheckAsync(one, Network.Precision, cancellationToken);
            differences[one.Name] = StepDifference.Between(loss, gradients, _exact.Loss, _exact.Gradients);
            // A gigabyte each of the largest networks, which the contestants need.
            gradients.Clear();
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        }

        _exact = default;

        // In a GPU's short types there is nothing to derive a limit from but what the same rounding does to PyTorch's step.
        var rounding = Network.Precision == TrainCase.BFloat16 ? 1.0 / (1 << 8) : 1.0 / (1 << 11);
        var areEqual = Network.IsOnGpu
            ? differences[Ours].IsAsNearAs(differences[PyTorchAsInstalled], rounding)
            : differences.Values.All(difference => difference.IsRoundingOf(Network.Kinks));
        return (areEqual, [.. differences.Select(pair => $"{pair.Key}: {pair.Value}")]);
    }

    /// <param name="rounds">At most.</param>
    /// <param name="seconds">That a turn takes about.</param>
    /// <param name="budget">After which no further round begins.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async Task<TrainRow> MeasureAsync(int rounds, double seconds, TimeSpan budget, CancellationToken cancellationToken)
    {
        var turns = new List<Func<Task<double>>>();
        foreach (var contestant in _contestants)
        {
            var first = await SecondsAStepAsync(contestant, steps: 1, cancellationToken);
            var steps = (int)Math.Clamp(Math.Round(seconds / first), 1, 10_000);
            if (steps > 1)
                await SecondsAStepAsync(contestant, steps, cancellationToken); // all code is compiled and all memory there after it
            turns.Add(() => SecondsAStepAsync(contestant, steps, cancellationToken));
        }

        var (medians, done) = await Interleaved.MediansAsync(rounds, budget, turns);
        var images = (double)Network.Batch * _entry.Ranks;
        var peers = _contestants.Zip(medians).Skip(1).ToDictionary(one => one.First.Name, one => images / one.Second);
        return new TrainRow(_entry, images / medians[0], peers, done);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var contestant in _contestants)
            await contestant.Processes.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private async Task StartAsync(CancellationToken cancellationToken)
    {
        var network = JsonSerializer.Serialize(Network);
        _contestants.Add(new Contestant(Ours, _entry.Ranks, await MeasuredRanks.StartAsync<TrainAnswer>(
            _entry.Ranks,
            rank => TrainRank.Start(PlaceOf(rank), [_folder, $"{rank}", $"{_entry.Ranks}", $"{_entry.Threads}", network]),
            cancellationToken)));
        string[] parts = [.. Enumerable.Range(0, _entry.Ranks).Select(rank => TrainRank.WeightsFile(_folder, rank))];
        TensorFile.Join(TrainRank.WholeWeightsFile(_folder), parts);
        // As torchrun says it; OpenBLAS, which knows nothing of torch.set_num_threads, reads it too.
        var asInstalled = new Dictionary<string, string>(_entry.Sets.Variables) { ["OMP_NUM_THREADS"] = $"{_entry.Threads}" };
        var judge = await StartPyTorchAsync(
            PyTorchAsInstalled, tuned: false, (_, arguments) => MeasuredProcess.StartPeer(Script, asInstalled, arguments),
            cancellationToken);
        _contestants.Add(judge);
        // Before the others are there: in float64 the largest networks need the memory that they will have.
        _exact = await CheckAsync(judge, Float64, cancellationToken);
        List<Task<Contestant>> starts =
        [
            StartPyTorchAsync(
                PyTorchInOurs, tuned: true, (rank, arguments) => MeasuredProcess.StartPeer(PlaceOf(rank), Script, arguments),
                cancellationToken),
        ];
        if (_entry.Ranks == 1 && !Network.IsOnGpu)
        {
            string[] arguments = [PlainRank.Verb, _folder, $"{_entry.Threads}", network];
            starts.Add(StartTorchSharpAsync(
                TorchSharpAsInstalled, () => MeasuredProcess.StartOurs(asInstalled, arguments), cancellationToken));
            starts.Add(StartTorchSharpAsync(TorchSharpInOurs, () => MeasuredProcess.StartOurs(PlaceOf(0), arguments), cancellationToken));
        }

        _contestants.AddRange(await Task.WhenAll(starts));
    }

    private async Task<Contestant> StartPyTorchAsync(
        string name, bool tuned, Func<int, IEnumerable<string>, MeasuredProcess> start, CancellationToken cancellationToken)
    {
        var settings = JsonSerializer.Serialize(new
        {
            TrainCase.LearningRate,
            TrainCase.Momentum,
            TrainCase.WeightDecay,
            Tuned = tuned && Network.IsOnGpu,
        });
        var meeting = Path.Combine(_folder, tuned ? "same-environment" : "as-installed");
        return new Contestant(name, PeerRanks, await MeasuredRanks.StartAsync<TrainAnswer>(
            PeerRanks,
            rank => start(
                rank, [_folder, meeting, $"{rank}", $"{PeerRanks}", $"{_entry.Threads}", JsonSerializer.Serialize(Network), settings]),
            cancellationToken));
    }

    private static async Task<Contestant> StartTorchSharpAsync(
        string name, Func<MeasuredProcess> start, CancellationToken cancellationToken) =>
        new(name, 1, await MeasuredRanks.StartAsync<TrainAnswer>(1, _ => start(), cancellationToken));

    private TrainerPlace PlaceOf(int rank) =>
        (Network.IsOnGpu ? TrainerPlace.OnGpu(rank, _entry.Ranks, _entry.Threads) : TrainerPlace.Of(rank, _entry.Ranks, _entry.Threads))
        .With(_entry.Sets.Variables);

    private async Task<(double Loss, Dictionary<string, double[]> Gradients)> CheckAsync(
        Contestant contestant, string precision, CancellationToken cancellationToken)
    {
        var order = new TrainOrder(0, _folder, precision);
        var answers = await contestant.Processes.AskAsync<TrainOrder, TrainAnswer>(order, cancellationToken);
        // Replicas have the same gradients, and their first owns all; parts of a network have each their own.
        if (contestant.Ranks == 1 || Network.Split == TrainCase.ByData)
            return (answers[0].Loss, TensorFile.ReadElements(TrainRank.GradientsFile(_folder, rank: 0)));
        var whole = Path.Combine(_folder, "gradients.safetensors");
        TensorFile.Join(whole, [.. Enumerable.Range(0, contestant.Ranks).Select(rank => TrainRank.GradientsFile(_folder, rank))]);
        return (answers[0].Loss, TensorFile.ReadElements(whole));
    }

    private static async Task<double> SecondsAStepAsync(Contestant contestant, int steps, CancellationToken cancellationToken)
    {
        var answers = await contestant.Processes.AskAsync<TrainOrder, TrainAnswer>(new TrainOrder(steps), cancellationToken);
        return answers.Max(answer => answer.Seconds);
    }

    private sealed record Contestant(string Name, int Ranks, MeasuredRanks Processes);
}
