using System.Text.Json;
using Cluster.Contracts.V1;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Cluster.Scheduler.Persistence;

/// <summary>Maps rows to the tables that the SQL migrations make. Columns are the properties' names in snake_case.</summary>
public sealed class ClusterDbContext(DbContextOptions<ClusterDbContext> options) : DbContext(options)
{
    internal DbSet<JobRow> Jobs => Set<JobRow>();

    internal DbSet<ExperimentRow> Experiments => Set<ExperimentRow>();

    internal DbSet<JobEventRow> JobEvents => Set<JobEventRow>();

    internal DbSet<AttemptRow> Attempts => Set<AttemptRow>();

    internal DbSet<DeviceGrantRow> DeviceGrants => Set<DeviceGrantRow>();

    internal DbSet<NodeRow> Nodes => Set<NodeRow>();

    internal DbSet<RunRow> Runs => Set<RunRow>();

    internal DbSet<CheckpointRow> Checkpoints => Set<CheckpointRow>();

    internal DbSet<TokenRow> Tokens => Set<TokenRow>();

    protected override void ConfigureConventions(ModelConfigurationBuilder configurationBuilder)
    {
        configurationBuilder.Properties<JobState>().HaveConversion<string>();
        configurationBuilder.Properties<Attempts.AttemptState>().HaveConversion<string>();
        configurationBuilder.Properties<NodeState>().HaveConversion<string>();
        configurationBuilder.Properties<Scope>().HaveConversion<string>();
        configurationBuilder.Properties<ArtifactKind>().HaveConversion<string>();
    }

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        modelBuilder.Entity<JobRow>(job =>
        {
            job.ToTable("jobs");
            job.Property(j => j.Version).IsConcurrencyToken();
            Json(job.Property(j => j.Spec));
            Json(job.Property(j => j.Memory));
            Unchanging(job, j => j.Owner, j => j.RequestId, j => j.Name, j => j.Workspace, j => j.Spec, j => j.WaitForCapacity,
                j => j.TraceParent, j => j.TraceState, j => j.ExperimentId, j => j.Variant, j => j.Memory, j => j.CreatedAt);
            job.HasOne<ExperimentRow>().WithMany().HasForeignKey(j => j.ExperimentId);
            job.Property(j => j.TraceParent).HasColumnName("traceparent");
            job.Property(j => j.TraceState).HasColumnName("tracestate");
        });
        modelBuilder.Entity<ExperimentRow>().ToTable("experiments");
        modelBuilder.Entity<JobEventRow>(row =>
        {
            row.ToTable("job_events").HasKey(e => new { e.JobId, e.Sequence });
            row.HasOne<JobRow>().WithMany().HasForeignKey(e => e.JobId);
        });
        modelBuilder.Entity<AttemptRow>(row =>
        {
            row.ToTable("attempts").HasKey(a => new { a.JobId, a.Number });
            row.HasOne<JobRow>().WithMany().HasForeignKey(a => a.JobId);
        });
        modelBuilder.Entity<DeviceGrantRow>(row =>
        {
            row.ToTable("device_grants").HasKey(g => new { g.JobId, g.Attempt, g.Rank });
            row.HasOne<AttemptRow>().WithMany().HasForeignKey(g => new { g.JobId, g.Attempt });
        });
        modelBuilder.Entity<NodeRow>(row =>
        {
            row.ToTable("nodes");
            Json(row.Property(n => n.Devices));
            Json(row.Property(n => n.Labels));
            Json(row.Property(n => n.Utilization));
        });
        modelBuilder.Entity<RunRow>(row =>
        {
            row.ToTable("runs").HasKey(r => r.JobId);
            Json(row.Property(r => r.Progress));
            Json(row.Property(r => r.Environment));
        });
        modelBuilder.Entity<CheckpointRow>(row =>
        {
            row.ToTable("checkpoints");
            Json(row.Property(c => c.ImportedModel));
        });
        modelBuilder.Entity<TokenRow>().ToTable("tokens").HasKey(t => t.Hash);

        foreach (var property in modelBuilder.Model.GetEntityTypes().SelectMany(e => e.GetProperties()))
        {
            // Explicit names (traceparent) stay.
            if (property.GetColumnName() == property.Name)
                property.SetColumnName(JsonNamingPolicy.SnakeCaseLower.ConvertName(property.Name));
        }
    }

    private static void Unchanging<T>(EntityTypeBuilder<T> entity, params System.Linq.Expressions.Expression<Func<T, object?>>[] properties)
        where T : class
    {
        foreach (var property in properties)
            entity.Property(property).Metadata.SetAfterSaveBehavior(PropertySaveBehavior.Ignore);
    }

    private static void Json<T>(PropertyBuilder<T> property) =>
        property.HasColumnType("jsonb").HasConversion(JsonColumn.Converter<T>(), JsonColumn.Comparer<T>());
}
