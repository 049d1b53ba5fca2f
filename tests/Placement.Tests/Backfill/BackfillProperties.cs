using Cluster.Placement.Tests.Queues;
using CsCheck;

namespace Cluster.Placement.Tests.Backfill;

public class BackfillProperties
{
    protected virtual long Cases => 300;

    /// <summary>Backfill never delays a promised start: who was promised one has started by then, if jobs end as was said.</summary>
    [Fact]
    public void APromisedStartIsKept() => World.Any(Traits.None).Sample(
        world =>
        {
            var (cluster, promised) = (world.Build(), new Dictionary<JobKey, DateTimeOffset>());
            QueueProperties.Run(cluster, plan =>
            {
                foreach (var start in plan.Starts)
                {
                    if (promised.Remove(start.Job, out var at) && cluster.Now > at)
                        throw new InvalidOperationException($"{start.Job} was promised {at:T} and starts at {cluster.Now:T}");
                }

                foreach (var reservation in plan.Reservations)
                    promised.TryAdd(reservation.Job, reservation.At);
            });
            promised.ShouldBeEmpty("all have started");
        },
        iter: Cases, print: World.Print);
}

/// <inheritdoc/>
[Trait("Round", "full")]
public sealed class ManyBackfillProperties : BackfillProperties
{
    protected override long Cases => 10_000;
}
