using Cluster.Worker.Collectives;
using Cluster.Worker.Collectives.SharedMemory;

namespace Cluster.Worker.Tests.Collectives;

/// <summary>Values that lie in shared memory from the start are summed there.</summary>
public sealed class SharedBufferTests
{
    private const int Elements = 100_003;

    [Theory]
    [InlineData("aa")]
    [InlineData("aaa")]
    [InlineData("aaaa")]
    public void AllReduce_WithinASharedBuffer_SumsEveryPieceExactly(string placement)
    {
        using var ranks = new Ranks(placement);
        ranks.Run(group =>
        {
            using var mine = new Mapped(group, Elements * sizeof(float));
            var values = mine.Span<float>();
            for (var i = 0; i < Elements; i++)
                values[i] = (group.Rank + 1) * (i % 1000);

            // Pieces of unequal length that together are the whole, as gradient buckets are.
            (int Start, int Count)[] pieces = [(0, 1), (1, 50_000), (50_001, 2), (50_003, 50_000)];
            Task.WaitAll([
                .. pieces.Select(p => group.AllReduceAsync<float>(mine.Address + (p.Start * sizeof(float)), p.Count, $"piece/{p.Start}"))]);

            var ofRanks = group.WorldSize * (group.WorldSize + 1) / 2;
            for (var i = 0; i < Elements; i++)
            {
                if (values[i] != ofRanks * (i % 1000))
                    Assert.Fail($"element {i} is {values[i]}");
            }
        });
    }

    [Fact]
    public void AllReduce_OutsideTheBuffer_LeavesTheBufferAlone()
    {
        using var ranks = new Ranks("aa");
        ranks.Run(group =>
        {
            using var mine = new Mapped(group, 4096);
            mine.Span<float>().Fill(5);
            var values = new float[] { group.Rank + 1 };
            group.AllReduce(values.AsSpan(), "elsewhere");
            values[0].ShouldBe(3);
            mine.Span<float>().ToArray().ShouldAllBe(v => v == 5);
        });
    }

    [Fact]
    public void AllReduce_WhenOneRankHasItsValuesElsewhere_SaysThatItIsOutOfStep()
    {
        using var ranks = new Ranks("aa");
        var failures = ranks.RunToFailure(group =>
        {
            using var mine = new Mapped(group, 4096);
            if (group.Rank == 1)
                group.AllReduce<float>(new float[8], "sum");
            else
                group.AllReduce(mine.Span<float>()[..8], "sum");
        });
        failures[0].ShouldBeOfType<CollectiveException>().Fault.ShouldBe(CollectiveFault.OutOfStep);
    }

    [Theory]
    [InlineData("a")]
    [InlineData("ab")]
    [InlineData("aab")]
    public void ReserveSharedBuffer_WhereRanksDoNotAllShareANode_GivesNone(string placement)
    {
        using var ranks = new Ranks(placement);
        ranks.Run(group => group.ReserveSharedBufferAsync("gradients", 100, TestContext.Current.CancellationToken).GetAwaiter().GetResult())
            .ShouldAllBe(buffer => buffer == null);
    }

    /// <summary>A second mapping of the rank's part, as libtorch makes one of its own.</summary>
    private sealed unsafe class Mapped : IDisposable
    {
        private readonly MappedFile file;
        private readonly SharedBuffer buffer;

        public Mapped(ICollectiveGroup group, long bytes)
        {
            buffer = group.ReserveSharedBufferAsync("gradients", bytes, TestContext.Current.CancellationToken).GetAwaiter().GetResult()!;
            file = new MappedFile(buffer.Path, buffer.Offset + buffer.Bytes);
            buffer.Address = Address;
        }

        public nint Address => (nint)(file.Start + buffer.Offset);

        public Span<T> Span<T>()
            where T : unmanaged => new((void*)Address, (int)(buffer.Bytes / sizeof(T)));

        public void Dispose() => file.Dispose();
    }
}
