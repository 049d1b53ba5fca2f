using Cluster.Contracts;

namespace Cluster.Worker.Training;

/// <summary>What a rank's steps spend their time on, so that the one that the others wait for can be seen.</summary>
/// <remarks>
/// A mean over so many steps that however many ranks there are, their series stay small beside the job's.
/// </remarks>
internal sealed class RankTimes(int rank, int worldSize)
{
    private const int StepsInAMean = 25;

    private readonly double[] _sums = new double[MetricNames.StepParts.Count];
    private int _steps;

    public int Rank => rank;

    /// <param name="parts">Seconds of one step, in the order of <see cref="MetricNames.StepParts"/>.</param>
    /// <returns>Series with their newest means; none while steps are still gathered, or where the job has this rank only.</returns>
    public IEnumerable<(string Series, double Mean)> Add(double[] parts)
    {
        if (worldSize == 1)
            return [];
        for (var part = 0; part < parts.Length; part++)
            _sums[part] += parts[part];
        if (++_steps < StepsInAMean)
            return [];
        var means = MetricNames.StepParts.Zip(_sums, (name, sum) => (MetricNames.OfRank(rank, name), sum / StepsInAMean)).ToArray();
        Array.Clear(_sums);
        _steps = 0;
        return means;
    }
}
