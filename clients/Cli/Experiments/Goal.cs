using System.Globalization;
using Cluster.Cli.Rendering;
using Cluster.Contracts;
using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;
using Grpc.Core;

namespace Cluster.Cli.Experiments;

/// <summary>
/// A mark on a series, such as 25 % training error, and when a job first got there: the mean over an epoch counts, not one lucky batch.
/// </summary>
internal sealed record Goal(string Series, double Value)
{
    private bool WantsLess => Series.EndsWith("/loss", StringComparison.Ordinal);

    /// <param name="text">"train/accuracy=0.75".</param>
    /// <exception cref="CliException">It is no goal.</exception>
    public static Goal Parse(string text)
    {
        var series = MetricNames.All.Where(
            name => name.EndsWith("/loss", StringComparison.Ordinal) || name.EndsWith("/accuracy", StringComparison.Ordinal)).ToList();
        var parts = text.Split('=', 2);
        if (parts is not [var name, var number] || !double.TryParse(number, CultureInfo.InvariantCulture, out var value))
            throw new CliException(ExitCode.Usage, $"--reach is {text} but must be a series and a value; write it as train/accuracy=0.75");
        if (!series.Contains(name))
        {
            var remedy = NearestName.Of(name, series) is { } near ? $"did you mean {near}?" : $"choose one of {string.Join(", ", series)}";
            throw new CliException(ExitCode.Usage, $"--reach names the series {name}, of which there is none to reach; {remedy}");
        }

        return new Goal(name, value);
    }

    /// <summary>A mean that is not finite has reached nothing.</summary>
    private bool IsReachedBy(double mean) => double.IsFinite(mean) && (WantsLess ? mean <= Value : mean >= Value);

    /// <summary>"train/accuracy ≥ 0.75".</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Series} {(WantsLess ? '≤' : '≥')} {Value}");

    /// <summary>"epoch 3, step 468, 42s" for the first epoch whose mean is good enough; empty if there is none.</summary>
    public async Task<string> ReachedByAsync(Job job, VerbContext context, CancellationToken cancellationToken)
    {
        using var call = context.Connection.Runs.StreamMetrics(
            new StreamMetricsRequest { JobId = job.Id, Names = { Series } }, context.Connection.Stream(cancellationToken));
        // Points come in the order of their steps, and there may be more than fit in memory.
        var (sum, count, last) = (0.0, 0L, (MetricPoint?)null);
        await foreach (var point in call.ResponseStream.ReadAllAsync(cancellationToken).SelectMany(batch => batch.Points))
        {
            if (last is not null && point.Epoch != last.Epoch)
            {
                if (IsReachedBy(sum / count))
                    break;
                (sum, count) = (0, 0);
            }

            (sum, count, last) = (sum + point.Value, count + 1, point);
        }

        if (last is null || !IsReachedBy(sum / count))
            return "";
        var after = Words.RunTime(job.StartedAt, last.Time, context.Host.Time) is { } time ? $", {Words.Length(time)}" : "";
        return $"epoch {last.Epoch}, step {last.Step}{after}";
    }
}
