using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Worker.Data;
using Cluster.Worker.Data.Indexing;
using Cluster.Worker.Training;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace Cluster.Worker.Tests.Training;

/// <summary>A node that takes long before its ranks can join the others.</summary>
public sealed class SlowStartTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task ListingOfData_SaysHowFarItIs_WhileItGetsFurther()
    {
        using var cluster = new InMemoryCluster(worldSize: 2);
        var time = new FakeTimeProvider();
        var launch = new TrainerLaunch
        {
            JobId = JobId.New().ToString(),
            Spec = TestRuns.AJob(),
            WorldSize = 2,
            LocalWorldSize = 1,
            Rank = 1,
        };
        using var stop = new TrainerStop(time);
        await using var context = new TrainerContext(launch, cluster.Link(1), stop, NullLoggerFactory.Instance, time);

        var listed = ListedData.Read(context, new DataIndexOptions(), (notes, _) =>
        {
            Said(5).ShouldBe((1, "reading synthetic: 5 entries so far"));
            time.Advance(TimeSpan.FromMinutes(1)); // and nothing new
            Said(2).ShouldBe((1, "reading synthetic: 7 entries so far"));
            return DataSetReader.Read(launch.Spec.Data, "/nonexistent", notes);

            (int Rank, string Preparing) Said(int more)
            {
                notes.See(more);
                var said = cluster.Preparations.Reader.ReadAsync(Cancelled).AsTask();
                while (!said.IsCompleted)
                    time.Advance(TimeSpan.FromSeconds(1)); // the timer may not be waiting yet
                return said.Result;
            }
        }, Cancelled);

        listed.Fault.ShouldBeNull();
        listed.Data!.Train.Count.ShouldBe(6_000);
        listed.Fingerprint.ShouldNotBeNull();
    }

    /// <summary>However long it takes: peers wait for it at a rendezvous, which has no deadline, before an exchange, which has.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task RankThatReadsWeightsForLong_SaysHowFarItIs_AndIsMetBeforeTheFirstExchange(bool resumed)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        limit.CancelAfter(TimeSpan.FromMinutes(2));
        using var trained = new InMemoryCluster(worldSize: 1);
        var spec = TestRuns.AJob(job => (job.Hyperparameters.MaxSteps, job.Checkpoints.EverySteps) = (2, 1));
        await TestRuns.RunAsync(trained, spec);
        using var cluster = new InMemoryCluster(worldSize: 2, inherited: trained);
        var time = new FakeTimeProvider();
        var said = new List<(int Rank, string Preparing)>();
        cluster.OnChunkRead = async rank =>
        {
            if (rank == 0 || said.Count > 0)
                return;
            await cluster.ArrivalAsync("weights", rank: 0).WaitAsync(limit.Token);
            var next = cluster.Preparations.Reader.ReadAsync(limit.Token).AsTask();
            while (!next.IsCompleted)
                time.Advance(TimeSpan.FromSeconds(1)); // the timer may not be waiting yet
            said.Add(await next);
        };
        if (!resumed)
            spec.InitFrom = new InitFrom { Checkpoint = trained.CheckpointIds[1] };

        var outcomes = await TestRuns.RunAsync(
            cluster, spec, worldSize: 2, resumeFrom: resumed ? trained.CheckpointIds[1] : "", time: time);

        outcomes.ShouldAllBe(outcome => outcome == TrainerOutcome.Done);
        var (rank, preparing) = said.ShouldHaveSingleItem();
        rank.ShouldBe(1);
        preparing.ShouldMatch(@"^reading weights: \d+\.\d MB so far$");
    }

    [Fact]
    public async Task RankThatWaits_TellsForWhom()
    {
        using var cluster = new InMemoryCluster(worldSize: 2);
        cluster.EarlyAnswers.Enqueue(new RendezvousResponse
        {
            Missing = { new MissingRank { Rank = 1, NodeName = "node-b", Preparing = "reading photos: 7 entries so far" } },
        });
        using var logs = new CollectedLogs();

        var outcomes = await TestRuns.RunAsync(cluster, TestRuns.AJob(job => job.Hyperparameters.MaxSteps = 1), worldSize: 2, logs: logs);

        outcomes.ShouldAllBe(outcome => outcome == TrainerOutcome.Done);
        logs.All.ShouldContain(
            line => line.Contains("Waiting for rank 1 on node-b, which is reading photos: 7 entries so far", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(1, "rank 0 on a, which has said nothing yet")]
    [InlineData(4, "rank 0 on a, which has said nothing yet; rank 1 on a, which has said nothing yet; "
        + "rank 2 on a, which has said nothing yet; and 1 more rank")]
    [InlineData(9, "rank 0 on a, which has said nothing yet; rank 1 on a, which has said nothing yet; "
        + "rank 2 on a, which has said nothing yet; and 6 more ranks")]
    public void Missing_IsDescribedInALine(int ranks, string expected) =>
        TrainingGroup.Describe([.. Enumerable.Range(0, ranks).Select(rank => new MissingRank { Rank = rank, NodeName = "a" })])
            .ShouldBe(expected);
}
