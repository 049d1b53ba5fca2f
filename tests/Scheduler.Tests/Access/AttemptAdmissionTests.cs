using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Access;
using Cluster.Scheduler.Attempts;
using Cluster.Scheduler.Tests.Fixtures;
using Grpc.Core;
using Microsoft.AspNetCore.Http;

namespace Cluster.Scheduler.Tests.Access;

public sealed class AttemptAdmissionTests(PostgresServer postgres)
{
    [Fact]
    public async Task ForgedSecrets_CostSoManyQueriesASecond_AndNoneOfTheAttemptsThatRun()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        var attempt = await cluster.RunAsync(job);
        var secret = cluster.Agents.SecretOf($"{job}", attempt);
        var admission = new AttemptAdmission(cluster.Get<AttemptFence>(), cluster.Time);
        await AdmitAsync(secret);

        // It was not known either.
        for (var guess = 1; guess < AttemptAdmission.LookupsASecond; guess++)
            (await StatusAsync(AttemptSecret.Make())).ShouldBe(StatusCode.Unauthenticated);
        await TestDatabase.ExecuteAsync(cluster, "alter table attempts rename to attempts_away");
        for (var guess = 0; guess < 1000; guess++)
            (await StatusAsync(AttemptSecret.Make())).ShouldBe(StatusCode.Unavailable);
        // What is no secret by its form is refused as what it is.
        (await StatusAsync("guess")).ShouldBe(StatusCode.Unauthenticated);
        await TestDatabase.ExecuteAsync(cluster, "alter table attempts_away rename to attempts");

        (await AdmitAsync(secret)).Job.ShouldBe(job);
        cluster.Time.Advance(TimeSpan.FromSeconds(1));
        (await StatusAsync(AttemptSecret.Make())).ShouldBe(StatusCode.Unauthenticated);

        Task<AttemptCredential> AdmitAsync(string presented) => admission.AdmitAsync(new HeaderDictionary
        {
            [CallMetadata.Job] = $"{job}",
            [CallMetadata.Attempt] = $"{attempt}",
            [CallMetadata.Rank] = "0",
        }, presented, TestContext.Current.CancellationToken);

        async Task<StatusCode> StatusAsync(string presented) =>
            (await Should.ThrowAsync<RpcException>(() => AdmitAsync(presented))).StatusCode;
    }
}
