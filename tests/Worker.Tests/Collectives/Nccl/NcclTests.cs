using System.Diagnostics;
using Cluster.Worker.Collectives;
using Cluster.Worker.Parallel;
using Cluster.Worker.Tests.Parallel;
using TorchSharp;

namespace Cluster.Worker.Tests.Collectives.Nccl;

/// <summary>
/// Exchanges between GPUs, which a stand-in for CUDA and NCCL plays in the CPU's memory: it checks every call, but is neither of them.
/// </summary>
public sealed class NcclTests
{
    private const int RemoteError = 6; // ncclResult_t

    public NcclTests()
    {
        Assert.SkipUnless(StandIn.CanBeBuilt, "g++ is missing");
        StandIn.TakeLog();
    }

    [Theory]
    [InlineData("a")]
    [InlineData("aa")]
    [InlineData("aab")]
    [InlineData("abc")]
    public void Sums_OfEveryTypeAndOperator_AreRight(string placement)
    {
        using var ranks = OneCardEach(placement);
        ranks.Run(group =>
        {
            group.Transport.ShouldStartWith("nccl+");
            AllReduce(group, x => (float)x);
            AllReduce(group, x => (double)x);
            AllReduce(group, x => (BFloat16)(float)x);
            AllReduce(group, x => (Half)x);
            AllReduce(group, x => (long)x);
        });
        var types = StandIn.TakeLog().Where(line => line.Contains("ncclAllReduce", StringComparison.Ordinal))
            .Select(line => line[line.IndexOf("type", StringComparison.Ordinal)..]).Distinct();
        // nccl.h's
        types.ShouldBe(from type in (int[])[7, 8, 9, 6, 4] from op in (int[])[0, 4, 3, 2] select $"type {type} op {op}", ignoreOrder: true);
    }

    [Theory]
    [InlineData("a")]
    [InlineData("aa")]
    [InlineData("aba")]
    public void OtherExchanges_AreRight_OnGpusAndInTheCpusMemoryAtOnce(string placement)
    {
        using var ranks = OneCardEach(placement);
        ranks.Run(group =>
        {
            var world = group.WorldSize;
            using var mine = new DeviceValues<float>(group.Rank, group.Rank + 100);
            using var all = new DeviceValues<float>(new float[2 * world]);
            group.AllGather<float>(mine.Span, all.Span, "gather");
            all.Span.ToArray().ShouldBe(Enumerable.Range(0, world).SelectMany(r => (float[])[r, r + 100]));

            using var part = new DeviceValues<float>(0, 0);
            group.ReduceScatter<float>(all.Span, part.Span, "scatter");
            part.Span.ToArray().ShouldBe([world * group.Rank, world * (group.Rank + 100)]);

            group.Broadcast(mine.Span, world - 1, "broadcast");
            mine.Span.ToArray().ShouldBe([world - 1, world + 99]);

            Span<double> host = [group.Rank];
            group.AllReduce(host, "host");
            host[0].ShouldBe(world * (world - 1) / 2.0);
            group.Barrier("barrier");
        });
        StandIn.TakeLog().Count(line => line.Contains("AllReduce", StringComparison.Ordinal)).ShouldBe(0);
    }

    [Fact]
    public void Messages_GoBothWaysAtOnce()
    {
        using var ranks = OneCardEach("aba");
        ranks.Run(group =>
        {
            var (next, previous) = ((group.Rank + 1) % 3, (group.Rank + 2) % 3);
            for (var round = 0; round < 3; round++)
            {
                using var forth = new DeviceValues<int>(group.Rank, round);
                using var back = new DeviceValues<int>(-group.Rank, round);
                using var fromPrevious = new DeviceValues<int>(9, 9);
                using var fromNext = new DeviceValues<int>(9, 9);
                Task.WaitAll(
                    group.SendAsync<int>(forth.Address, 2, next, "forth"), group.SendAsync<int>(back.Address, 2, previous, "back"),
                    group.ReceiveAsync<int>(fromPrevious.Address, 2, previous, "forth"),
                    group.ReceiveAsync<int>(fromNext.Address, 2, next, "back"));
                fromPrevious.Span.ToArray().ShouldBe([previous, round]);
                fromNext.Span.ToArray().ShouldBe([-next, round]);
            }
        });
    }

