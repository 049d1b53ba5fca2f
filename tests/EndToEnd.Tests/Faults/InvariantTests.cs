namespace Cluster.EndToEnd.Tests.Faults;

/// <summary>That the checkers of the faults' tests would find what they look for.</summary>
public sealed class InvariantTests(LocalCluster cluster)
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task WhatContradictsASentence_IsFound_AndNothingElse()
    {
        // Two, for each device to be granted twice; then the database is tampered with, for a moment each time.
        for (var i = 0; i < 2; i++)
        {
            var job = await cluster.SubmitAsync(DisturbedJob.Yaml($"tampered-{i}", epochs: 1, devices: 2), Cancelled);
            await cluster.WaitForSuccessAsync(job.Id, Cancelled);
        }

        await Invariants.HoldAsync(cluster, "before anything is tampered with", Cancelled);
        const string withoutKeys = "set local session_replication_role = replica";
        foreach (var invariant in Invariants.All)
        {
            (await cluster.QueryAsync($"begin; {withoutKeys}; {invariant.Example}; {invariant.Contradictions}; rollback", Cancelled))
                .ShouldNotBeEmpty(invariant.Sentence);
        }

        (await Invariants.TornCheckpointsAsync(cluster, $"{withoutKeys}; delete from checkpoint_chunk_refs", Cancelled)).ShouldNotBeEmpty();
    }
}
