using Cluster.Contracts;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Runs;

namespace Cluster.Scheduler.Retention;

/// <summary>Takes the points of long series into their stored curves: who looks at one then reads the newest points alone.</summary>
internal sealed class LongSeries([FromKeyedServices(StorePool.Bulk)] ClusterDatabase database, CurveStore curves, TimeProvider time)
{
    // What a reader of the job's curves reads beside them: some ten milliseconds' worth.
    internal const int MostNewPoints = 8_192;

    // Those that ended earlier were looked at then; one that waits again, while it ran.
    private static readonly TimeSpan AfterTheEnd = TimeSpan.FromDays(1);

    public async Task SweepAsync(CancellationToken cancellationToken)
    {
        var jobs = await database.IdsAsync(
            $"""
            with recent as (
                select job_id as id from device_grants where released_at is null
                union
                select id from jobs where finished_at > $1)
            select j.id from recent join jobs j using (id) left join metric_rollups r on r.job_id = j.id cross join lateral (
                select count(*) as points from (
                    select 1 from metrics m where m.job_id = j.id and m.stored_at >= j.created_at - interval '1 hour'
                        and m.cursor > coalesce(r.cursor, 0) limit {MostNewPoints}) newest) fresh
            where j.attempt > 0 and fresh.points = {MostNewPoints}
            """, [time.GetUtcNow() - AfterTheEnd], cancellationToken);
        foreach (var job in jobs)
            await curves.RollUpAsync(new JobId(job), cancellationToken);
    }
}
