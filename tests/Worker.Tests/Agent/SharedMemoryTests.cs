using Cluster.Worker.Agent;
using Cluster.Worker.Devices;
using static Cluster.Worker.Tests.Agent.RunningAgent;

namespace Cluster.Worker.Tests.Agent;

public sealed class SharedMemoryTests : AgentTest
{
    [Fact]
    public async Task Segment_IsOneForAllRanksPrivateZeroedAndGoneWithTheAttempt()
    {
        const int bytes = 1 << 20;
        const string segment = "only-this-test";
        await using var agent = await StartAsync(Scheduler, Waiting, End);
        var launch = ALaunch(ranks: 2);
        await agent.LaunchAsync(launch, End);
        using var link0 = agent.LinkOf(launch);
        using var link1 = agent.LinkOf(launch, rank: 1);
        var path0 = await link0.ReserveSharedMemoryAsync(segment, bytes, End);
        var path1 = await link1.ReserveSharedMemoryAsync(segment, bytes, End);

        using (var file = File.Open(path0, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite))
        {
            file.Length.ShouldBe(bytes);
            File.GetUnixFileMode(file.SafeFileHandle).ShouldBe(UnixFileMode.UserRead | UnixFileMode.UserWrite);
            file.WriteByte(42);
        }

        new FileInfo(path0).LinkTarget.ShouldNotBeNull().ShouldContain(segment);

        (await File.ReadAllBytesAsync(path1, End)).ShouldBe([42, .. new byte[bytes - 1]]);
        await agent.StopAsync(launch, TimeSpan.Zero, "over", End);
        await Scheduler.Exits.Reader.ReadAsync(End);
        await Scheduler.Exits.Reader.ReadAsync(End);
        // The descriptor's number may be another file's by then.
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        while (new FileInfo(path0).LinkTarget?.Contains(segment, StringComparison.Ordinal) == true)
            await timer.WaitForNextTickAsync(End);
    }

    [Fact]
    public async Task Segment_OfMoreThanThereIs_NamesBothSizes()
    {
        await using var agent = await StartAsync(Scheduler, Waiting, End);
        var launch = ALaunch();
        await agent.LaunchAsync(launch, End);
        using var link = agent.LinkOf(launch);

        var refusal = await Should.ThrowAsync<IOException>(() => link.ReserveSharedMemoryAsync("gradients", 1L << 60, End));

        refusal.Message.ShouldMatch($"^shared memory 'gradients' needs {1L << 60} bytes and the node has [0-9]+ available; ");
    }

    /// <summary>Found by fuzzing: the refusal had the name in it, and was more than the headers that clients take.</summary>
    [Fact]
    public void Segment_OfAHugeName_IsRefusedInAFewWords()
    {
        using var segments = new SharedMemorySegments(new MachineMemory());

        var refusal = Should.Throw<SharedMemoryException>(() => segments.Reserve(new string('b', 70_000), 4096));

        refusal.Message.ShouldBe("the name of shared memory has 70000 bytes in UTF-8; give 200 at most");
        refusal.IsForWantOfMemory.ShouldBeFalse();
    }

    [Fact]
    public void Segment_AskedForWithTwoSizes_IsRefused()
    {
        using var segments = new SharedMemorySegments(new MachineMemory());
        segments.Reserve("a", 4096);

        Should.Throw<SharedMemoryException>(() => segments.Reserve("a", 8192))
            .Message.ShouldBe("shared memory 'a' has 4096 bytes and was now asked for with 8192; all ranks must ask for the same");
        Should.Throw<SharedMemoryException>(() => segments.Reserve("b", 0)).IsForWantOfMemory.ShouldBeFalse();
    }
}
