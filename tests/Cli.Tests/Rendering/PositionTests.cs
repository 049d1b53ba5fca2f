using Cluster.Cli.Jobs;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Tests.Rendering;

public sealed class PositionTests
{
    [Theory]
    [InlineData(3, false, "queued (waits for 2 devices; position 3)")]
    [InlineData(1000, true, "queued (waits for 2 devices; position 1000 or later)")]
    public void Position_IsTold_AsFarAsTheLineIsCounted(int position, bool orLater, string words) =>
        JobLines.StateAndReason(Builders.AJob(job => job.Queue = new QueueStanding { Position = position, OrLater = orLater }))
            .ShouldBe(words);
}
