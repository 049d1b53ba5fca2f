using System.Security.Cryptography;
using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Worker.Training;
using Google.Protobuf;
using Grpc.Core;
using static Cluster.Worker.Tests.Agent.RunningAgent;

namespace Cluster.Worker.Tests.Agent;

public sealed class RelayTests : AgentTest
{
    [Fact]
    public async Task Report_ReachesTheSchedulerWithTheAttemptsMetadata()
    {
        await using var agent = await StartAsync(Scheduler, Waiting, End);
        var launch = ALaunch(attempt: 3);
        await agent.LaunchAsync(launch, End);
        using var link = agent.LinkOf(launch);
        await link.ReportAsync(new ReportRequest { Sequence = 1, Started = true }, End);
        (await Scheduler.Reports.Reader.ReadAsync(End)).Started.ShouldBeTrue();

        var headers = Scheduler.LastRankHeaders!;
        headers.GetValue(CallMetadata.Job).ShouldBe(launch.JobId);
        headers.GetValue(CallMetadata.Attempt).ShouldBe("3");
        headers.GetValue(CallMetadata.Rank).ShouldBe("0");
        headers.GetValue(CallMetadata.Authorization).ShouldBe("Bearer attempt-secret");
    }

    [Fact]
    public async Task Reports_OfAnOutage_AreTakenAtOnceAndArriveInOrderBeforeTheExit()
    {
        await using var agent = await StartAsync(Scheduler, Waiting, End);
        var launch = ALaunch();
        await agent.LaunchAsync(launch, End);
        using var link = agent.LinkOf(launch);
        await Scheduler.GoAwayAsync();
        for (var sequence = 1; sequence <= 20; sequence++)
            await link.ReportAsync(new ReportRequest { Sequence = sequence }, End);
        await agent.StopAsync(launch, TimeSpan.Zero, "over", End);
        await Scheduler.ComeBackAsync(End);
        await Scheduler.Exits.Reader.ReadAsync(End);

        var arrived = new List<long>();
        while (Scheduler.Reports.Reader.TryRead(out var report))
            arrived.Add(report.Sequence);
        // A report may come twice when its answer was lost with the connection: the scheduler knows it by its number.
        arrived.Distinct().ShouldBe(Enumerable.Range(1, 20).Select(i => (long)i));
        arrived.ShouldBe(arrived.Order());
        Scheduler.Order.Last().ShouldBe("exit");
    }

    /// <summary>Whoever goes on from the checkpoint does not make its steps again: their figures would be missing for ever.</summary>
    [Fact]
    public async Task Checkpoint_IsCommittedAfterWhatWasReportedBefore_HoweverLongThatTakes()
    {
        await using var agent = await StartAsync(Scheduler, Waiting, End);
        var launch = ALaunch();
        await agent.LaunchAsync(launch, End);
        using var link = agent.LinkOf(launch);
        var tries = 0;
        Scheduler.OnReport = _ =>
        {
            if (Interlocked.Increment(ref tries) <= 3)
                throw new RpcException(new Status(StatusCode.Unavailable, "the connection broke"));
        };
        await link.ReportAsync(new ReportRequest { Sequence = 1 }, End);
        await link.ReportAsync(new ReportRequest { Sequence = 2 }, End);

        await link.CommitCheckpointAsync(new CheckpointManifest { Step = 1 }, parts: 1, End);

        Scheduler.Order.Where(told => told is "report" or "checkpoint").ShouldBe(["report", "report", "checkpoint"]);
    }

    [Fact]
    public async Task Report_AnsweredWithAborted_EndsTheTrainerAndTellsItThatItIsStale()
    {
        await using var agent = await StartAsync(Scheduler, Waiting, End);
        Scheduler.OnReport = _ => throw new RpcException(new Status(StatusCode.Aborted, "attempt 2 is current"));
        var launch = ALaunch();
        await agent.LaunchAsync(launch, End);
        using var link = agent.LinkOf(launch);
        await link.ReportAsync(new ReportRequest { Sequence = 1 }, End);
        var exit = await Scheduler.Exits.Reader.ReadAsync(End);

        exit.Signal.ShouldBe(9);
        exit.Message.ShouldContain("attempt 2 is current");
        await Should.ThrowAsync<StaleAttemptException>(() => link.ReportAsync(new ReportRequest { Sequence = 2 }, End));
    }

    [Fact]
    public async Task Outage_LongerThanItsLimit_EndsTheTrainer()
    {
        await using var agent = await StartAsync(Scheduler, Waiting, End, "--Agent:OutageLimit=00:00:01");
        var launch = ALaunch();
        await agent.LaunchAsync(launch, End);
        using var link = agent.LinkOf(launch);
        var detached = await link.AttachAsync(new TrainerStop(TimeProvider.System), End);
        await Scheduler.GoAwayAsync();
        await link.ReportAsync(new ReportRequest { Sequence = 1 }, End);

        await detached.WaitAsync(End);
        await Scheduler.ComeBackAsync(End);
        (await Scheduler.Exits.Reader.ReadAsync(End)).Message.ShouldContain("Agent:OutageLimit");
    }

