using Cluster.Contracts;

namespace Cluster.Scheduler.Persistence;

/// <summary>A prefix as the range of ids that begin with it, which the primary key's index can look up.</summary>
internal static class IdRange
{
    public static (Guid Low, Guid High) Of(IdPrefix prefix)
    {
        var digits = prefix.Text.Replace("-", "", StringComparison.Ordinal);
        return (Guid.ParseExact(digits.PadRight(32, '0'), "N"), Guid.ParseExact(digits.PadRight(32, 'f'), "N"));
    }
}
