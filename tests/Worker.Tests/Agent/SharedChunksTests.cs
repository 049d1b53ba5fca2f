using System.Security.Cryptography;
using Cluster.Contracts.V1;
using Cluster.Worker.Agent;
using Cluster.Worker.Training;
using Google.Protobuf;
using Grpc.Core;
using static Cluster.Worker.Tests.Agent.RunningAgent;

namespace Cluster.Worker.Tests.Agent;

/// <summary>A checkpoint that several ranks of a node go on from.</summary>
public sealed class SharedChunksTests : AgentTest
{
    private readonly List<byte[]> _checkpoint = [.. Enumerable.Range(0, 12).Select(_ => RandomNumberGenerator.GetBytes(1 << 16))];

    private IReadOnlyList<ByteString> Hashes => [.. _checkpoint.Select(chunk => ByteString.CopyFrom(SHA256.HashData(chunk)))];

    [Fact]
    public async Task EightRanksOnTwoNodes_ReadACheckpointFromTheStoreTwice()
    {
        Store();
        await using var a = await StartAsync(Scheduler, Waiting, End, "--Agent:CpuSlots=4");
        await using var b = await StartAsync(Scheduler, Waiting, End, "--Agent:CpuSlots=4");
        var launch = ALaunch(ranks: 4);
        await a.LaunchAsync(launch, End);
        await b.LaunchAsync(launch, End);

        var read = await Task.WhenAll(
            new[] { a, b }.SelectMany(agent => Enumerable.Range(0, 4).Select(rank => ReadAsync(agent, launch, rank))));

        read.ShouldAllBe(chunks => chunks.Zip(_checkpoint).All(pair => pair.First.SequenceEqual(pair.Second)));
        Scheduler.ChunksOut.Count.ShouldBe(_checkpoint.Count);
        Scheduler.ChunksOut.Values.ShouldAllBe(times => times == 2);
    }

    [Fact]
    public async Task Files_AreGoneOnceAllRanksTrain_AndTheAttemptsEndLeavesNone()
    {
        Store();
        await using var agent = await StartAsync(Scheduler, Waiting, End);
        var launch = ALaunch(ranks: 2);
        await agent.LaunchAsync(launch, End);
        await ReadAsync(agent, launch, 0);
        Files(agent).Count().ShouldBe(_checkpoint.Count);

        await StartedAsync(agent, launch, 0);
        await StartedAsync(agent, launch, 0); // told again: still one of two
        Files(agent).Count().ShouldBe(_checkpoint.Count);
        await StartedAsync(agent, launch, 1);
        Files(agent).ShouldBeEmpty();

        (await ReadAsync(agent, launch, 1)).Count.ShouldBe(_checkpoint.Count); // late, for itself
        Files(agent).ShouldBeEmpty();
    }

    [Fact]
    public async Task FilesThatCannotBeWritten_LetEveryRankReadForItself()
    {
        Store();
        await using var agent = await StartAsync(Scheduler, Waiting, End);
        await File.WriteAllTextAsync(Path.Combine(agent.StateFolder, "chunks"), "", End);
        var launch = ALaunch(ranks: 2);
        await agent.LaunchAsync(launch, End);

        foreach (var rank in (int[])[0, 1])
            (await ReadAsync(agent, launch, rank)).Zip(_checkpoint).ShouldAllBe(pair => pair.First.SequenceEqual(pair.Second));
        Scheduler.ChunksOut.Values.ShouldAllBe(times => times == 2);
    }

    [Fact]
    public async Task FetchThatFails_IsMadeAgainByTheRankThatWaitsForIt()
    {
        var folder = Path.Combine(Path.GetTempPath(), Guid.NewGuid().ToString("N"));
        using var shared = new SharedChunks(folder);
        var chunk = ByteString.CopyFromUtf8("a");
        var failing = new TaskCompletionSource<ByteString>();

        var first = shared.GetAsync(chunk, () => failing.Task, End);
        var second = shared.GetAsync(chunk, () => Task.FromResult(chunk), End);
        var impatient = shared.GetAsync(
            chunk, () => throw new InvalidOperationException("it was to wait"), new CancellationToken(canceled: true));
        await Should.ThrowAsync<OperationCanceledException>(() => impatient);
        second.IsCompleted.ShouldBeFalse();
        failing.SetException(new RpcException(new Status(StatusCode.Cancelled, "the rank has died")));

        await Should.ThrowAsync<RpcException>(() => first);
        (await second).ShouldBe(chunk);
        (await shared.GetAsync(chunk, () => throw new InvalidOperationException("it is there"), End)).ShouldBe(chunk);
    }

    private static IEnumerable<string> Files(RunningAgent agent) =>
        Directory.Exists(Path.Combine(agent.StateFolder, "chunks"))
            ? Directory.EnumerateFiles(Path.Combine(agent.StateFolder, "chunks"), "*", SearchOption.AllDirectories)
            : [];

    private void Store()
    {
        foreach (var (hash, chunk) in Hashes.Zip(_checkpoint))
            Scheduler.Chunks[hash] = ByteString.CopyFrom(chunk);
    }

    private async Task<List<byte[]>> ReadAsync(RunningAgent agent, LaunchRequest launch, int rank)
    {
        using var link = agent.LinkOf(launch, rank);
        var chunks = new List<byte[]>();
        await foreach (var chunk in link.GetChunksAsync("checkpoint", Hashes, End))
            chunks.Add(chunk.ToArray());
        return chunks;
    }

    private async Task StartedAsync(RunningAgent agent, LaunchRequest launch, int rank)
    {
        using var link = agent.LinkOf(launch, rank);
        await link.ReportAsync(new ReportRequest { Sequence = 1, Started = true }, End);
    }
}
