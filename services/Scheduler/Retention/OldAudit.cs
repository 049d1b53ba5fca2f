using Cluster.Scheduler.Audit;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Retention;

/// <summary>Takes away entries of the audit that are old: the only way by which any goes.</summary>
internal sealed class OldAudit(AuditStore audit, IOptions<RetentionOptions> options, TimeProvider time)
{
    public async Task SweepAsync(SweepTally removed, CancellationToken cancellationToken)
    {
        if (options.Value.Audit > TimeSpan.Zero)
            removed.Add("audit", await audit.RemoveAsync(time.GetUtcNow() - options.Value.Audit, cancellationToken));
    }
}
