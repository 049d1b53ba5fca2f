using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Tests.Fixtures;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;

namespace Cluster.Scheduler.Tests.Persistence;

public sealed class ModelTests
{
    [Fact]
    public void Model_IsBuiltWithoutAWarning()
    {
        using var captured = new CapturedLog();
        using var factory = LoggerFactory.Create(logging => logging.AddProvider(captured));
        // Without the cache, or the model would be one that another test has built.
        var options = new DbContextOptionsBuilder<ClusterDbContext>().UseNpgsql("Host=nowhere").UseLoggerFactory(factory)
            .EnableServiceProviderCaching(false).Options;
        using var context = new ClusterDbContext(options);

        context.Model.GetEntityTypes().ShouldNotBeEmpty();
        captured.Entries.Where(entry => entry.Level >= LogLevel.Warning).Select(entry => entry.Message).ShouldBeEmpty();
    }
}