    /// <summary>Gradients still being computed when they are handed over, and others handed over while those are under way.</summary>
    [Fact]
    public void AllReduceAsync_WaitsForTheComputeStreamNotForTheCaller_AndBeginsAtOnce()
    {
        using var ranks = OneCardEach("aa");
        using var begun = new Barrier(2);
        ranks.Run(group =>
        {
            using var first = new DeviceValues<float>(0, 0, 0);
            using var second = new DeviceValues<float>(0, 0, 0);
            StandIn.Fill(group.Rank, first.Address, 3, group.Rank + 1, milliseconds: 200);
            var sums = group.AllReduceAsync<float>(first.Address, 3, "gradients/0");
            StandIn.Fill(group.Rank, second.Address, 3, 10 * (group.Rank + 1), milliseconds: 0);
            var more = group.AllReduceAsync<float>(second.Address, 3, "gradients/1");
            sums.IsCompleted.ShouldBeFalse();
            begun.SignalAndWait(TestContext.Current.CancellationToken);
            if (group.Rank == 0)
                // all four are with NCCL, and none is done
                StandIn.TakeLog().Count(line => line.Contains("ncclAllReduce", StringComparison.Ordinal)).ShouldBe(4);
            Task.WaitAll(sums, more);
            first.Span.ToArray().ShouldBe([3, 3, 3]);
            second.Span.ToArray().ShouldBe([30, 30, 30]);
        });
    }

    [Fact]
    public void RanksOnOneCard_ExchangeThroughTheCpusMemory()
    {
        using var ranks = new Ranks("aa", StandIn.Options()) { CudaDevice = _ => 0 };
        ranks.Run(group =>
        {
            group.Transport.ShouldBe("staged+shared-memory");
            AllReduce(group, x => (float)x);
            using var mine = new DeviceValues<long>(group.Rank + 1);
            using var all = new DeviceValues<long>(0, 0);
            StandIn.Fill(0, all.Address, 2, 0, milliseconds: 50); // what comes back must come after it
            group.AllGather<long>(mine.Span, all.Span, "gather");
            all.Span.ToArray().ShouldBe([1, 2]);
            group.ReduceScatter<long>(all.Span, mine.Span, "scatter");
            mine.Span[0].ShouldBe(2 * (group.Rank + 1));
            group.Broadcast(mine.Span, root: 1, "broadcast");
            mine.Span[0].ShouldBe(4);
            Task.WaitAll(group.SendAsync<long>(all.Address, 2, 1 - group.Rank, "message"),
                group.ReceiveAsync<long>(all.Address, 2, 1 - group.Rank, "message"));
            Span<double> host = [1];
            group.AllReduce(host, "host");
            host[0].ShouldBe(2);
        });
        StandIn.TakeLog().ShouldBeEmpty();
    }

    [Fact]
    public void Axes_HaveCommunicatorsOfTheirOwn()
    {
        using var ranks = OneCardEach("aaab");
        ranks.Run(group =>
        {
            using var model = group.SplitAsync("model", group.Rank / 2, TestContext.Current.CancellationToken).GetAwaiter().GetResult();
            using var data = group.SplitAsync("data", group.Rank % 2, TestContext.Current.CancellationToken).GetAwaiter().GetResult();
            using var along = new DeviceValues<float>(group.Rank);
            using var across = new DeviceValues<float>(group.Rank);
            Task.WaitAll(model.AllReduceAsync<float>(along.Address, 1, "along"), data.AllReduceAsync<float>(across.Address, 1, "across"));
            along.Span[0].ShouldBe(group.Rank < 2 ? 1 : 5);
            across.Span[0].ShouldBe(group.Rank % 2 == 0 ? 2 : 4);
        });
    }

    [Theory]
    [InlineData("aa")]
    [InlineData("ab")]
    public void ARankThatDoesNotCome_IsNamedWithTheOperation_AndTheCommunicatorIsAborted(string placement)
    {
        using var ranks = new Ranks(placement, StandIn.Options(timeoutSeconds: 0.5)) { CudaDevice = rank => rank };
        using var over = new ManualResetEventSlim();
        var failures = ranks.RunToFailure(group =>
        {
            using var values = new DeviceValues<float>(1, 2);
            if (group.Rank == 1)
            {
                over.Wait(TestContext.Current.CancellationToken);
                return;
            }

            try
            {
                group.AllReduceAsync<float>(values.Address, 2, "gradients/3").GetAwaiter().GetResult();
            }
            finally
            {
                over.Set();
            }
        });
        var fault = failures[0].ShouldBeOfType<CollectiveException>();
        (fault.Fault, fault.Peer, fault.Operation).ShouldBe((CollectiveFault.PeerLate, 1, "gradients/3"));
        fault.Message.ShouldContain("an all-reduce of 8 bytes (sum of float32), operation 1");
        StandIn.TakeLog().ShouldContain("abort of rank 0");
    }

    [Theory]
    [InlineData("aa")]
    [InlineData("ab")]
    public void ARankThatLeaves_IsNamedLongBeforeTheDeadline(string placement)
    {
        using var ranks = OneCardEach(placement);
        var began = Stopwatch.GetTimestamp();
        var failures = ranks.RunToFailure(group =>
        {
            using var values = new DeviceValues<float>(1, 2);
            group.AllReduce(values.Span, "both");
            if (group.Rank == 0)
                group.AllReduce(values.Span, "alone");
        });
        var fault = failures[0].ShouldBeOfType<CollectiveException>();
        (fault.Fault, fault.Peer, fault.Operation).ShouldBe((CollectiveFault.PeerLost, 1, "alone"));
        Stopwatch.GetElapsedTime(began).ShouldBeLessThan(TimeSpan.FromSeconds(30)); // the deadline
    }