    [Theory]
    [InlineData("another-secret", 0)]
    [InlineData("attempt-secret", 5)]
    public async Task Calls_WithAnotherSecretOrRank_AreUnauthenticated(string secret, int rank)
    {
        await using var agent = await StartAsync(Scheduler, Waiting, End);
        var launch = ALaunch();
        await agent.LaunchAsync(launch, End);
        using var link = agent.LinkOf(launch, rank, secret);

        (await Should.ThrowAsync<RpcException>(() => link.ReportAsync(new ReportRequest(), End)))
            .StatusCode.ShouldBe(StatusCode.Unauthenticated);
        (await Should.ThrowAsync<RpcException>(() => link.RendezvousAsync("a", "b", End))).StatusCode.ShouldBe(StatusCode.Unauthenticated);
        (await Should.ThrowAsync<RpcException>(() => link.AttachAsync(new TrainerStop(TimeProvider.System), End)))
            .StatusCode.ShouldBe(StatusCode.Unauthenticated);
    }

    [Fact]
    public async Task TheNetwork_CannotReachWhatIsForTrainers_NorTrainersTheAgentsOrders()
    {
        await using var agent = await StartAsync(Scheduler, Waiting, End);
        var launch = ALaunch();
        await agent.LaunchAsync(launch, End);
        using var channel = global::Grpc.Net.Client.GrpcChannel.ForAddress(agent.Registration.AgentAddress);
        var headers = new Metadata
        {
            { CallMetadata.Job, launch.JobId }, { CallMetadata.Attempt, "1" }, { CallMetadata.Rank, "0" },
            { CallMetadata.Authorization, "Bearer attempt-secret" },
        };

        var refusal = await Should.ThrowAsync<RpcException>(async () =>
            await new AttemptService.AttemptServiceClient(channel).ReportAsync(
                new ReportRequest(), new CallOptions(headers, cancellationToken: End)));

        refusal.StatusCode.ShouldBe(StatusCode.Unimplemented);
        File.GetUnixFileMode(agent.Socket).ShouldBe(UnixFileMode.UserRead | UnixFileMode.UserWrite);
        File.GetUnixFileMode(Path.GetDirectoryName(agent.Socket)!)
            .ShouldBe(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    [Fact]
    public async Task Chunks_WhoseCallsFailHalfWay_AllArriveAndComeBackInOrder()
    {
        await using var agent = await StartAsync(Scheduler, Waiting, End);
        var launch = ALaunch();
        await agent.LaunchAsync(launch, End);
        using var link = agent.LinkOf(launch);
        var sent = Enumerable.Range(0, 20).Select(i => RandomNumberGenerator.GetBytes(1 << 20)).ToList();
        var failure = new OneFailure();
        Scheduler.OnChunk = stored => failure.At(stored == 11);

        await link.PutChunksAsync(
            sent.Select(
                data => new PutChunksRequest { Sha256 = ByteString.CopyFrom(SHA256.HashData(data)), Data = ByteString.CopyFrom(data) })
                .ToAsyncEnumerable(), End);

        failure.Happened.ShouldBeTrue();
        Scheduler.Chunks.Count.ShouldBe(20);

        failure = new OneFailure();
        Scheduler.OnChunkOut = index => failure.At(index == 7);
        var received = new List<byte[]>();
        await foreach (var chunk in link.GetChunksAsync(
            "checkpoint", [.. sent.Select(data => ByteString.CopyFrom(SHA256.HashData(data)))], End))
            received.Add(chunk.ToArray());

        failure.Happened.ShouldBeTrue();
        received.Count.ShouldBe(20);
        received.Zip(sent).ShouldAllBe(pair => pair.First.SequenceEqual(pair.Second));
    }

    /// <summary>Seen with HttpClient of .NET 10: one in a hundred of such writes never completes, and heeds no cancellation.</summary>
    [Fact]
    public async Task Uploads_AnsweredBeforeTheyAreRead_AllEnd()
    {
        const int uploads = 300;
        var data = ByteString.CopyFrom(new byte[1 << 20]);
        var chunks = Enumerable.Range(0, 8)
            .Select(_ => new PutChunksRequest { Sha256 = ByteString.CopyFrom(SHA256.HashData(data.Span)), Data = data }).ToList();
        Scheduler.OnChunk = stored => throw new RpcException(new Status(StatusCode.Unavailable, "the connection broke"));
        for (var i = 0; i < uploads; i++)
        {
            using var channel = global::Grpc.Net.Client.GrpcChannel.ForAddress($"http://127.0.0.1:{Scheduler.Port}");
            using var call = new AttemptService.AttemptServiceClient(channel).PutChunks(cancellationToken: End);

            (await Should.ThrowAsync<RpcException>(() => call.SendAsync(chunks.ToAsyncEnumerable(), End).WaitAsync(End))).StatusCode
                .ShouldBe(StatusCode.Unavailable);
        }
    }

    [Fact]
    public async Task Rendezvous_OfASchedulerThatIsAway_IsAnsweredWhenItIsBack()
    {
        await using var agent = await StartAsync(Scheduler, Waiting, End);
        var launch = ALaunch();
        await agent.LaunchAsync(launch, End);
        using var link = agent.LinkOf(launch);
        await Scheduler.GoAwayAsync();
        var meeting = link.RendezvousAsync("collectives", "127.0.0.1:4711", End);
        await Scheduler.ComeBackAsync(End);

        (await meeting).Endpoints.Single().Address.ShouldBe("127.0.0.1:4711");
    }

    private sealed class OneFailure
    {
        public bool Happened { get; private set; }

        public void At(bool here)
        {
            if (!here || Happened)
                return;
            Happened = true;
            throw new RpcException(new Status(StatusCode.Unavailable, "the connection broke"));
        }
    }
}
