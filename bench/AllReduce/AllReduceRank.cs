using System.CommandLine;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json;
using Cluster.Bench.Measuring;
using Cluster.Worker.Collectives;
using Cluster.Worker.Collectives.SharedMemory;

namespace Cluster.Bench.AllReduce;

/// <summary>One of our ranks, as a process: joins its peer by shared memory and by TCP, then does as it is told.</summary>
internal sealed class AllReduceRank : IDisposable
{
    private const long LargestBytes = 256 << 20;

    private readonly ICollectiveGroup memory;
    private readonly ICollectiveGroup tcp;
    private readonly MappedFile mapped;
    private readonly unsafe float* bucket;
    private readonly unsafe float* own;
    private readonly unsafe float* other;
    private readonly SocketCopy sockets;

    private unsafe AllReduceRank(ICollectiveGroup memory, ICollectiveGroup tcp, SharedBuffer shared, SocketCopy sockets)
    {
        this.memory = memory;
        this.tcp = tcp;
        this.sockets = sockets;
        mapped = new MappedFile(shared.Path, shared.Offset + shared.Bytes);
        bucket = (float*)(mapped.Start + shared.Offset);
        shared.Address = (nint)bucket;
        own = Allocate();
        other = Allocate();
    }

    public static Command Build()
    {
        var folder = new Argument<string>("folder");
        var rank = new Argument<int>("rank");
        var worldSize = new Argument<int>("world-size");
        var command = new Command("allreduce-rank", "one rank of allreduce") { folder, rank, worldSize };
        command.Hidden = true;
        command.SetAction(async (arguments, cancellationToken) =>
        {
            using var me = await JoinAsync(arguments.GetValue(folder)!, arguments.GetValue(rank), arguments.GetValue(worldSize), cancellationToken);
            await me.ObeyAsync(cancellationToken);
        });
        return command;
    }

    public unsafe void Dispose()
    {
        memory.Dispose();
        tcp.Dispose();
        sockets.Dispose();
        mapped.Dispose();
        NativeMemory.AlignedFree(own);
        NativeMemory.AlignedFree(other);
    }

    private static async Task<AllReduceRank> JoinAsync(string folder, int rank, int worldSize, CancellationToken cancellationToken)
    {
        var options = new CollectiveOptions();
        var memory = await BenchGroup.JoinAsync(Directory.CreateDirectory(Path.Combine(folder, "memory")).FullName, rank, worldSize, "node", options, cancellationToken);
        var tcp = await BenchGroup.JoinAsync(Directory.CreateDirectory(Path.Combine(folder, "tcp")).FullName, rank, worldSize, $"node-{rank}", options, cancellationToken);
        var shared = await memory.ReserveSharedBufferAsync("bucket", LargestBytes, cancellationToken);
        return new AllReduceRank(memory, tcp, shared!, await SocketCopy.ConnectAsync(Path.Combine(folder, "port"), rank, cancellationToken));
    }

    private async Task ObeyAsync(CancellationToken cancellationToken)
    {
        Console.WriteLine(JsonSerializer.Serialize(new AllReduceTime(0)));
        while (await Console.In.ReadLineAsync(cancellationToken) is { } line)
            Console.WriteLine(JsonSerializer.Serialize(new AllReduceTime(Measure(JsonSerializer.Deserialize<AllReduceOrder>(line)!))));
    }

    private unsafe double Measure(AllReduceOrder order)
    {
        var count = (int)(order.Bytes / sizeof(float));
        Action once = order.How switch
        {
            AllReduceOrder.Path.Buckets => () => memory.AllReduce(new Span<float>(bucket, count), "bench"),
            AllReduceOrder.Path.Staged => () => memory.AllReduce(new Span<float>(own, count), "bench"),
            AllReduceOrder.Path.Tcp => () => tcp.AllReduce(new Span<float>(own, count), "bench"),
            AllReduceOrder.Path.MemoryCopy => () => Buffer.MemoryCopy(own, other, order.Bytes, order.Bytes),
            AllReduceOrder.Path.SocketCopy => () => sockets.Run(own, other, order.Bytes),
            var how => throw new ArgumentException($"there is no way '{how}' to sum", nameof(order)),
        };
        var values = order.How == AllReduceOrder.Path.Buckets ? bucket : own;
        new Span<float>(values, count).Fill(1);
        once();
        if (order.How is AllReduceOrder.Path.Buckets or AllReduceOrder.Path.Staged or AllReduceOrder.Path.Tcp && values[count - 1] != memory.WorldSize)
            throw new InvalidOperationException($"the sum over {order.How} is {values[count - 1]}, not {memory.WorldSize}");

        memory.Barrier("start");
        var began = Stopwatch.GetTimestamp();
        for (var i = 0; i < order.Iterations; i++)
            once();
        return Stopwatch.GetElapsedTime(began).TotalSeconds / order.Iterations;
    }

    private static unsafe float* Allocate()
    {
        const nuint pageBytes = 4096;
        var memory = (float*)NativeMemory.AlignedAlloc((nuint)LargestBytes, pageBytes);
        new Span<float>(memory, (int)(LargestBytes / sizeof(float))).Fill(1);
        return memory;
    }
}
