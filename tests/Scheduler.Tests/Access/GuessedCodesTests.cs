using Cluster.Contracts;
using Cluster.Contracts.Access;
using Cluster.Scheduler.Access;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Tests.Fixtures;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Tests.Access;

public sealed class GuessedCodesTests(PostgresServer postgres)
{
    [Fact]
    public async Task GuessedCodes_CostSoManyQueriesASecond()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var (database, options) = (cluster.Get<ClusterDatabase>(), Options.Create(new AccessOptions()));
        using var tokens = new TokenRegister(new TokenStore(database, cluster.Time), new TokenFiles(options), cluster.Time);
        var enrollments = new NodeEnrollments(database, tokens, options, cluster.Time);

        for (var guess = 0; guess < NodeEnrollments.LookupsASecond; guess++)
            (await GuessAsync()).ShouldBe(EnrollmentOutcome.UnknownCode);
        await TestDatabase.ExecuteAsync(cluster, "alter table enrollments rename to enrollments_away");
        for (var guess = 0; guess < 1000; guess++)
            (await GuessAsync()).ShouldBe(EnrollmentOutcome.TooManyCodes);

        await TestDatabase.ExecuteAsync(cluster, "alter table enrollments_away rename to enrollments");
        cluster.Time.Advance(TimeSpan.FromSeconds(1));
        (await GuessAsync()).ShouldBe(EnrollmentOutcome.UnknownCode);

        Task<EnrollmentOutcome> GuessAsync() => enrollments.EnrollAsync(
            new EnrollmentCode(AccessSecret.Hash(AccessSecret.Make(AccessSecret.Enrollment))), new NodeId(Guid.NewGuid()), new byte[32],
            TestContext.Current.CancellationToken);
    }
}
