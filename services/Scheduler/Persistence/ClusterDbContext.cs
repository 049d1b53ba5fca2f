using System.Text.Json;
using Microsoft.EntityFrameworkCore;

namespace Cluster.Scheduler.Persistence;

/// <summary>Maps rows to the tables that the SQL migrations make. Columns are the properties' names in snake_case.</summary>
/// <remarks>A row, how it is mapped and the name of its table stand beside what they serve.</remarks>
public sealed class ClusterDbContext(DbContextOptions<ClusterDbContext> options) : DbContext(options)
{
    protected override void ConfigureConventions(ModelConfigurationBuilder configurationBuilder) =>
        configurationBuilder.Properties<Enum>().HaveConversion<string>();

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        modelBuilder.ApplyConfigurationsFromAssembly(typeof(ClusterDbContext).Assembly);
        foreach (var property in modelBuilder.Model.GetEntityTypes().SelectMany(e => e.GetProperties()))
        {
            // Explicit names (traceparent) stay.
            if (property.GetColumnName() == property.Name)
                property.SetColumnName(JsonNamingPolicy.SnakeCaseLower.ConvertName(property.Name));
        }
    }
}
