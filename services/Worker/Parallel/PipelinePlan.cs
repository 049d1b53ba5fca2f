using System.Globalization;
using Cluster.Models;
using Cluster.Worker.Collectives;

namespace Cluster.Worker.Parallel;

/// <summary>Which units each stage of a pipeline has and what comes in there: the same on every rank.</summary>
/// <param name="FirstUnits">Of each stage.</param>
/// <param name="InputShapes">Of one sample, where each stage begins; empty at the first, which sees images.</param>
internal sealed record PipelinePlan(IReadOnlyList<int> FirstUnits, IReadOnlyList<long[]> InputShapes)
{
    /// <summary>Channels, height, width.</summary>
    private const int MostDims = 3;

    /// <summary>First unit, number of dims, dims.</summary>
    private const int Words = 2 + MostDims;

    public int Stages => FirstUnits.Count;

    /// <summary>
    /// Rank 0 cuts by what it measures, and tells the others: ranks that measured for themselves would cut in different places.
    /// </summary>
    /// <param name="group">All ranks.</param>
    /// <param name="stages">Of a pipeline.</param>
    /// <param name="measure">Called on rank 0.</param>
    public static PipelinePlan Agree(ICollectiveGroup group, int stages, Func<IReadOnlyList<UnitCosts>> measure)
    {
        var words = new long[stages * Words];
        if (group.Rank == 0)
            By(measure(), stages).Write(words);
        group.Broadcast<long>(words, root: 0, "pipeline");
        return Read(words);
    }

    /// <summary>By costs that are known.</summary>
    public static PipelinePlan By(IReadOnlyList<UnitCosts> costs, int stages)
    {
        var cut = PipelineCut.Balance([.. costs.Select(unit => unit.Cost.TotalSeconds)], stages);
        return new PipelinePlan(cut, [.. cut.Select(first => first == 0 ? [] : costs[first - 1].OutputShape.ToArray())]);
    }

    /// <summary>A stage's units, of a network that belongs to the stage from here on.</summary>
    public NetworkStage StageOf(ImageClassifier whole, int stage)
    {
        var end = stage + 1 < Stages ? FirstUnits[stage + 1] : whole.Units.Count;
        return new NetworkStage(whole, FirstUnits[stage], end - FirstUnits[stage]);
    }

    /// <summary>"features.0 … features.8 | features.10 … classifier.6": each stage's first and last module.</summary>
    public string Describe(IReadOnlyList<NetworkUnit> units) => string.Join(" | ", Enumerable.Range(0, Stages).Select(stage =>
    {
        var end = stage + 1 < Stages ? FirstUnits[stage + 1] : units.Count;
        return string.Create(CultureInfo.InvariantCulture, $"{units[FirstUnits[stage]].Modules[0]} … {units[end - 1].Modules[^1]}");
    }));

    private static PipelinePlan Read(long[] words)
    {
        var stages = words.Chunk(Words).ToList();
        return new PipelinePlan([.. stages.Select(stage => (int)stage[0])], [.. stages.Select(stage => stage[2..(2 + (int)stage[1])])]);
    }

    private void Write(long[] words)
    {
        for (var stage = 0; stage < Stages; stage++)
        {
            var shape = InputShapes[stage];
            (words[stage * Words], words[(stage * Words) + 1]) = (FirstUnits[stage], shape.Length);
            shape.CopyTo(words, (stage * Words) + 2);
        }
    }
}
