using Cluster.Contracts;
using Cluster.Contracts.V1;

namespace Cluster.EndToEnd.Tests.Faults;

/// <summary>What a run gave, to the bit: its figures step by step, and the files of its last checkpoint by their hashes.</summary>
internal sealed record RunBits(IReadOnlyList<string> Figures, IReadOnlyList<string> Files)
{
    // Times are others in every run.
    private static readonly string[] Series =
        [MetricNames.TrainLoss, MetricNames.ValidationLoss, MetricNames.ValidationAccuracy, MetricNames.TestLoss, MetricNames.TestAccuracy];

    public static async Task<RunBits> OfAsync(PatientClient client, string job, CancellationToken cancellationToken)
    {
        var figures = await PatientClient.AskAsync(async options =>
        {
            using var call = client.Runs.StreamMetrics(new StreamMetricsRequest { JobId = job, Names = { Series } }, options);
            var points = new List<string>();
            while (await call.ResponseStream.MoveNext(cancellationToken))
            {
                points.AddRange(call.ResponseStream.Current.Points
                    .Select(point => $"{point.Name} {point.Step} {BitConverter.DoubleToInt64Bits(point.Value):x16}"));
            }

            return points;
        }, cancellationToken);
        var stored = await PatientClient.AskAsync(
            async options => await client.Runs.ListCheckpointsAsync(new ListCheckpointsRequest { JobId = job }, options),
            cancellationToken);
        var request = new DescribeCheckpointRequest { CheckpointId = stored.Checkpoints.MaxBy(checkpoint => checkpoint.Step)!.Id };
        var last = (await PatientClient.AskAsync(
            async options => await client.Checkpoints.DescribeCheckpointAsync(request, options), cancellationToken)).Manifest;
        var files = last.Files.Where(file => file.Name.EndsWith(".safetensors", StringComparison.Ordinal))
            .Select(file => $"step {last.Step} {file.Name} "
                + string.Join(' ', file.Chunks.Select(chunk => Convert.ToHexStringLower(chunk.Sha256.Span))));
        return new RunBits(figures, [.. files.Order(StringComparer.Ordinal)]);
    }

    public void ShouldBe(RunBits undisturbed, string because)
    {
        Figures.ShouldNotBeEmpty(because);
        Files.ShouldNotBeEmpty(because);
        Figures.ShouldBe(undisturbed.Figures, because);
        Files.ShouldBe(undisturbed.Files, because);
    }
}
