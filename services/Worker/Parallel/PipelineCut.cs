namespace Cluster.Worker.Parallel;

/// <summary>
/// Where a sequence of units is cut into stages: so that the slowest stage, which sets a pipeline's pace, is as fast as it can be.
/// </summary>
internal static class PipelineCut
{
    /// <summary>The first unit of each stage; every stage has at least one.</summary>
    /// <param name="costs">Of each unit, not negative.</param>
    /// <param name="stages">At most as many as units.</param>
    public static int[] Balance(IReadOnlyList<double> costs, int stages)
    {
        if (stages < 1 || stages > costs.Count)
            throw new ArgumentOutOfRangeException(nameof(stages), stages, $"{costs.Count} units make 1 to {costs.Count} stages");
        var before = new double[costs.Count + 1]; // cost of all units before one
        for (var unit = 0; unit < costs.Count; unit++)
            before[unit + 1] = before[unit] + costs[unit];

        // slowest[s, u]: the slowest of s + 1 stages over the first u units, at best; last[s, u]: where the last of those stages then
        // begins.
        var (slowest, last) = (new double[stages, costs.Count + 1], new int[stages, costs.Count + 1]);
        for (var stage = 0; stage < stages; stage++)
        {
            for (var units = stage + 1; units <= costs.Count; units++)
            {
                slowest[stage, units] = double.PositiveInfinity;
                for (var first = stage; first < (stage == 0 ? 1 : units); first++)
                {
                    var cost = Math.Max(stage == 0 ? 0 : slowest[stage - 1, first], before[units] - before[first]);
                    if (cost < slowest[stage, units])
                        (slowest[stage, units], last[stage, units]) = (cost, first);
                }
            }
        }

        var cut = new int[stages];
        for (var (stage, units) = (stages - 1, costs.Count); stage >= 0; units = cut[stage--])
            cut[stage] = last[stage, units];
        return cut;
    }
}