    [Fact]
    public void AnErrorThatNcclReports_EndsTheExchangeOfAllRanks()
    {
        using var ranks = OneCardEach("aa");
        var failures = ranks.RunToFailure(group =>
        {
            using var values = new DeviceValues<float>(1, 2);
            group.AllReduce(values.Span, "both");
            if (group.Rank == 1)
            {
                group.Barrier("after the fault");
                return;
            }

            StandIn.Fail(device: 0, RemoteError);
            group.AllReduce(values.Span, "failing");
        });
        var fault = failures[0].ShouldBeOfType<CollectiveException>();
        (fault.Fault, fault.Peer).ShouldBe((CollectiveFault.DeviceFailed, -1));
        fault.Message.ShouldContain("'remote process exited or there was a network error' (ncclResult_t 6) in 'failing'");
        var told = failures[1].ShouldBeOfType<CollectiveException>();
        (told.Fault, told.Peer).ShouldBe((CollectiveFault.Aborted, 0));
    }

    [Theory]
    [InlineData(true, "cannot exchange values on its GPU: /nowhere/libcuda.so.1 is not on this machine; "
        + "install NVIDIA's driver, or set Collectives__CudaLibrary to the file")]
    [InlineData(
        false, "cannot exchange values on its GPU: /nowhere/libnccl.so.2 is not on this machine; install NCCL 2.14 or later (libnccl2), "
            + "or set Collectives__NcclLibrary to the file")]
    public void Join_WhereARankLacksALibrary_IsRefusedOnAllWithItsName(bool driver, string reason)
    {
        var complete = StandIn.Options();
        var lacking = StandIn.Options();
        if (driver)
            lacking.CudaLibrary = "/nowhere/libcuda.so.1";
        else
            lacking.NcclLibrary = "/nowhere/libnccl.so.2";
        using var ranks = new Ranks("ab", complete) { CudaDevice = rank => rank };
        var messages = ranks.Collect(rank => Should.Throw<NotSupportedException>(() => CollectiveGroup.JoinAsync(
            ranks.Setup(rank) with { Options = rank == 1 ? lacking : complete },
            TestContext.Current.CancellationToken).GetAwaiter().GetResult()).Message);
        messages.ShouldAllBe(message => message == $"rank 1 {reason}; or set resources.deviceKind to cpu");
    }

    /// <summary>
    /// A training step whose gradients NCCL sums while backward still runs: the tensors are the CPU's, the memory of their buckets passes
    /// for a GPU's.
    /// </summary>
    [Theory]
    [InlineData("lenet5")]
    [InlineData("resnet18")]
    public void DataParallel_ByNccl_TrainsAsThroughSharedMemory(string network)
    {
        double[] Losses(Ranks ranks, bool onDevice)
        {
            using (ranks)
            {
                return ranks.Run(group =>
                {
                    using var partition = Trainings.Data(network, torch.ScalarType.Float32, group, bucketBytes: 4096);
                    var (start, bytes) = partition.Buckets.Memory;
                    if (onDevice)
                        StandIn.SetDevice(start, bytes);
                    var losses = Trainings.Train(partition, torch.ScalarType.Float32, 3, group: group);
                    partition.SentDuringBackward.ShouldBeGreaterThan(0);
                    StandIn.SetDevice(start, 0);
                    return losses;
                })[0];
            }
        }

        var expected = Losses(new Ranks("aa"), onDevice: false);
        StandIn.TakeLog();
        Losses(OneCardEach("aa"), onDevice: true).ShouldBe(expected); // sums of two are the same in either order
        StandIn.TakeLog().Count(line => line.Contains("ncclAllReduce", StringComparison.Ordinal)).ShouldBeGreaterThan(2 * 3 * 2);
    }

    private static Ranks OneCardEach(string placement) => new(placement, StandIn.Options()) { CudaDevice = rank => rank };

    private static void AllReduce<T>(ICollectiveGroup group, Func<int, T> of)
        where T : unmanaged
    {
        var world = group.WorldSize;
        foreach (var (op, result) in (IEnumerable<(ReduceOp, Func<int, int>)>)[
            (ReduceOp.Sum, i => Enumerable.Range(0, world).Sum(r => world * (r + i))),
            (ReduceOp.Mean, i => Enumerable.Range(0, world).Sum(r => r + i)),
            (ReduceOp.Min, i => world * i), (ReduceOp.Max, i => world * (i + world - 1))])
        {
            foreach (var size in (int[])[1, 5])
            {
                using var values = new DeviceValues<T>([.. Enumerable.Range(0, size).Select(i => of(world * (group.Rank + i)))]);
                group.AllReduce(values.Span, "sum", op);
                values.Span.ToArray().ShouldBe([.. Enumerable.Range(0, size).Select(i => of(result(i)))], $"{op} of {typeof(T)}");
            }
        }
    }
}
