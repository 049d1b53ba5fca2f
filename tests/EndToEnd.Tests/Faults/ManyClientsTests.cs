using Cluster.Contracts.V1;

namespace Cluster.EndToEnd.Tests.Faults;

/// <summary>Very many jobs at once, from very many who submit.</summary>
[Collection(typeof(FaultTests))]
public sealed class ManyClientsTests(ThreeSchedulers schedulers)
{
    private const int Clients = 50;
    private const int JobsAClient = 20;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    [Trait("Round", "full")]
    public async Task AThousandJobs_FromFiftyClientsAtOnce_AreStoredOnceEach_AndEndAsTheirOwnersWish_WhileAJobTrains()
    {
        var before = await Invariants.EpochsAsync(schedulers.Cluster, Cancelled);
        var job = await schedulers.StartAsync("beside-a-thousand", devices: 2);
        var all = await Task.WhenAll(Enumerable.Range(0, Clients).Select(SubmitAsync));

        await Invariants.KnowsAsync(schedulers.Cluster, [.. all.SelectMany(ids => ids)], "many-", Cancelled);
        await Task.WhenAll(all.Select(CancelAsync));

        (await schedulers.Cluster.QueryAsync("select distinct state from jobs where name like 'many-%'", Cancelled))
            .ShouldBe(["Cancelled"]);
        (await schedulers.EndsUndisturbedAsync(job)).Attempt.ShouldBe(1);
        (await Invariants.EpochsAsync(schedulers.Cluster, Cancelled)).ShouldBe(before, "no node is lost");
    }

    /// <summary>Every other one twice, as by a client that did not hear the answer.</summary>
    private async Task<IReadOnlyList<string>> SubmitAsync(int client)
    {
        using var own = schedulers.NewClient(client);
        var ids = new List<string>();
        for (var i = 0; i < JobsAClient; i++)
        {
            // Nobody has such a node: they wait.
            var request = new SubmitJobRequest
            {
                RequestId = Guid.NewGuid().ToString(),
                Yaml = DisturbedJob.Yaml($"many-{client}-{i}", epochs: 1, only: "nowhere"),
                WaitForCapacity = true,
            };
            var submits = await Task.WhenAll(Enumerable.Range(0, 1 + (i % 2)).Select(_ => PatientClient.AskAsync(
                async options => await own.Jobs.SubmitJobAsync(request, options), Cancelled)));
            ids.Add(submits.Select(submit => submit.Job.Id).Distinct().ShouldHaveSingleItem());
        }

        return ids;
    }

    private async Task CancelAsync(IReadOnlyList<string> ids, int client)
    {
        using var own = schedulers.NewClient(client);
        foreach (var id in ids)
        {
            await PatientClient.AskAsync(
                async options => await own.Jobs.CancelJobAsync(new CancelJobRequest { JobId = id }, options), Cancelled);
        }
    }
}
