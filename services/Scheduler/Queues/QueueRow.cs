using System.Collections.Immutable;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Placement;
using Cluster.Placement.Queues;
using Cluster.Scheduler.Persistence;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Cluster.Scheduler.Queues;

// Columns are explained in the migration that makes them.

internal sealed class QueueRow
{
    public required string Name { get; init; }
    public required string? Parent { get; set; }
    public required double Weight { get; set; }
    public required ImmutableArray<QueueQuota> Quotas { get; set; }
    public DateTimeOffset? PastAsOf { get; init; }
    public double PastCpu { get; init; }
    public double PastCuda { get; init; }
    public double RateCpu { get; init; }
    public double RateCuda { get; init; }

    /// <summary>As placement knows it.</summary>
    public QueueSpec ToSpec() => new(new QueueKey(Name), Parent is { } parent ? new QueueKey(parent) : null)
    {
        Weight = Weight,
        Quotas = Quotas.Where(quota => quota.Nominal is not null)
            .ToImmutableDictionary(quota => quota.Kind, quota => new Quota(quota.Nominal!.Value, quota.BorrowingLimit, quota.LendingLimit)),
        OwnerLimits = Quotas.Where(quota => quota.OwnerLimit is not null)
            .ToImmutableDictionary(quota => quota.Kind, quota => quota.OwnerLimit!.Value),
    };

    /// <summary>Null: it has used nothing yet that counts.</summary>
    public ClusterChange.QueueUsed? ToUse() => PastAsOf is not { } asOf ? null : new ClusterChange.QueueUsed(
        new QueueKey(Name), new PastUse(asOf, new DeviceCounts(PastCpu, PastCuda), new DeviceCounts(RateCpu, RateCuda)));

    /// <summary>Nothing but what is so of the default queue without a word.</summary>
    public bool SaysNothing => Name == QueueNames.Default && Parent is null && Weight == 1 && Quotas.IsEmpty;

    public Queue ToQueue() => new() { Name = Name, Parent = Parent ?? "", Weight = Weight, Quotas = { Quotas.Select(q => q.ToQuota()) } };

    public static QueueRow Of(Queue queue) => new()
    {
        Name = queue.Name,
        Parent = queue.Parent.Length > 0 ? queue.Parent : null,
        Weight = queue.Weight == 0 ? 1 : queue.Weight,
        Quotas = [.. queue.Quotas.Select(QueueQuota.Of)],
    };
}

/// <summary>Of one kind of device; what is null is not limited, and not owed.</summary>
internal sealed record QueueQuota(DeviceClass Kind, int? Nominal, int? BorrowingLimit, int? LendingLimit, int? OwnerLimit)
{
    public DeviceQuota ToQuota()
    {
        var quota = new DeviceQuota { Kind = Kind == DeviceClass.Cpu ? DeviceKind.Cpu : DeviceKind.Cuda };
        if (Nominal is { } nominal)
            quota.Nominal = nominal;
        if (BorrowingLimit is { } borrowing)
            quota.BorrowingLimit = borrowing;
        if (LendingLimit is { } lending)
            quota.LendingLimit = lending;
        if (OwnerLimit is { } owner)
            quota.OwnerLimit = owner;
        return quota;
    }

    public static QueueQuota Of(DeviceQuota quota) => new(
        quota.Kind == DeviceKind.Cpu ? DeviceClass.Cpu : DeviceClass.Cuda, quota.HasNominal ? quota.Nominal : null,
        quota.HasBorrowingLimit ? quota.BorrowingLimit : null, quota.HasLendingLimit ? quota.LendingLimit : null,
        quota.HasOwnerLimit ? quota.OwnerLimit : null);
}

internal static class QueueTable
{
    extension(ClusterDbContext context)
    {
        public DbSet<QueueRow> Queues => context.Set<QueueRow>();
    }
}

internal sealed class QueueRowMapping : IEntityTypeConfiguration<QueueRow>
{
    public void Configure(EntityTypeBuilder<QueueRow> row)
    {
        row.ToTable("queues").HasKey(q => q.Name);
        row.Property(q => q.Quotas).IsJson();
        // Placement's, which writes them past entities.
        row.Unchanging(q => q.PastAsOf, q => q.PastCpu, q => q.PastCuda, q => q.RateCpu, q => q.RateCuda);
    }
}
